//! What a snapshot shows: the newest value of each field that a subscriber of its mode has seen.

mod message;

use std::sync::Arc;

use openalgo_shm_frames::{ANY, TickEncoder, Topic, TopicTable};
use openalgo_shm_ring::message::{DepthLevel, Field, MarketDataMessage, Mode, SYNONYMS, TopicName};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, Producer, RingConfig, clock};
use serde_json::{Value, json};

use self::message::message;

const SECOND: u64 = 1_000_000_000;
const MODES: [Mode; 3] = [Mode::Ltp, Mode::Quote, Mode::Depth];

/// A feed and an encoder, and the time at which the test began.
struct Market {
    producer: Producer,
    encoder: TickEncoder,
    topic: Arc<Topic>,
    start: u64,
}

impl Market {
    fn new(levels: usize) -> Self {
        let config = RingConfig::mpmc().lanes(1).consumers(1).depth_levels(levels).buffer_size(1 << 20);
        let ring = LockFreeRingBuffer::on_heap(config).unwrap();
        let table = TopicTable::new();
        let topic = table.ask(&TopicName::new("NSE", "TCS").unwrap()).unwrap();
        let mut encoder = TickEncoder::new(ring.consumer(ConsumerOptions::new("encoder")).unwrap(), table);
        encoder.want(&topic, 1 << Mode::Ltp as u8);
        let start = clock::monotonic_ns();
        assert!(start > 50 * SECOND, "the machine began before the oldest tick");
        Self { producer: ring.producer("feed").unwrap(), encoder, topic, start }
    }

    /// A tick from so many seconds before the start of the test.
    fn publish<const N: usize>(&mut self, seconds_ago: u64, tick: &MarketDataMessage<N>) {
        self.producer.write(tick.as_words(), self.start - seconds_ago * SECOND).unwrap();
        self.producer.flush();
        let mut arena = vec![0; self.encoder.longest_tick()];
        self.encoder.drain(&mut arena, &mut Vec::new());
    }

    /// The message for a subscriber of a mode, the same in both formats but for the ages.
    fn snapshot(&mut self, mode: Mode, max_age_ns: Option<u64>) -> Option<Value> {
        let messages = [mode as u8, mode as u8 | 4].map(|variant| {
            let mut frame = b"before".to_vec();
            let is_there = self.encoder.snapshot(self.topic.number(), variant, max_age_ns, &mut frame);
            assert!(frame.starts_with(b"before") && is_there == (frame.len() > 6));
            is_there.then(|| message(&frame[6..]))
        });
        assert_eq!(messages[0].is_some(), messages[1].is_some());
        if let [Some(one), Some(other)] = &messages {
            assert_eq!(without_ages(one), without_ages(other));
        }
        messages.into_iter().next().flatten()
    }

    fn data(&mut self, mode: Mode) -> Value {
        self.snapshot(mode, None).unwrap()["data"].take()
    }

    fn field(&mut self, mode: Mode, name: &str) -> Value {
        self.data(mode)[name].take()
    }
}

/// Ages are each frame's own, and so are the timestamps of ticks that have none: the offset between the clocks is
/// measured for each.
fn without_ages(message: &Value) -> Value {
    let mut message = message.clone();
    for name in ["age_ms", "oldest_age_ms"] {
        if let Some(age) = message.get_mut(name) {
            *age = Value::Null;
        }
    }
    message["data"]["timestamp"] = Value::Null;
    message
}

fn tick<const N: usize>(mode: Mode, fields: &[(Field, f64)]) -> MarketDataMessage<N> {
    let mut tick = MarketDataMessage::new("NSE", "TCS", mode).unwrap();
    for &(field, value) in fields {
        tick.set(field, value);
    }
    tick
}

fn ltp(price: f64) -> MarketDataMessage {
    tick(Mode::Ltp, &[(Field::Ltp, price)])
}

fn quote(fields: &[(Field, f64)]) -> MarketDataMessage {
    tick(Mode::Quote, fields)
}

/// A depth tick with a level on the buy side.
fn book(price: f64) -> MarketDataMessage {
    let mut depth = tick(Mode::Depth, &[]);
    depth.set_depth(&[DepthLevel { price, quantity: 1.0, orders: 1.0 }], &[]).unwrap();
    depth
}

fn synonym(name: &str) -> usize {
    SYNONYMS.iter().position(|synonym| synonym.1 == name).unwrap()
}

#[test]
fn a_depth_tick_without_a_price_hides_no_price() {
    let mut market = Market::new(5);
    market.publish(9, &tick::<5>(Mode::Depth, &[(Field::Ltp, 100.0)]));
    market.publish(8, &quote(&[(Field::Ltp, 101.0), (Field::Open, 90.0)]));
    market.publish(7, &ltp(102.0));
    market.publish(6, &book(99.0));
    let seen = MODES.map(|mode| market.field(mode, "ltp"));
    assert_eq!(seen, [102, 101, 100], "each sees the newest price of its mode or a higher one");
    for mode in MODES {
        let data = market.data(mode);
        assert_eq!((&data["mode"], &data["depth"]["buy"][0]["price"]), (&json!(3), &json!(99)));
        assert_eq!(data.get("open").is_some(), mode != Mode::Depth);
    }
}

