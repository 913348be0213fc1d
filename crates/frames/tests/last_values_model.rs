//! Random ticks, and a snapshot after each, beside a model that keeps every tick: for each mode the newest value of
//! each field, in both formats.

mod message;

use std::collections::BTreeMap;

use openalgo_shm_frames::{TickEncoder, TopicTable};
use openalgo_shm_ring::message::{DepthLevel, Field, MarketDataMessage, Mode, SYNONYMS, TopicName};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, Producer, RingConfig, clock};
use serde_json::{Map, Value, json};

use self::message::message;

const TICKS: u64 = 400;
const MS: u64 = 1_000_000;
/// Names that fields have in every message.
const ALWAYS: [&str; 3] = ["last_trade_quantity", "avg_trade_price", "open_interest"];

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// A tick as plain data.
struct Known {
    mode: Mode,
    publish_ns: u64,
    broker: &'static str,
    fields: BTreeMap<usize, (u64, Vec<usize>)>,
    sides: [Vec<u64>; 2],
}

impl Known {
    fn random(random: &mut Random, publish_ns: u64, broker: &'static str) -> Self {
        let mode = [Mode::Ltp, Mode::Quote, Mode::Depth][random.below(3) as usize];
        // Some feeds send much in every tick, some little, some the same fields for long.
        let likely = [0, 1, 5, 50, 100][random.below(5) as usize];
        let is_there = |random: &mut Random| random.below(100) < likely;
        let fields = (0..Field::ALL.len()).filter_map(|field| {
            let value = random.below(1_000_000);
            let names = (0..SYNONYMS.len()).filter(|&number| SYNONYMS[number].0 as usize == field);
            let names: Vec<_> = names.filter(|_| random.below(4) == 0).collect();
            is_there(random).then_some((field, (value, names)))
        });
        let fields = fields.collect();
        let has_book = random.below(4) < mode as u64;
        let mut side = || (0..random.below(6)).map(|_| random.below(1_000)).filter(|_| has_book).collect();
        Self { mode, publish_ns, broker, fields, sides: [side(), side()] }
    }

    fn publish(&self, producer: &mut Producer) {
        let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", self.mode).unwrap();
        for (&field, (value, names)) in &self.fields {
            tick.set(Field::ALL[field], *value as f64);
            names.iter().for_each(|&number| _ = tick.set_synonym(number).unwrap());
        }
        let [buys, sells] = self.sides.each_ref().map(|side| {
            let level = |&price: &u64| DepthLevel { price: price as f64, quantity: 2.5, orders: 3.0 };
            side.iter().map(level).collect::<Vec<_>>()
        });
        tick.set_depth(&buys, &sells).unwrap();
        producer.write(tick.as_words(), self.publish_ns).unwrap();
        producer.flush();
    }

    fn has_book(&self) -> bool {
        self.sides.iter().any(|side| !side.is_empty())
    }
}

/// The message that the model expects, without ages, and whether it has a value that is older than its newest tick.
fn expected(ticks: &[Known], mode: Mode, earliest_ns: u64) -> Option<(Value, bool)> {
    let of_mode: Vec<&Known> = ticks.iter().filter(|tick| tick.mode >= mode).collect();
    let newest = of_mode.iter().copied().max_by_key(|tick| tick.publish_ns)?;
    if newest.publish_ns < earliest_ns {
        return None;
    }
    let seen: Vec<&Known> = of_mode.iter().copied().filter(|tick| tick.publish_ns >= earliest_ns).collect();
    let mut data = Map::new();
    let mut set = |name: &str, value: Value| assert!(data.insert(name.to_owned(), value).is_none());
    let mut oldest_ns = newest.publish_ns;
    for (index, &field) in Field::ALL.iter().enumerate() {
        // The last of those with the same publish time.
        let tick =
            seen.iter().filter(|tick| tick.fields.contains_key(&index)).max_by_key(|tick| tick.publish_ns);
        let Some(tick) = tick else { continue };
        if field == Field::Timestamp && !newest.fields.contains_key(&index) {
            continue;
        }
        oldest_ns = oldest_ns.min(tick.publish_ns);
        let (value, numbers) = &tick.fields[&index];
        let value = if field == Field::Tradable { json!(*value != 0) } else { json!(value) };
        set(field.name(), value.clone());
        let numbers = (0..SYNONYMS.len()).filter(|number| {
            SYNONYMS[*number].0 == field
                && (numbers.contains(number) || ALWAYS.contains(&SYNONYMS[*number].1))
        });
        numbers.for_each(|number| set(SYNONYMS[number].1, value.clone()));
    }
    let book = seen.iter().filter(|tick| tick.has_book()).max_by_key(|tick| tick.publish_ns);
    if let Some(book) = book {
        let sides = book.sides.clone();
        set("depth_level", json!(sides[0].len().max(sides[1].len())));
        let [buy, sell] = sides.map(|side| {
            let level = |price| json!({ "price": price, "quantity": 2.5, "orders": 3 });
            side.into_iter().map(level).collect::<Value>()
        });
        set("depth", json!({ "buy": buy, "sell": sell }));
        oldest_ns = oldest_ns.min(book.publish_ns);
    }
    set("symbol", json!("TCS"));
    set("exchange", json!("NSE"));
    set("mode", json!(newest.mode as u8));
    let message = json!({
        "type": "market_data", "symbol": "TCS", "exchange": "NSE", "mode": mode as u8, "seq": of_mode.len(),
        "snapshot": true, "data": data, "broker": newest.broker,
    });
    Some((message, newest.publish_ns - oldest_ns >= MS))
}

