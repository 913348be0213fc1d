//! The last values of another proxy, which a feed passes on: they stay what they are.

mod message;

use std::sync::Arc;

use openalgo_shm_frames::{TickEncoder, Topic, TopicTable};
use openalgo_shm_ring::message::{
    CarriedAge, DepthLevel, Field, MemberValue, Mode, SYNONYMS, TickImage, TopicName,
};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, Producer, RingConfig};
use serde_json::{Value, json};

use self::message::message;

/// A feed, and an encoder with a subscriber of every mode in both formats.
struct Market {
    producer: Producer,
    encoder: TickEncoder,
    topic: Arc<Topic>,
}

impl Market {
    fn new() -> Self {
        let config = RingConfig::mpmc().lanes(1).consumers(1).buffer_size(1 << 20);
        Self::with(&LockFreeRingBuffer::on_heap(config).unwrap())
    }

    fn with(ring: &LockFreeRingBuffer) -> Self {
        let table = TopicTable::new();
        let topic = table.ask(&TopicName::new("NSE", "TCS").unwrap()).unwrap();
        let mut encoder = TickEncoder::new(ring.consumer(ConsumerOptions::new("encoder")).unwrap(), table);
        encoder.want(&topic, 0b1110_1110);
        encoder.limit_carried_age(10_000_000_000);
        Self { producer: ring.producer("feed").unwrap(), encoder, topic }
    }

    /// Publishes a tick, and gives the messages that subscribers get of it.
    fn publish(&mut self, mode: Mode, image: &mut TickImage) -> Vec<Value> {
        let topic = self.producer.topic("NSE", "TCS").unwrap();
        assert!(self.producer.publish_to(topic, image.finish(mode)).unwrap());
        let mut arena = vec![0; self.encoder.longest_tick()];
        let mut entries = Vec::new();
        self.encoder.drain(&mut arena, &mut entries);
        assert!(entries.iter().enumerate().all(|(index, entry)| entry.is_first == (index == 0)));
        let frame = |offset: u32, length: u32| message(&arena[offset as usize..][..length as usize]);
        entries.iter().map(|entry| frame(entry.offset, entry.length)).collect()
    }

    fn snapshot(&mut self, mode: Mode) -> Option<Value> {
        let mut frame = Vec::new();
        self.encoder.snapshot(self.topic.number(), mode as u8, None, &mut frame).then(|| message(&frame))
    }
}

fn image(fields: &[(Field, f64)]) -> TickImage {
    let mut image = TickImage::new();
    fields.iter().for_each(|&(field, value)| image.set(field, value));
    image
}

fn carried(age_ms: u32, oldest_ms: u32, fields: &[(Field, f64)]) -> TickImage {
    let mut image = image(fields);
    image.set_age(CarriedAge { newest_ms: age_ms, oldest_ms });
    image
}

fn is_about(value: &Value, ms: u64) -> bool {
    // Whatever the machine is busy with.
    value.as_u64().is_some_and(|found| (ms..ms + 60_000).contains(&found))
}

#[test]
fn they_go_out_marked_with_the_age_that_they_had_and_no_number_of_their_own() {
    let mut market = Market::new();
    let fields = [(Field::Ltp, 625.5), (Field::Open, 620.0)];
    let messages = market.publish(Mode::Quote, &mut carried(4_000, 9_000, &fields));
    assert_eq!(messages.len(), 4, "LTP and quote subscribers, in both formats");
    for message in messages {
        assert_eq!((&message["snapshot"], &message["seq"]), (&json!(true), &json!(0)));
        assert!(
            is_about(&message["age_ms"], 4_000) && is_about(&message["oldest_age_ms"], 9_000),
            "{message}"
        );
        assert_eq!(message["data"]["ltp"], 625.5);
    }
    let live = market.publish(Mode::Quote, &mut image(&fields));
    assert!(live.iter().all(|message| message["seq"] == 1 && message.get("snapshot").is_none()));
    assert_eq!(market.encoder.latency().len(), 1, "only the live tick has a latency");
}

#[test]
fn one_that_is_older_than_the_bound_goes_to_nobody_unasked() {
    let mut market = Market::new();
    assert!(market.publish(Mode::Ltp, &mut carried(11_000, 11_000, &[(Field::Ltp, 1.0)])).is_empty());
    let snapshot = market.snapshot(Mode::Ltp).unwrap();
    assert!(is_about(&snapshot["age_ms"], 11_000), "{snapshot}");
    assert_eq!(snapshot["data"]["ltp"], 1);
}

#[test]
fn one_from_before_this_machine_started_is_as_old_as_it_was() {
    let mut market = Market::new();
    let mut tick = carried(u32::MAX - 1, u32::MAX, &[(Field::Ltp, 1.0)]);
    assert!(market.publish(Mode::Ltp, &mut tick).is_empty());
    let snapshot = market.snapshot(Mode::Ltp).unwrap();
    let is_at_least = |name: &str, ms: u32| snapshot[name].as_u64().unwrap() >= u64::from(ms);
    assert!(is_at_least("age_ms", u32::MAX - 1) && is_at_least("oldest_age_ms", u32::MAX), "{snapshot}");
    let days_30 = Some(30 * 24 * 3600 * 1_000_000_000);
    assert!(!market.encoder.snapshot(market.topic.number(), Mode::Ltp as u8, days_30, &mut Vec::new()));
}

