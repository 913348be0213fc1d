//! Producers and consumers as threads on heap memory: what Miri and ThreadSanitizer watch.

mod scratch;

use std::time::Duration;

use openalgo_shm_core::layout::{NAME_BYTES, Policy};
use openalgo_shm_core::message::{Field, MarketDataMessage, Mode};
use openalgo_shm_core::monitor::PublisherNames;
use openalgo_shm_core::{ConsumerOptions, LockFreeRingBuffer, RingConfig, Start, TickEncoder, WaitStrategy};
use scratch::{message, payload, plain};

const MESSAGES: u64 = if cfg!(miri) { 20 } else { 10_000 };
const OWNERS: u64 = if cfg!(miri) { 2 } else { 20 };
/// Often enough that some of them fall into a change of owners.
const READS: u64 = if cfg!(miri) { 20 } else { 100_000 };

fn ring(lanes: usize, policy: Policy, capacity: usize) -> LockFreeRingBuffer {
    LockFreeRingBuffer::on_heap(plain(RingConfig::mpmc().lanes(lanes).consumers(4).policy(policy), capacity))
        .unwrap()
}

/// Sends `MESSAGES` in all, through several owners of a lane one after another.
fn send_all(ring: &LockFreeRingBuffer, name: &str) {
    for owner in 0..OWNERS {
        let mut producer = ring.producer(name).unwrap();
        while producer.tail() < MESSAGES * (owner + 1) / OWNERS {
            let number = producer.tail();
            let words = message(&[number, !number, number << 32]);
            let taken = match number % 3 {
                0 => producer.publish(&words).unwrap(),
                1 => producer.write(&words, 0).unwrap(),
                _ => producer.publish_batch([words.as_slice()]).unwrap() == 1,
            };
            if !taken {
                std::thread::yield_now();
            }
        }
        producer.flush();
    }
}

/// Reads until both lanes have ended; returns what was lost.
fn read_all(ring: &LockFreeRingBuffer, strategy: WaitStrategy) -> u64 {
    let mut consumer = ring.consumer(ConsumerOptions::new("reader").from(Start::Oldest)).unwrap();
    let first: u64 = consumer.positions().iter().sum();
    let mut last = [None; 2];
    while consumer.positions().iter().sum::<u64>() < 2 * MESSAGES {
        consumer.wait(strategy, Duration::from_millis(1));
        consumer.poll_words(7, |record| {
            let number = record[0];
            assert_eq!(payload(record, 3), [number, !number, number << 32]);
            let last = &mut last[(record[1] >> 48) as usize];
            assert!(*last < Some(number));
            *last = Some(number);
        });
    }
    assert_eq!(first + consumer.received() + consumer.lost(), 2 * MESSAGES);
    assert_eq!(consumer.corrupt(), 0);
    consumer.lost()
}

#[test]
fn two_lanes_and_three_readers_agree_on_every_message() {
    for policy in [Policy::Overwrite, Policy::Lossless] {
        let ring = ring(2, policy, 8);
        // It gates from the beginning, so that a lossless ring waits for it.
        let gate = ring.consumer(ConsumerOptions::new("gate")).unwrap();
        let lost: u64 = std::thread::scope(|scope| {
            let readers = [WaitStrategy::Spin, WaitStrategy::Adaptive, WaitStrategy::Sleep].map(|strategy| {
                scope.spawn({
                    let ring = ring.clone();
                    move || read_all(&ring, strategy)
                })
            });
            if policy == Policy::Lossless {
                // Who is here before the first message loses none.
                while ring.stats().consumers.len() < 4 {
                    std::thread::yield_now();
                }
            }
            drop(gate);
            for name in ["first", "second"] {
                let ring = &ring;
                scope.spawn(move || send_all(ring, name));
            }
            readers.map(|reader| reader.join().unwrap()).iter().sum()
        });
        assert!(policy == Policy::Overwrite || lost == 0, "lost {lost} in a lossless ring");
    }
}

#[test]
fn monitors_read_while_owners_come_and_go() {
    let ring = ring(1, Policy::Overwrite, 8);
    // As long as a name can be: a record of two owners would show words of both.
    let owners = ["first ", "other "].map(|name| name.repeat(NAME_BYTES / name.len()));
    let check = |name: &str| {
        assert!(name.is_empty() || owners.iter().any(|owner| owner == name), "{name:?} is nobody's name");
    };
    std::thread::scope(|scope| {
        let monitor = scope.spawn(|| {
            let mut names = PublisherNames::default();
            for _ in 0..READS {
                let stats = ring.stats();
                stats.lanes.iter().for_each(|lane| check(&lane.publisher));
                stats.consumers.iter().for_each(|consumer| check(&consumer.name));
                let publisher = names.of(&ring, 0);
                check(names.name(publisher));
            }
        });
        for name in owners.iter().cycle() {
            if monitor.is_finished() {
                break;
            }
            ring.producer(name).unwrap().publish(&message(&[0])).unwrap();
            drop(ring.consumer(ConsumerOptions::new(name)).unwrap());
        }
    });
}

#[test]
fn an_encoder_reads_while_a_feed_writes() {
    let ring =
        LockFreeRingBuffer::on_heap(RingConfig::mpmc().lanes(1).consumers(1).buffer_size(8 * 640)).unwrap();
    let mut encoder = TickEncoder::new(ring.consumer(ConsumerOptions::new("encoder")).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer = ring.producer("feed").unwrap();
            let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
            for number in 0..MESSAGES {
                tick.set(Field::Ltp, number as f64).set(Field::Open, number as f64);
                producer.publish(tick.as_words()).unwrap();
            }
        });
        let room = 4 * encoder.longest_tick();
        let (mut arena, mut entries, mut stamps) = (vec![0; room], vec![0; 64], vec![0.0; 16]);
        while encoder.consumer().positions()[0] < MESSAGES {
            encoder.drain(&mut arena, &mut entries, &mut stamps);
        }
    });
    let consumer = encoder.consumer();
    assert_eq!((consumer.received() + consumer.lost(), consumer.corrupt()), (MESSAGES, 0));
}
