//! A message whose counts cannot be true is counted and skipped, and those beside it are read.
#![cfg(target_os = "linux")]

mod scratch;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use openalgo_shm_ring::layout::{LINE, Policy};
use openalgo_shm_ring::message::{DepthLevel, Field, MarketDataMessage, Mode};
use openalgo_shm_ring::{Consumer, ConsumerOptions, LockFreeRingBuffer, Producer, RingConfig, WaitStrategy};
use scratch::{ScratchName, sized, words_of_lines};

/// Meta and presence words of a head.
const META: u64 = 8;
const PRESENCE: u64 = 16;

struct Bench {
    ring: LockFreeRingBuffer,
    producer: Producer,
    consumer: Consumer,
    file: File,
    /// Byte offset of the lane.
    lines: u64,
    _name: ScratchName,
}

impl Bench {
    fn new(config: RingConfig) -> Self {
        let name = ScratchName::new("corrupt");
        let ring = LockFreeRingBuffer::create(&name, config).unwrap();
        let lines = (ring.layout().total_bytes() - ring.layout().lane_bytes()) as u64;
        Self {
            producer: ring.producer("writer").unwrap(),
            consumer: ring.consumer(ConsumerOptions::new("reader")).unwrap(),
            file: File::options().write(true).open(name.path()).unwrap(),
            lines,
            ring,
            _name: name,
        }
    }

    fn write(&self, position: u64, word: u64, value: u64) {
        let line = position % self.ring.layout().capacity as u64;
        let offset = self.lines + line * LINE as u64 + word;
        self.file.write_all_at(&value.to_le_bytes(), offset).unwrap();
    }
}

/// A tick of these fields and levels; its price is its number.
fn tick(number: u64, fields: usize, levels: usize) -> MarketDataMessage<2> {
    let mut tick = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
    tick.set(Field::Ltp, number as f64);
    Field::ALL[1..fields].iter().for_each(|field| {
        tick.set(*field, 1.0);
    });
    tick.set_depth(&[DepthLevel::default(); 2][..levels], &[DepthLevel::default()][..levels.min(1)]).unwrap();
    tick
}

/// Mode, lines, buy levels and sell levels in the upper half of the meta word.
const fn meta(lines: u64, buys: u64, sells: u64) -> u64 {
    2 << 32 | lines << 40 | buys << 48 | sells << 56
}

/// Nobody polls it in vain thousands of times: only the end of its wait can tell it that its lane has gone on.
#[test]
fn a_reader_that_waits_on_a_message_whose_stamp_is_gone_goes_on() {
    for policy in [Policy::Overwrite, Policy::Lossless] {
        for strategy in [WaitStrategy::Spin, WaitStrategy::Adaptive, WaitStrategy::Sleep] {
            let mut bench = Bench::new(sized(RingConfig::mpmc().lanes(1).consumers(1).policy(policy), 2, 64));
            let position = bench.producer.position();
            bench.producer.publish(&[0]).unwrap();
            bench.write(position, 0, 0);
            let Bench { producer, consumer, .. } = &mut bench;
            let found = std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    let mut found = Vec::new();
                    while found.len() < 2 {
                        assert!(consumer.wait(strategy, Duration::from_secs(60)), "it is deaf");
                        consumer.poll_words(9, |record| found.push(record.words().next().unwrap()));
                    }
                    found
                });
                producer.publish(&[1]).unwrap();
                producer.publish(&[2]).unwrap();
                reader.join().unwrap()
            });
            assert_eq!(found, [1, 2]);
            let counts = (bench.consumer.corrupt(), bench.consumer.lost());
            assert_eq!(counts, (1, 0), "{policy:?}, {strategy:?}");
        }
    }
}

#[test]
fn a_tick_whose_counts_contradict_each_other_is_skipped() {
    // Lines, buy levels, sell levels, presence bits, synonym words.
    let lies = [
        (0, 0, 0, 0xf, 0),
        (1, 0, 0, 0x1f, 0),
        (1, 1, 0, 0xf, 0),
        (2, 0, 0, 0xf, 0),
        (2, 0, 0, 0xffff_ffff, 0),
        (4, 0, 0, 0xfff, 0),
        (5, 2, 2, 0x1f, 0),
        (2, 3, 0, 0xf, 0),
        (2, 0, 3, 0xf, 0),
        (200, 200, 200, 0xffff_ffff, 0),
        (255, 255, 255, 0xffff_ffff, 0),
        (u64::MAX, u64::MAX, u64::MAX, 0, 0),
        (1, 0, 0, 0xf, 1),
        (1, 0, 0, 0xf, 3),
        (2, 0, 0, 0xf, 3),
        (2, 0, 0, 0x7ff, 1),
        (3, 0, 0, 0x3ff, 1),
        (7, 2, 2, 0xffff_ffff, 3),
    ];
    for (lines, buys, sells, presence, synonyms) in lies {
        // 28 fields and three levels behind the first line: seven lines.
        let config = RingConfig::mpmc().lanes(1).consumers(1).depth_levels(2).topics(64);
        let mut bench = Bench::new(config.buffer_size(64 * LINE));
        for number in 0..40 {
            let position = bench.producer.position();
            let (fields, levels) = [(4, 0), (32, 2), (9, 1)][number as usize % 3];
            bench.producer.publish(tick(number, fields, levels).as_words()).unwrap();
            if number % 4 == 1 {
                bench.write(position, META, meta(lines, buys, sells) | synonyms << 34);
                bench.write(position, PRESENCE, number | presence << 32);
            }
            if number % 4 != 3 {
                continue;
            }
            let mut found = Vec::new();
            bench.consumer.poll(9, |tick| found.push(tick.field(Field::Ltp).unwrap() as u64));
            let what = format!("{lines} lines, {buys} + {sells} levels, {presence:x}, {synonyms} words");
            let counts = bench.consumer.counts();
            assert_eq!(found, [number - 3, number - 1, number], "{what}");
            assert_eq!((counts.corrupt, counts.lost), (number.div_ceil(4), 0), "{what}");
            assert_eq!(bench.consumer.positions(), [number + 1], "{what}");
        }
    }
}

