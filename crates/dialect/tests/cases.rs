//! The cases that the tests of Rust, TypeScript and Python share.

use openalgo_shm_dialect::{Raw, Reader, Scalar, Strictness, Topic};
use openalgo_shm_ring::message::{Field, MemberValue, MessageView, Mode, SYNONYMS, TickImage};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, RingConfig};
use serde_json::{Map, Value};

/// JSON's values as a tick's.
struct Json<'a>(&'a Value);

impl Raw for Json<'_> {
    type Key = str;

    fn scalar(&self) -> Scalar<'_> {
        match self.0 {
            Value::Null => Scalar::Null,
            Value::Bool(flag) => Scalar::Bool(*flag),
            Value::Number(number) => Scalar::Number(number.as_f64().unwrap()),
            Value::String(text) => Scalar::Text(text),
            Value::Array(_) | Value::Object(_) => Scalar::Other,
        }
    }

    fn for_each_entry(&self, mut each: impl FnMut(&str, &Self)) -> bool {
        let Value::Object(entries) = self.0 else { return false };
        entries.iter().for_each(|(key, value)| each(key, &Json(value)));
        true
    }

    fn for_each_item(&self, mut each: impl FnMut(usize, &Self) -> bool) -> bool {
        let Value::Array(items) = self.0 else { return false };
        let _ = items.iter().enumerate().all(|(index, item)| each(index, &Json(item)));
        true
    }

    fn describe(&self) -> String {
        self.0.to_string()
    }
}

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("cases.json")).unwrap()
}

fn read(
    reader: &mut Reader,
    tick: &Value,
    known: bool,
    image: &mut TickImage,
) -> openalgo_shm_ring::Result<()> {
    let known = if known {
        Topic { symbol: Some("SBIN"), exchange: Some("NSE"), mode: Some(Mode::Ltp) }
    } else {
        Topic::default()
    };
    reader.read(&Json(tick), known, 5, image)
}

#[test]
fn every_case() {
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let mut reader = Reader::default();
        let mut image = TickImage::new();
        let outcome = read(&mut reader, &case["tick"], case["known"] == true, &mut image);
        if let Some(code) = case["error"].as_str() {
            assert_eq!(outcome.unwrap_err().code().as_str(), code, "{name}");
            continue;
        }
        outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(Some(reader.mode(&image) as u64), case["mode"].as_u64(), "{name}: mode");
        assert_eq!(reader.symbol(), case["symbol"].as_str(), "{name}: symbol");
        assert_eq!(reader.exchange(), case["exchange"].as_str(), "{name}: exchange");
        let expected = case["fields"].as_object().unwrap();
        for field in Field::ALL {
            let found = image.field(field);
            match expected.get(field.name()) {
                None => assert_eq!(found, None, "{name}: {}", field.name()),
                Some(Value::String(_)) => assert!(found.is_some_and(f64::is_nan), "{name}: {}", field.name()),
                Some(value) => assert_eq!(found, value.as_f64(), "{name}: {}", field.name()),
            }
        }
        let bits = image.synonyms();
        let told = (0..SYNONYMS.len()).filter(|number| bits[number / 64] >> (number % 64) & 1 != 0);
        assert_eq!(
            sorted(told.map(|number| SYNONYMS[number].1)),
            texts(&case["synonyms"]),
            "{name}: synonyms"
        );
        assert_eq!(
            sorted(reader.unknown().iter().map(|(key, _)| key)),
            texts(&case["unknown"]),
            "{name}: unknown"
        );
        let unreadable = sorted(reader.unreadable().iter().map(|(key, _)| key));
        assert_eq!(unreadable, texts(&case["unreadable"]), "{name}: unreadable");
        let mode = reader.mode(&image);
        assert_eq!(
            Value::Object(members(&mut image.clone(), mode)),
            or_empty(&case["members"]),
            "{name}: members"
        );
        assert_eq!(book(&mut image, mode), image_levels(&case["depth"]), "{name}");
    }
}

#[test]
fn a_strict_reader_refuses_what_it_cannot_read() {
    for case in cases() {
        let mut reader = Reader::new(Strictness::Strict, 330);
        let outcome = read(&mut reader, &case["tick"], case["known"] == true, &mut TickImage::new());
        let is_refused = case["error"].is_string() || case["unreadable"].is_array();
        assert_eq!(outcome.is_err(), is_refused, "{}", case["name"]);
    }
}

#[test]
fn a_deep_book_is_cut_to_the_ring() {
    let levels: Vec<_> = (0..200).map(|level| serde_json::json!([level, 1, 1])).collect();
    let tick = serde_json::json!({ "depth": { "buy": levels, "sell": [] } });
    let (mut reader, mut image) = (Reader::default(), TickImage::new());
    read(&mut reader, &tick, false, &mut image).unwrap();
    assert_eq!((reader.deepest(), image.levels()), (200, (5, 0)));
    read(&mut reader, &serde_json::json!({ "ltp": 1 }), false, &mut image).unwrap();
    assert_eq!((reader.deepest(), image.levels()), (0, (0, 0)));
}

#[test]
fn endless_new_keys_do_not_fill_the_memory() {
    let (mut reader, mut image) = (Reader::default(), TickImage::new());
    for number in 0..1000 {
        let tick = serde_json::json!({ "ltp": 1, (format!("key {number}")): 1 });
        read(&mut reader, &tick, false, &mut image).unwrap();
    }
    assert_eq!(reader.unknown().iter().count(), 256);
}

fn sorted<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<_> = texts.collect();
    texts.sort_unstable();
    texts
}

fn texts(value: &Value) -> Vec<&str> {
    sorted(value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()))
}

/// The members of the annex, as a reader of the ring sees them.
fn members(image: &mut TickImage, mode: Mode) -> Map<String, Value> {
    let ring = LockFreeRingBuffer::on_heap(RingConfig::mpmc().lanes(1).consumers(1)).unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let mut producer = ring.producer("writer").unwrap();
    let topic = producer.topic("NSE", "SBIN").unwrap();
    assert!(producer.publish_to(topic, image.finish(mode)).unwrap());
    let mut members = Map::new();
    let read = |tick: MessageView| {
        let Some(annex) = tick.annex() else { return };
        for (key, value) in annex.members().iter() {
            let value = match value {
                MemberValue::Number(number) if number.fract() == 0.0 => (number as i64).into(),
                MemberValue::Number(number) => number.into(),
                MemberValue::Text(text) => text.into(),
                MemberValue::Flag(flag) => flag.into(),
            };
            assert!(members.insert(key.to_owned(), value).is_none());
        }
    };
    assert_eq!(consumer.poll(1, read), 1);
    members
}

fn or_empty(value: &Value) -> Value {
    if value.is_null() { Value::Object(Map::new()) } else { value.clone() }
}

type Levels = [Vec<[f64; 3]>; 2];

fn image_levels(book: &Value) -> Levels {
    ["buy", "sell"].map(|side| {
        let levels = book[side].as_array().into_iter().flatten();
        levels.map(|level| [0, 1, 2].map(|part| level[part].as_f64().unwrap())).collect()
    })
}

/// The levels of an image.
fn book(image: &mut TickImage, mode: Mode) -> Levels {
    let (buys, sells) = image.levels();
    let levels = image.finish(mode)[openalgo_shm_ring::message::LEVELS_WORD..].as_chunks::<3>().0;
    let levels: Vec<_> = levels.iter().map(|level| level.map(f64::from_bits)).collect();
    [levels[..buys].to_vec(), levels[buys..buys + sells].to_vec()]
}
