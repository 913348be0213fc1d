//! What lies where: other languages and later versions read these bytes.
#![cfg(target_os = "linux")]

mod scratch;

use std::fs;

use openalgo_shm_core::layout::{FORMAT_VERSION, MAGIC, Policy, layout_hash, tick_stride};
use openalgo_shm_core::message::{DepthLevel, Field, MarketDataMessage, Mode};
use openalgo_shm_core::{ConsumerOptions, LockFreeRingBuffer, RingConfig};
use scratch::ScratchName;

fn word(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

fn text(bytes: &[u8], offset: usize, text: &str) -> bool {
    bytes[offset..].starts_with(text.as_bytes()) && bytes[offset + text.len()] == 0
}

#[test]
fn the_first_bytes_say_what_the_segment_is() {
    assert_eq!(MAGIC.to_le_bytes(), *b"OASHMRNG");
    assert_eq!(FORMAT_VERSION, 1);
    assert_eq!(layout_hash(), 0x009c_93ba_14c1_4111, "a changed layout needs a new FORMAT_VERSION");
}

#[test]
fn the_header_holds_the_options() {
    let name = ScratchName::new("header");
    let config = RingConfig::mpmc().lanes(3).consumers(2).buffer_size(10_000).depth_levels(5);
    let ring = LockFreeRingBuffer::create(&name, config).unwrap();
    let bytes = fs::read(name.path()).unwrap();
    let header: Vec<u64> = (0..16).map(|index| word(&bytes, index * 8)).collect();
    let created = ring.stats().created_ns;
    let total = 4096 + 3 * 8 * 640;
    assert_eq!(
        header,
        [MAGIC, 1, layout_hash(), 1, 3, 2, 8, 640, 5, 1, total, created, 0, 0, 0, 0],
        "magic, version, hash, kind, lanes, consumers, capacity, stride, depth levels, policy, bytes, created, lanes used"
    );
    assert_eq!(bytes.len() as u64, total);
}

#[test]
fn a_lane_and_a_consumer_say_who_they_are() {
    let name = ScratchName::new("who");
    let config = RingConfig::mpmc().lanes(2).consumers(2).buffer_size(8 * 640).policy(Policy::Lossless);
    let ring = LockFreeRingBuffer::create(&name, config).unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let mut producer = ring.producer("writer").unwrap();
    let tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
    for _ in 0..3 {
        producer.publish(tick.as_words()).unwrap();
    }
    assert_eq!(consumer.poll(2, |_| {}), 2);

    let bytes = fs::read(name.path()).unwrap();
    let pid = u64::from(std::process::id());
    assert_eq!(word(&bytes, 96), 1, "lanes used");
    let lane = 256;
    assert_eq!((word(&bytes, lane), word(&bytes, lane + 8)), (2, pid), "generation, pid");
    assert!(text(&bytes, lane + 24, "writer"));
    assert_eq!(word(&bytes, lane + 128), 3, "tail");
    let record = 256 + 2 * 256;
    assert_eq!((word(&bytes, record), word(&bytes, record + 8)), (2, pid));
    assert_eq!(word(&bytes, record + 24), 2, "gates");
    assert!(text(&bytes, record + 32, "reader"));
    assert_eq!((word(&bytes, record + 80), word(&bytes, record + 88)), (2, 0), "received, lost");
    assert_eq!((word(&bytes, record + 128), word(&bytes, record + 136)), (2, 0), "cursor of each lane");
}

#[test]
fn a_slot_holds_the_message_word_for_word() {
    let name = ScratchName::new("slot");
    let config = RingConfig::mpmc().lanes(1).consumers(1).buffer_size(2 * 640);
    let ring = LockFreeRingBuffer::create(&name, config).unwrap();
    let mut producer = ring.producer("writer").unwrap();
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "RELIANCE", Mode::Depth).unwrap();
    tick.set(Field::Ltp, 150.25).set(Field::Volume, 1000.0).set(Field::Open, 149.5);
    let level = |price| DepthLevel { price, quantity: 10.0, orders: 2.0 };
    tick.set_depth(&[level(150.0)], &[level(150.5), level(151.0)]).unwrap();
    producer.write(tick.as_words(), 42).unwrap();

    let bytes = fs::read(name.path()).unwrap();
    let slot = &bytes[4096..4096 + 640];
    let f64_at = |index: usize| f64::from_bits(word(slot, index * 8));
    assert_eq!(word(slot, 0), 2, "stamp of message 0, committed");
    assert_eq!(word(slot, 8), 24 | 48 << 16 | 9 << 32, "extent: three lines, then three levels");
    assert_eq!(word(slot, 16), 42, "publish time");
    assert_eq!(word(slot, 24), 0b1_0011 | 3 << 40 | 1 << 48 | 2 << 56, "presence, mode, buys, sells");
    assert_eq!((f64_at(4), f64_at(5), f64_at(16)), (150.25, 1000.0, 149.5), "ltp, volume, open");
    assert!(text(slot, 64, "NSE"));
    assert!(text(slot, 80, "RELIANCE"));
    assert_eq!((f64_at(48), f64_at(49), f64_at(50)), (150.0, 10.0, 2.0), "best buy");
    assert_eq!((f64_at(51), f64_at(54)), (150.5, 151.0), "sells follow");
    assert!(bytes[4096 + 640..].iter().all(|&byte| byte == 0), "the next slot is untouched");
}

#[test]
fn strides_are_whole_lines() {
    assert_eq!([0, 1, 5, 20, 200].map(tick_stride), [384, 448, 640, 1344, 9984]);
}
