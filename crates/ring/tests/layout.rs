//! What lies where: other languages and later versions read these bytes.
#![cfg(target_os = "linux")]

mod scratch;

use std::fs;

use openalgo_shm_ring::layout::{FORMAT_VERSION, Kind, LINE, MAGIC, Policy, layout_hash, longest_tick};
use openalgo_shm_ring::message::{DepthLevel, Field, MarketDataMessage, Mode};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, RingConfig, event, interest};
use scratch::ScratchName;

fn word(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

fn text(bytes: &[u8], offset: usize, text: &str) -> bool {
    bytes[offset..].starts_with(text.as_bytes()) && bytes[offset + text.len()] == 0
}

/// A text as little-endian words, padded with zeros.
fn words_of(text: &str, count: usize) -> Vec<u64> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(count * 8, 0);
    bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect()
}

fn float(value: f64) -> u64 {
    value.to_bits()
}

/// The words of a segment of one lane, one consumer and one page of topics, from the first line of the lane on.
fn lines(name: &ScratchName, topic_pages: usize) -> Vec<u64> {
    let bytes = fs::read(name.path()).unwrap();
    bytes[(1 + topic_pages) * 4096..]
        .as_chunks::<8>()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word))
        .collect()
}

#[test]
fn the_first_bytes_say_what_the_segment_is() {
    assert_eq!(MAGIC.to_le_bytes(), *b"OASHMRNG");
    assert_eq!(FORMAT_VERSION, 4);
    assert_eq!(layout_hash(), 0x1e5c_d10b_b371_3ee7, "a changed layout needs a new FORMAT_VERSION");
}

#[test]
fn the_header_holds_the_options() {
    let name = ScratchName::new("header");
    let config = RingConfig::mpmc().lanes(3).consumers(2).buffer_size(10_000).topics(100).depth_levels(5);
    let ring = LockFreeRingBuffer::create(&name, config).unwrap();
    let bytes = fs::read(name.path()).unwrap();
    let header: Vec<u64> = (0..16).map(|index| word(&bytes, index * 8)).collect();
    let created = ring.stats().created_ns;
    // One page of records, 300 topics in five pages, 128 lines a lane.
    let total = 4096 + 5 * 4096 + 3 * 128 * 64;
    assert_eq!(
        header,
        [MAGIC, 4, layout_hash(), 1, 3, 2, 128, 14, 100, 5, 1, total, created, 0, 0, 0],
        "magic, version, hash, kind, lanes, consumers, capacity, longest, topics, depth levels, policy, bytes, created, lanes used"
    );
    assert_eq!(bytes.len() as u64, total);
    assert!(bytes[128..].iter().all(|&byte| byte == 0), "all else is zero");
}

#[test]
fn a_lane_and_a_consumer_say_who_they_are_and_how_far_they_are() {
    let name = ScratchName::new("who");
    let config =
        RingConfig::mpmc().lanes(2).consumers(2).topics(2).buffer_size(32 * LINE).policy(Policy::Lossless);
    let ring = LockFreeRingBuffer::create(&name, config).unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let mut producer = ring.producer("writer").unwrap();
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
    // Eleven fields, seven of them behind the first line: two lines.
    for field in &Field::ALL[..11] {
        tick.set(*field, 1.0);
    }
    for symbol in ["TCS", "INFY", "SBIN"] {
        let tick = MarketDataMessage::<5>::new("NSE", symbol, Mode::Ltp).unwrap();
        assert_eq!(producer.publish(tick.as_words()).is_ok(), symbol != "SBIN", "a third topic is refused");
    }
    for _ in 0..20 {
        producer.publish(tick.as_words()).unwrap();
    }
    assert_eq!(consumer.poll(3, |_| {}), 3);

    let bytes = fs::read(name.path()).unwrap();
    let pid = u64::from(std::process::id());
    assert_eq!(word(&bytes, 104), 1, "lanes used");
    let lane = 256;
    assert_eq!((word(&bytes, lane), word(&bytes, lane + 8)), (2, pid), "generation, pid");
    assert!(word(&bytes, lane + 16) > 1_700_000_000_000_000_000, "started");
    assert!(text(&bytes, lane + 24, "writer"));
    let counters: Vec<u64> = (0..5).map(|index| word(&bytes, lane + 128 + index * 8)).collect();
    assert_eq!(counters, [32, 17, 2, 1, 5], "tail, sequence, topics, topics refused, rejected");
    assert!(word(&bytes, lane + 128 + 40) >= 1, "publishes whose duration was measured");
    assert!(word(&bytes, lane + 128 + 56) > 0, "time of the newest message");
    let record = 256 + 2 * 256;
    assert_eq!((word(&bytes, record), word(&bytes, record + 8)), (2, pid));
    assert_eq!(word(&bytes, record + 24), 2, "gates");
    assert!(text(&bytes, record + 32, "reader"));
    let counts = [80, 88, 96, 112].map(|offset| word(&bytes, record + offset));
    assert_eq!(counts, [3, 0, 0, 3], "received, lost, corrupt, next sequences");
    assert_eq!((word(&bytes, record + 128), word(&bytes, record + 136)), (4, 0), "position in each lane");
}