/// Takes the ages out of a message. Says whether it had one of an older value.
fn without_ages(mut message: Value) -> (Value, bool) {
    let members = message.as_object_mut().unwrap();
    assert!(members.remove("age_ms").unwrap().is_u64());
    let has_older = members.remove("oldest_age_ms").is_some();
    (message, has_older)
}

fn compare(seed: u64) {
    let mut random = Random(seed);
    let config = RingConfig::mpmc().lanes(2).consumers(1).buffer_size(1 << 18);
    let ring = LockFreeRingBuffer::on_heap(config).unwrap();
    let table = TopicTable::new();
    let topic = table.ask(&TopicName::new("NSE", "TCS").unwrap()).unwrap();
    let mut encoder = TickEncoder::new(ring.consumer(ConsumerOptions::new("encoder")).unwrap(), table);
    let brokers = ["one", "other"];
    let mut producers = brokers.map(|broker| ring.producer(broker).unwrap());
    let mut arena = vec![0; encoder.longest_tick()];
    // Far enough back that no tick is from the future.
    let mut publish_ns = clock::monotonic_ns() - TICKS * 100 * MS;
    let mut ticks = Vec::new();
    for _ in 0..TICKS {
        publish_ns += [0, 1, MS / 2, 100 * MS][random.below(4) as usize];
        let lane = random.below(2) as usize;
        let tick = Known::random(&mut random, publish_ns, brokers[lane]);
        tick.publish(&mut producers[lane]);
        assert_eq!(encoder.drain(&mut arena, &mut Vec::new()).ticks, 1);
        ticks.push(tick);
        let earliest_ns = publish_ns - 50 * MS - random.below(20) * 100 * MS;
        let next = ticks.iter().map(|tick| tick.publish_ns).find(|&next| next >= earliest_ns);
        let margin_ns = next.unwrap() - earliest_ns;
        let is_limited = random.below(2) == 1 && margin_ns > 5 * MS;
        let earliest_ns = if is_limited { earliest_ns } else { 0 };
        for mode in [Mode::Ltp, Mode::Quote, Mode::Depth] {
            let expected = expected(&ticks, mode, earliest_ns);
            for variant in [mode as u8, mode as u8 | 4] {
                let mut frame = Vec::new();
                let is_there = loop {
                    frame.clear();
                    let now = clock::monotonic_ns();
                    let max_age = is_limited.then(|| now - earliest_ns);
                    let is_there = encoder.snapshot(topic.number(), variant, max_age, &mut frame);
                    // Again, if that took so long that another tick is too old.
                    if clock::monotonic_ns() - now < margin_ns || !is_limited {
                        break is_there;
                    }
                };
                assert_eq!(is_there, expected.is_some(), "seed {seed}");
                let Some(expected) = &expected else { continue };
                let found = without_ages(message(&frame));
                assert_eq!(found, *expected, "seed {seed}, tick {}", ticks.len());
            }
        }
    }
}

#[test]
fn a_snapshot_is_what_a_reader_of_all_ticks_would_know() {
    (0..6).for_each(compare);
}