#[test]
fn they_change_no_newer_value_and_fill_in_what_is_missing() {
    let mut market = Market::new();
    market.publish(Mode::Quote, &mut image(&[(Field::Ltp, 2.0), (Field::Volume, 20.0)]));
    let mut older = carried(5_000, 5_000, &[(Field::Ltp, 1.0), (Field::Volume, 10.0), (Field::Open, 3.0)]);
    older.set_depth(&[DepthLevel { price: 1.0, quantity: 1.0, orders: 1.0 }], &[]);
    assert!(market.publish(Mode::Quote, &mut older).is_empty(), "subscribers have seen a newer tick");
    let snapshot = market.snapshot(Mode::Quote).unwrap();
    assert_eq!(
        (&snapshot["data"]["ltp"], &snapshot["data"]["volume"], &snapshot["data"]["open"]),
        (&json!(2), &json!(20), &json!(3))
    );
    assert_eq!(snapshot["data"]["depth"]["buy"][0]["price"], 1);
    assert!(is_about(&snapshot["age_ms"], 0) && is_about(&snapshot["oldest_age_ms"], 5_000), "{snapshot}");
    let oldest = carried(8_000, 8_000, &[(Field::Open, 4.0), (Field::Close, 6.0)]);
    market.publish(Mode::Quote, &mut { oldest });
    let data = market.snapshot(Mode::Quote).unwrap()["data"].take();
    assert_eq!((&data["open"], &data["close"]), (&json!(3), &json!(6)));
}

#[test]
fn a_live_tick_takes_the_place_of_one() {
    let mut market = Market::new();
    market.publish(Mode::Quote, &mut carried(5_000, 6_000, &[(Field::Ltp, 1.0), (Field::Open, 3.0)]));
    market.publish(Mode::Quote, &mut image(&[(Field::Ltp, 2.0)]));
    let snapshot = market.snapshot(Mode::Quote).unwrap();
    assert_eq!((&snapshot["data"]["ltp"], &snapshot["data"]["open"]), (&json!(2), &json!(3)));
    assert!(is_about(&snapshot["oldest_age_ms"], 6_000), "{snapshot}");
    market.publish(Mode::Quote, &mut image(&[(Field::Ltp, 2.0), (Field::Open, 4.0)]));
    assert_eq!(market.snapshot(Mode::Quote).unwrap().get("oldest_age_ms"), None);
}