#[test]
fn a_topic_table_holds_names_of_64_bytes() {
    let name = ScratchName::new("table");
    let config = RingConfig::mpmc().lanes(2).consumers(1).topics(64).buffer_size(32 * LINE);
    let ring = LockFreeRingBuffer::create(&name, config).unwrap();
    let mut producers = [0, 1].map(|lane| ring.producer(&format!("lane {lane}")).unwrap());
    for (lane, symbol) in [(0, "RELIANCE"), (0, "NIFTY24JAN25000CE"), (1, "größe")] {
        producers[lane].topic("NSE", symbol).unwrap();
    }
    let bytes = fs::read(name.path()).unwrap();
    let entry = |lane: usize, number: usize| {
        let words = bytes[4096 + (64 * lane + number) * 64..][..64].as_chunks::<8>().0;
        words.iter().map(|word| u64::from_le_bytes(*word)).collect::<Vec<_>>()
    };
    let expected = |symbol| [words_of("NSE", 2), words_of(symbol, 6)].concat();
    assert_eq!(entry(0, 0), expected("RELIANCE"));
    assert_eq!(entry(0, 1), expected("NIFTY24JAN25000CE"));
    assert_eq!(entry(0, 2), [0; 8]);
    assert_eq!(entry(1, 0), expected("größe"));
    assert_eq!([word(&bytes, 256 + 144), word(&bytes, 512 + 144)], [2, 1], "length of each table");
}

fn ticks(name: &ScratchName) -> LockFreeRingBuffer {
    let config = RingConfig::mpmc().lanes(1).consumers(1).topics(64).buffer_size(32 * LINE);
    LockFreeRingBuffer::create(name, config).unwrap()
}

#[test]
fn an_ltp_tick_is_one_line() {
    let name = ScratchName::new("ltp");
    let mut producer = ticks(&name).producer("writer").unwrap();
    producer.topic("NSE", "another").unwrap();
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "RELIANCE", Mode::Ltp).unwrap();
    producer.write(tick.as_words(), 41).unwrap();
    tick.set(Field::Ltp, 150.25).set(Field::Volume, 1000.0).set(Field::Timestamp, 1.7e12);
    producer.write(tick.as_words(), 42).unwrap();
    let lines = lines(&name, 1);
    let empty = [2, 1 | 1 << 32 | 1 << 40, 0, 41, 0, 0, 0, 0];
    let ltp = [
        4,                     // stamp: a message begins at position 1, and is whole
        1 | 1 << 32 | 1 << 40, // topic 1, mode LTP, one line, no levels
        1 | 0b1011 << 32,      // sequence 1; ltp, volume and timestamp are present
        42,                    // publish time
        float(150.25),
        float(1000.0),
        0,
        float(1.7e12),
    ];
    assert_eq!(lines[..8], empty);
    assert_eq!(lines[8..16], ltp);
    assert!(lines[16..].iter().all(|&word| word == 0), "the next line is untouched");
}

#[test]
fn a_quote_has_its_fields_densely_in_the_order_of_their_bits() {
    let name = ScratchName::new("quote");
    let mut producer = ticks(&name).producer("writer").unwrap();
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
    let fields = [
        Field::Ltp,
        Field::Open,
        Field::High,
        Field::Low,
        Field::Close,
        Field::Oi,
        Field::BidQty,
        Field::Seq,
        Field::ExchangeTimestamp,
    ];
    for (index, field) in fields.into_iter().enumerate() {
        tick.set(field, index as f64 + 0.5);
    }
    producer.write(tick.as_words(), 42).unwrap();
    let presence = 1 | 0b1111 << 4 | 1 << 11 | 1 << 14 | 1 << 27 | 1 << 31_u64;
    let expected = [
        [2, 2 << 32 | 3 << 40, presence << 32, 42, float(0.5), 0, 0, 0],
        // Inside stamp of position 1; open, high, low, close, oi, bid_qty, seq.
        [3, float(1.5), float(2.5), float(3.5), float(4.5), float(5.5), float(6.5), float(7.5)],
        // Inside stamp of position 2; exchange_timestamp.
        [5, float(8.5), 0, 0, 0, 0, 0, 0],
        [0; 8],
    ];
    assert_eq!(lines(&name, 1)[..32], *expected.as_flattened());
}

#[test]
fn a_depth_tick_has_its_levels_behind_its_fields() {
    let name = ScratchName::new("depth");
    let mut producer = ticks(&name).producer("writer").unwrap();
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Depth).unwrap();
    tick.set(Field::Ltp, 150.25).set(Field::Open, 149.5);
    let level = |price| DepthLevel { price, quantity: 10.0, orders: 2.0 };
    tick.set_depth(&[level(150.0)], &[level(150.5), level(151.0)]).unwrap();
    producer.write(tick.as_words(), 42).unwrap();
    let (ten, two) = (float(10.0), float(2.0));
    let expected = [
        [2, 3 << 32 | 3 << 40 | 1 << 48 | 2 << 56, 0b1_0001 << 32, 42, float(150.25), 0, 0, 0],
        [3, float(149.5), float(150.0), ten, two, float(150.5), ten, two],
        [5, float(151.0), ten, two, 0, 0, 0, 0],
        [0; 8],
    ];
    assert_eq!(lines(&name, 1)[..32], *expected.as_flattened());
}