#[test]
fn a_field_that_later_ticks_lack_stays_until_it_is_too_old() {
    let mut market = Market::new(5);
    market.publish(50, &quote(&[(Field::Ltp, 1.0), (Field::Open, 2.0), (Field::High, 3.0)]));
    market.publish(30, &quote(&[(Field::Ltp, 4.0), (Field::High, 5.0)]));
    for seconds_ago in (10..20).rev() {
        market.publish(seconds_ago, &quote(&[(Field::Ltp, seconds_ago as f64)]));
    }
    let mut shown = |age: Option<u64>| {
        let data = market.snapshot(Mode::Quote, age.map(|seconds| seconds * SECOND))?["data"].take();
        Some(["ltp", "open", "high"].map(|name| data[name].as_u64()))
    };
    assert_eq!(shown(None), Some([Some(10), Some(2), Some(5)]));
    assert_eq!(shown(Some(10_000)), Some([Some(10), Some(2), Some(5)]));
    assert_eq!(shown(Some(45)), Some([Some(10), None, Some(5)]));
    assert_eq!(shown(Some(25)), Some([Some(10), None, None]));
    assert_eq!(shown(Some(9)), None, "the newest tick itself is older");
}

#[test]
fn a_field_that_comes_again_replaces_the_value_that_was_kept() {
    let mut market = Market::new(5);
    market.publish(9, &quote(&[(Field::Open, 1.0), (Field::Oi, 7.0)]));
    market.publish(8, &quote(&[(Field::Oi, 7.0)]));
    market.publish(7, &quote(&[(Field::Open, 2.0), (Field::Oi, 8.0)]));
    assert_eq!(market.field(Mode::Quote, "open"), 2);
    market.publish(6, &quote(&[(Field::Oi, 9.0)]));
    assert_eq!([market.field(Mode::Quote, "open"), market.field(Mode::Quote, "oi")], [2, 9]);
}

#[test]
fn the_order_book_stays_for_its_subscribers_after_ticks_without_levels() {
    let mut market = Market::new(5);
    market.publish(40, &book(1.0));
    market.publish(30, &book(2.0));
    market.publish(20, &tick::<5>(Mode::Depth, &[(Field::Ltp, 5.0)]));
    market.publish(19, &tick::<5>(Mode::Depth, &[(Field::Ltp, 6.0)]));
    market.publish(10, &ltp(7.0));
    for (mode, newest) in [(Mode::Ltp, Mode::Ltp), (Mode::Depth, Mode::Depth)] {
        let data = market.data(mode);
        assert_eq!(data["mode"], newest as u8);
        let buy = json!([{ "price": 2, "quantity": 1, "orders": 1 }]);
        assert_eq!(data["depth"], json!({ "buy": buy, "sell": [] }));
        assert_eq!(data["depth_level"], 1);
    }
    let mut too_old = |mode| market.snapshot(mode, Some(25 * SECOND)).unwrap()["data"].take();
    assert_eq!(too_old(Mode::Depth).get("depth"), None, "none is made up");
    assert_eq!(too_old(Mode::Ltp).get("depth"), None);
    market.publish(5, &book(3.0));
    assert_eq!(market.data(Mode::Ltp)["depth"]["buy"][0]["price"], 3);
}

#[test]
fn the_deepest_books_fit_a_snapshot() {
    let mut market = Market::new(200);
    let level = DepthLevel { price: -1_234.625, quantity: 1e15, orders: 0.125 };
    let mut depth: Box<MarketDataMessage<200>> = Box::new(tick(Mode::Depth, &[]));
    depth.set_depth(&[level; 200], &[level; 199]).unwrap();
    for number in 0..SYNONYMS.len() {
        depth.set_synonym(number).unwrap();
    }
    for field in Field::ALL {
        depth.set(field, level.price);
    }
    market.publish(9, &*depth);
    market.publish(8, &ltp(5.0));
    let data = market.data(Mode::Ltp);
    let sides = ["buy", "sell"].map(|side| data["depth"][side].as_array().unwrap().len());
    assert_eq!((sides, &data["depth_level"]), ([200, 199], &json!(200)));
    assert_eq!(
        data["depth"]["sell"][198],
        json!({ "price": level.price, "quantity": 1_000_000_000_000_000_u64, "orders": 0.125 })
    );
}