/// Nothing says where the next message begins: as many lines on as this one claims, if that can be true.
#[test]
fn a_corrupt_message_that_was_not_recorded_yet_does_no_lasting_harm() {
    for (lines, presence) in [(0, 0), (1, 0x1f), (2, 0xf), (6, 0xfff), (200, u64::from(u32::MAX)), (255, 0)] {
        let config = RingConfig::mpmc().lanes(1).consumers(1).depth_levels(2).topics(64);
        let mut bench = Bench::new(config.buffer_size(64 * LINE));
        for number in 0..9 {
            let position = bench.producer.position();
            bench.producer.write(tick(number, 4 + number as usize * 3, 1).as_words(), 0).unwrap();
            if number % 3 == 1 {
                bench.write(position, META, meta(lines, 0, 0));
                bench.write(position, PRESENCE, number | presence << 32);
            }
            bench.consumer.poll(9, |_| {});
        }
        bench.producer.flush();
        (0..4200).for_each(|_| {
            bench.consumer.poll(9, |_| {});
        });
        let corrupt = bench.consumer.corrupt();
        assert!((1..=9).contains(&corrupt) && bench.consumer.lost() <= 9, "{:?}", bench.consumer.counts());
        for number in 9..200 {
            bench.producer.publish(tick(number, 4, 0).as_words()).unwrap();
            let mut last = None;
            bench.consumer.poll(9, |tick| last = tick.field(Field::Ltp));
            assert_eq!(last, Some(number as f64), "{lines} lines, {presence:x}");
        }
        assert_eq!(bench.consumer.corrupt(), corrupt);
    }
}

#[test]
fn a_message_whose_words_do_not_fit_its_lines_is_skipped() {
    let lies = [
        (0, 0),
        (0, 4),
        (1, 5),
        (1, 11),
        (1, 15),
        (1, 16),
        (2, 4),
        (2, 0),
        (2, 12),
        (3, 11),
        (3, 19),
        (4, 19),
        (4, 25),
        (255, 1780),
        (1, u64::from(u32::MAX)),
    ];
    for (lines, words) in lies {
        let mut bench = Bench::new(sized(RingConfig::mpmc().lanes(1).consumers(1), 3, 32));
        for number in 0..40_u64 {
            let position = bench.producer.position();
            bench.producer.publish(&vec![number; words_of_lines(1 + number as usize % 3)]).unwrap();
            if number % 4 == 1 {
                bench.write(position, META, lines << 40);
                bench.write(position, PRESENCE, number | words << 32);
            }
            if number % 4 != 3 {
                continue;
            }
            let mut found = Vec::new();
            bench.consumer.poll_words(9, |record| {
                assert_eq!(record.words().count(), record.len());
                found.push(record.words().next().unwrap());
            });
            let counts = bench.consumer.counts();
            assert_eq!(found, [number - 3, number - 1, number], "{lines} lines, {words} words");
            assert_eq!(
                (counts.corrupt, counts.lost),
                (number.div_ceil(4), 0),
                "{lines} lines, {words} words"
            );
        }
    }
}

#[test]
fn a_message_whose_stamp_is_gone_costs_itself_alone() {
    for stamp in [0, 1, 3, 1 << 40, u64::MAX - 1, u64::MAX] {
        let mut bench = Bench::new(sized(RingConfig::mpmc().lanes(1).consumers(1), 3, 32));
        for number in 0..40_u64 {
            let position = bench.producer.position();
            bench.producer.publish(&vec![number; words_of_lines(1 + number as usize % 3)]).unwrap();
            if number % 4 == 1 {
                bench.write(position, 0, stamp);
            }
            if number % 4 != 3 {
                continue;
            }
            let mut found = Vec::new();
            // One that looks like the line of an earlier lap is waited for, but not for ever.
            for _ in 0..4200 {
                bench.consumer.poll_words(9, |record| found.push(record.words().next().unwrap()));
            }
            assert_eq!(found, [number - 3, number - 1, number], "stamp {stamp:x}");
            let counts = bench.consumer.counts();
            assert_eq!((counts.corrupt, counts.lost), (number.div_ceil(4), 0), "stamp {stamp:x}");
        }
        assert_eq!(bench.consumer.positions(), [40]);
        assert_eq!(bench.consumer.lag(), 0);
    }
}