#[test]
fn a_tick_has_its_synonym_words_last() {
    let name = ScratchName::new("synonyms");
    let mut producer = ticks(&name).producer("writer").unwrap();
    let mut ltp: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
    ltp.set(Field::Ltp, 150.25).set_synonym(1).unwrap();
    producer.write(ltp.as_words(), 42).unwrap();
    let mut depth: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Depth).unwrap();
    depth.set(Field::Open, 149.5).set_synonym(64).unwrap().set_synonym(63).unwrap();
    depth.set_depth(&[DepthLevel { price: 150.0, quantity: 10.0, orders: 2.0 }], &[]).unwrap();
    producer.write(depth.as_words(), 43).unwrap();
    let expected = [
        // Topic 0, mode LTP, one synonym word, two lines.
        [2, 1 << 32 | 1 << 34 | 2 << 40, 1 << 32, 42, float(150.25), 0, 0, 0],
        [3, 0b10, 0, 0, 0, 0, 0, 0],
        [6, 3 << 32 | 2 << 34 | 2 << 40 | 1 << 48, 1 | 0b1_0000 << 32, 43, 0, 0, 0, 0],
        [7, float(149.5), float(150.0), float(10.0), float(2.0), 1 << 63, 1, 0],
        [0; 8],
    ];
    assert_eq!(lines(&name, 1)[..40], *expected.as_flattened());
}

#[test]
fn a_message_goes_on_at_the_beginning_of_its_lane() {
    let name = ScratchName::new("wrap");
    let mut producer = ticks(&name).producer("writer").unwrap();
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
    for _ in 0..31 {
        producer.write(tick.as_words(), 1).unwrap();
    }
    for field in &Field::ALL[..12] {
        tick.set(*field, f64::from(*field as u8));
    }
    producer.write(tick.as_words(), 42).unwrap();
    let lines = lines(&name, 1);
    let fields: Vec<u64> = (0..12).map(|field| float(f64::from(field))).collect();
    assert_eq!(lines[31 * 8..32 * 8][..4], [64, 2 << 32 | 3 << 40, 31 | 0xfff << 32, 42]);
    assert_eq!(lines[31 * 8 + 4..32 * 8], fields[..4]);
    assert_eq!(lines[0], 65, "inside stamp of position 32");
    assert_eq!(lines[1..8], fields[4..11]);
    assert_eq!(lines[8..10], [67, fields[11]]);
    assert_eq!(lines[16], 6, "position 2 is untouched");
}

#[test]
fn interest_is_two_lines() {
    let name = ScratchName::new("interest");
    let config = RingConfig::mpmc().lanes(1).consumers(1).of_kind(Kind::Interest, interest::WORDS);
    let ring = LockFreeRingBuffer::create(&name, config.buffer_size(4 * LINE)).unwrap();
    let mut producer = ring.producer("proxy").unwrap();
    let mut message = vec![0b110 | 5 << 32, 7 | 9 << 32];
    message.extend([words_of("NSE", 2), words_of("RELIANCE", 6)].concat());
    producer.write(&message, 42).unwrap();
    let symbol = words_of("RELIANCE", 6);
    let expected = [
        [2, 2 << 40, 10 << 32, 42, message[0], message[1], words_of("NSE", 1)[0], 0],
        [3, symbol[0], 0, 0, 0, 0, 0, 0],
        [0; 8],
    ];
    assert_eq!(ring.layout().longest, 2);
    assert_eq!(lines(&name, 0)[..24], *expected.as_flattened());
    assert_eq!(word(&fs::read(name.path()).unwrap(), 24), 2, "kind");
}

#[test]
fn an_event_has_as_many_lines_as_its_text_needs() {
    let name = ScratchName::new("event");
    let config = RingConfig::mpmc().lanes(1).consumers(1).of_kind(Kind::Events, event::MAX_WORDS);
    let ring = LockFreeRingBuffer::create(&name, config.buffer_size(128 * LINE)).unwrap();
    let mut producer = ring.producer("feed").unwrap();
    let json = "{\"orderid\":\"1\",\"status\":\"complete\",\"price\":1402.5}";
    let text = words_of(json, json.len().div_ceil(8));
    producer.write(&[vec![json.len() as u64], text.clone()].concat(), 42).unwrap();
    let expected = [
        [2, 2 << 40, 8 << 32, 42, json.len() as u64, text[0], text[1], text[2]],
        [3, text[3], text[4], text[5], text[6], 0, 0, 0],
        [0; 8],
    ];
    assert_eq!(ring.layout().longest, 37);
    assert_eq!(lines(&name, 0)[..24], *expected.as_flattened());
    assert_eq!(word(&fs::read(name.path()).unwrap(), 24), 3, "kind");
}

#[test]
fn the_longest_tick_grows_with_the_levels() {
    assert_eq!([0, 1, 5, 20, 200].map(longest_tick), [10, 11, 14, 27, 181]);
}