#[test]
fn a_field_shows_the_synonyms_under_which_its_value_came() {
    let mut market = Market::new(5);
    let mut older = quote(&[(Field::Ltp, 1.0), (Field::Open, 2.0), (Field::Bid, 3.0)]);
    for name in ["last_price", "open_price", "best_bid", "ltq"] {
        older.set_synonym(synonym(name)).unwrap();
    }
    let mut newer = quote(&[(Field::Ltp, 4.0), (Field::Bid, 5.0)]);
    newer.set_synonym(synonym("bid_price")).unwrap();
    market.publish(9, &older);
    market.publish(8, &newer);
    market.publish(7, &quote(&[(Field::Ltp, 6.0)]));
    let mut data = market.data(Mode::Quote);
    data["timestamp"].take();
    assert_eq!(
        data,
        json!({ "symbol": "TCS", "exchange": "NSE", "mode": 2, "timestamp": null,
                "ltp": 6, "open": 2, "open_price": 2, "bid": 5, "bid_price": 5 })
    );
}

#[test]
fn a_snapshot_says_how_old_its_newest_tick_and_its_oldest_value_are() {
    let mut market = Market::new(5);
    let fields = [(Field::Ltp, 1.0), (Field::Open, 2.0)];
    market.publish(50, &quote(&fields));
    let ages = |market: &mut Market, mode, max_age| {
        let before = (clock::monotonic_ns() - market.start) / 1_000_000;
        let message = market.snapshot(mode, max_age).unwrap();
        let after = (clock::monotonic_ns() - market.start) / 1_000_000;
        assert_eq!(message["snapshot"], true);
        let ages = ["age_ms", "oldest_age_ms"].map(|name| message.get(name).map(|age| age.as_u64().unwrap()));
        ages.map(|age| {
            let age = age?;
            let seconds = age / 1_000;
            assert!((seconds * 1_000 + before..=seconds * 1_000 + after).contains(&age));
            Some(seconds)
        })
    };
    let ages = |market: &mut Market, mode, max_age| {
        // Seconds are exact as long as this test takes less than one.
        if market.start + SECOND > clock::monotonic_ns() { ages(market, mode, max_age) } else { [None; 2] }
    };
    let expect = |found: [Option<u64>; 2], expected: [Option<u64>; 2]| {
        assert!(found == expected || found == [None; 2], "{found:?} is not {expected:?}");
    };
    expect(ages(&mut market, Mode::Quote, None), [Some(50), None]);
    market.publish(20, &quote(&fields[..1]));
    expect(ages(&mut market, Mode::Quote, None), [Some(20), Some(50)]);
    expect(ages(&mut market, Mode::Quote, Some(30 * SECOND)), [Some(20), None]);
    market.publish(10, &ltp(3.0));
    expect(ages(&mut market, Mode::Quote, None), [Some(20), Some(50)]);
    expect(ages(&mut market, Mode::Ltp, None), [Some(10), Some(50)]);
    expect(ages(&mut market, Mode::Ltp, Some(30 * SECOND)), [Some(10), None]);
}

#[test]
fn values_less_than_a_millisecond_older_than_the_newest_tick_are_not_older() {
    let mut market = Market::new(5);
    let start = market.start;
    market.publish(9, &quote(&[(Field::Open, 1.0)]));
    market.start = start + 999_999;
    market.publish(9, &quote(&[(Field::Ltp, 1.0)]));
    assert_eq!(market.snapshot(Mode::Quote, None).unwrap().get("oldest_age_ms"), None);
    market.start = start + 1_000_000;
    market.publish(9, &quote(&[(Field::Ltp, 1.0)]));
    assert!(market.snapshot(Mode::Quote, None).unwrap()["oldest_age_ms"].is_u64());
}

#[test]
fn the_timestamp_is_the_newest_ticks_or_there_is_none() {
    let mut market = Market::new(5);
    market.publish(50, &quote(&[(Field::Timestamp, 7.0)]));
    assert_eq!(market.field(Mode::Quote, "timestamp"), 7);
    market.publish(20, &quote(&[(Field::Ltp, 1.0)]));
    assert_eq!(market.data(Mode::Quote).get("timestamp"), None);
    assert_eq!(market.snapshot(Mode::Quote, None).unwrap().get("oldest_age_ms"), None);
}

#[test]
fn ticks_with_one_publish_time_are_ordered_as_they_came() {
    let mut market = Market::new(5);
    market.publish(9, &quote(&[(Field::Ltp, 1.0), (Field::Open, 1.0)]));
    market.publish(9, &tick::<5>(Mode::Depth, &[(Field::Ltp, 2.0)]));
    assert_eq!([market.field(Mode::Ltp, "ltp"), market.field(Mode::Ltp, "mode")], [2, 3]);
    market.publish(9, &quote(&[(Field::Ltp, 3.0)]));
    assert_eq!([market.field(Mode::Ltp, "ltp"), market.field(Mode::Ltp, "mode")], [3, 2]);
}

#[test]
fn a_snapshot_counts_the_messages_of_its_mode() {
    let mut market = Market::new(5);
    market.encoder.want_exchange(ANY, 0);
    market.publish(9, &book(1.0));
    market.publish(8, &quote(&[]));
    market.publish(7, &ltp(1.0));
    let sequences = MODES.map(|mode| market.snapshot(mode, None).unwrap()["seq"].take());
    assert_eq!(sequences, [3, 2, 1]);
}