#[test]
fn members_are_as_the_adapter_wrote_them_in_ticks_and_in_snapshots() {
    let mut market = Market::new();
    let mut tick = image(&[(Field::Ltp, 2.0), (Field::Ltt, 1_748_426_445_000.0), (Field::Oi, 5.0)]);
    let members = [
        ("mode", MemberValue::Text("full")),
        ("symbol", MemberValue::Text("NSE:TCS\"")),
        ("exchange", MemberValue::Number(1.0)),
        ("ltt", MemberValue::Number(1_748_426_445.0)),
        ("open_interest", MemberValue::Number(6.0)),
        ("live", MemberValue::Flag(true)),
    ];
    members.iter().for_each(|&(key, value)| assert!(tick.push_member(key, value)));
    tick.set_empty_book();
    let expected = json!({
        "symbol": "NSE:TCS\"", "exchange": 1, "mode": "full", "ltp": 2, "ltt": 1_748_426_445,
        "ltt_ms": 1_748_426_445_000_u64, "oi": 5, "open_interest": 6, "live": true,
        "depth": { "buy": [], "sell": [] }, "depth_level": 0,
    });
    let messages = market.publish(Mode::Depth, &mut tick);
    assert_eq!(messages.len(), 6);
    assert!(messages.iter().all(|message| message["data"] == expected), "{}", messages[0]);
    assert!(messages.iter().all(|message| message["symbol"] == "TCS" && message["exchange"] == "NSE"));
    let mut of_snapshot = expected.clone();
    // A book that may have levels from earlier ticks says nothing of having none.
    for name in ["depth", "depth_level"] {
        of_snapshot.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(market.snapshot(Mode::Depth).unwrap()["data"], of_snapshot);
    // The time is now of an older tick, whose own form is not known any more: it never stands in another unit.
    market.publish(Mode::Depth, &mut image(&[(Field::Ltp, 3.0)]));
    let data = market.snapshot(Mode::Depth).unwrap()["data"].take();
    assert_eq!((data.get("ltt"), &data["ltt_ms"]), (None, &json!(1_748_426_445_000_u64)));
    assert_eq!((&data["mode"], &data["symbol"]), (&json!(3), &json!("TCS")));
}

#[test]
fn no_name_is_there_twice_whatever_a_publisher_writes() {
    let mut market = Market::new();
    let mut tick = image(&[(Field::Ltp, 2.0), (Field::Ltt, 3.0), (Field::Oi, 5.0)]);
    let number = SYNONYMS.iter().position(|&(_, name)| name == "last_price").unwrap();
    tick.set_synonym(number as u8);
    tick.set_depth(&[DepthLevel { price: 1.0, quantity: 1.0, orders: 1.0 }], &[]);
    for name in [
        "ltp",
        "ltt",
        "ltt_ms",
        "oi",
        "open_interest",
        "last_price",
        "depth",
        "depth_level",
        "mode",
        "a",
        "\n",
    ] {
        assert!(tick.push_member(name, MemberValue::Flag(true)));
    }
    let messages = market.publish(Mode::Depth, &mut tick);
    assert_eq!(messages.len(), 6, "read without a name that is there twice");
    let level = json!({ "price": 1, "quantity": 1, "orders": 1 });
    let expected = json!({
        "symbol": "TCS", "exchange": "NSE", "mode": true, "ltp": 2, "ltt": true, "ltt_ms": 3, "oi": 5,
        "open_interest": true, "last_price": true, "a": true, "\n": true,
        "depth": { "buy": [level], "sell": [] }, "depth_level": 1,
    });
    assert!(messages.iter().all(|message| message["data"] == expected), "{}", messages[0]);
}

#[test]
fn members_of_the_newest_tick_stand_alone_beside_older_values_under_the_same_names() {
    let mut market = Market::new();
    let mut older =
        image(&[(Field::Ltp, 1.0), (Field::Ltt, 1_748_426_445_000.0), (Field::InstrumentToken, 5.0)]);
    let number = SYNONYMS.iter().position(|&(_, name)| name == "last_trade_time").unwrap();
    older.set_synonym(number as u8);
    market.publish(Mode::Quote, &mut older);
    let mut newest = image(&[(Field::Ltp, 2.0)]);
    assert!(newest.push_member("last_trade_time", MemberValue::Text("15:29:55")));
    assert!(newest.push_member("instrument_token", MemberValue::Text("NSE_EQ|INE002A01018")));
    market.publish(Mode::Quote, &mut newest);
    for variant in [Mode::Quote as usize, 4 + Mode::Quote as usize] {
        let mut frame = Vec::new();
        assert!(market.encoder.snapshot(market.topic.number(), variant as u8, None, &mut frame));
        let data = message(&frame)["data"].take();
        assert_eq!(
            (&data["last_trade_time"], &data["ltt"], &data["instrument_token"]),
            (&json!("15:29:55"), &json!(1_748_426_445_000_u64), &json!(5))
        );
    }
}

#[test]
fn one_beside_a_book_from_a_ring_of_deeper_books_does_not_outgrow_the_room_of_a_tick() {
    let ring = |levels| {
        let config = RingConfig::mpmc().lanes(1).consumers(1).buffer_size(1 << 20).depth_levels(levels);
        LockFreeRingBuffer::on_heap(config).unwrap()
    };
    let mut market = Market::with(&ring(200));
    let mut book = image(&[(Field::Ltp, 1.0)]);
    let level = DepthLevel { price: 1.05, quantity: 2.05, orders: 3.05 };
    book.set_depth(&[level; 200], &[level; 200]);
    assert_eq!(market.publish(Mode::Depth, &mut book).len(), 6);
    let ring = ring(1);
    market.producer = ring.producer("feed").unwrap();
    market.encoder.reattach(ring.consumer(ConsumerOptions::new("encoder")).unwrap());
    market.publish(Mode::Depth, &mut carried(0, 0, &[(Field::Ltp, 2.0)]));
    assert_eq!(market.publish(Mode::Depth, &mut image(&[(Field::Ltp, 3.0)])).len(), 6);
}

#[test]
fn the_longest_annex_fits_a_frame() {
    let values = [
        MemberValue::Flag(false),
        MemberValue::Number(-1.234_567_890_123_456_7e-300),
        MemberValue::Text("\u{1}\u{1}\u{1}"),
    ];
    for value in values {
        let mut market = Market::new();
        let mut tick = TickImage::new();
        for field in Field::ALL {
            tick.set(field, -1.234_567_890_123_456_7e-300);
        }
        (0..SYNONYMS.len()).for_each(|number| tick.set_synonym(number as u8));
        let level = DepthLevel { price: -1.5e-300, quantity: 1.5e-300, orders: -1.5e-300 };
        tick.set_depth(&[level; 5], &[level; 5]);
        // The shortest keys, and first those that are longest when they are escaped.
        let mut keys = (1..128).map(|byte| char::from(byte).to_string());
        while tick.push_member(&keys.next().expect("room for fewer"), value) {}
        let messages = market.publish(Mode::Depth, &mut tick);
        assert_eq!(messages.len(), 6, "each is whole: it could be read");
        assert!(market.snapshot(Mode::Depth).is_some());
    }
}
