//! Producers and consumers as threads on heap memory: what Miri and ThreadSanitizer watch.

mod scratch;

use std::time::Duration;

use openalgo_shm_ring::layout::{NAME_BYTES, Policy};
use openalgo_shm_ring::stats::PublisherNames;
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, RingConfig, Start, WaitStrategy};
use scratch::{mix, sized, words_of_lines};

const MESSAGES: u64 = if cfg!(miri) { 20 } else { 10_000 };
/// Lines of the longest message.
const LONGEST: usize = 3;
const OWNERS: u64 = if cfg!(miri) { 2 } else { 20 };
/// Often enough that some of them fall into a change of owners.
const READS: u64 = if cfg!(miri) { 20 } else { 100_000 };

fn ring(lanes: usize, policy: Policy, capacity: usize) -> LockFreeRingBuffer {
    let config = RingConfig::mpmc().lanes(lanes).consumers(4).policy(policy);
    LockFreeRingBuffer::on_heap(sized(config, LONGEST, capacity)).unwrap()
}

/// Message `number`: of one line up to the longest.
fn message(number: u64) -> Vec<u64> {
    let length = 1 + mix(number) as usize % words_of_lines(LONGEST);
    (0..length as u64).map(|index| number ^ index << 32).collect()
}

/// Sends `MESSAGES` in all, through several owners of a lane one after another.
fn send_all(ring: &LockFreeRingBuffer, name: &str) {
    for owner in 0..OWNERS {
        let mut producer = ring.producer(name).unwrap();
        while producer.tail() < MESSAGES * (owner + 1) / OWNERS {
            let number = producer.tail();
            let words = message(number);
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
            let number = record.sequence();
            assert!(record.words().eq(message(number)), "message {number} is torn");
            let last = &mut last[record.lane()];
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
                // A reader that has joined before the first message loses none.
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
                let publisher = names.of(ring.segment(), 0);
                check(names.name(publisher));
            }
        });
        for name in owners.iter().cycle() {
            if monitor.is_finished() {
                break;
            }
            ring.producer(name).unwrap().publish(&[0]).unwrap();
            drop(ring.consumer(ConsumerOptions::new(name)).unwrap());
        }
    });
}
