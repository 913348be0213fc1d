//! The ring against a model that keeps the last messages of every lane in a queue.

mod scratch;

use std::collections::VecDeque;

use openalgo_shm_core::layout::Policy;
use openalgo_shm_core::{Consumer, ConsumerOptions, LockFreeRingBuffer, Producer, RingConfig, Start};
use proptest::prelude::*;
use scratch::{message, payload, plain};

#[derive(Debug, Clone)]
enum Step {
    Publish {
        lane: usize,
        batch: usize,
    },
    /// Writes without showing it to monitors, and perhaps leaves the lane like that.
    WriteUnflushed {
        lane: usize,
        count: usize,
        leave: bool,
    },
    Join {
        oldest: bool,
        register: bool,
    },
    Leave {
        consumer: usize,
    },
    Poll {
        consumer: usize,
        max: usize,
    },
}

fn step(lanes: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..lanes, 1..20usize).prop_map(|(lane, batch)| Step::Publish { lane, batch }),
        1 => (0..lanes, 1..40usize, any::<bool>())
            .prop_map(|(lane, count, leave)| Step::WriteUnflushed { lane, count, leave }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(oldest, register)| Step::Join { oldest, register }),
        1 => (0..4usize).prop_map(|consumer| Step::Leave { consumer }),
        5 => (0..4usize, 0..50usize).prop_map(|(consumer, max)| Step::Poll { consumer, max }),
    ]
}

fn scenario() -> impl Strategy<Value = (usize, usize, Policy, Vec<Step>)> {
    let policy = prop_oneof![Just(Policy::Overwrite), Just(Policy::Lossless)];
    (1..4usize, 1..5u32, policy).prop_flat_map(|(lanes, capacity_bits, policy)| {
        let steps = proptest::collection::vec(step(lanes), 1..60);
        (Just(lanes), Just(1usize << capacity_bits), Just(policy), steps)
    })
}

/// What a lane must hold.
#[derive(Default)]
struct LaneModel {
    /// The last messages, newest at the back; at most `capacity`.
    kept: VecDeque<[u64; 2]>,
    written: u64,
}

impl LaneModel {
    fn push(&mut self, message: [u64; 2], capacity: usize) {
        if self.kept.len() == capacity {
            self.kept.pop_front();
        }
        self.kept.push_back(message);
        self.written += 1;
    }

    fn oldest(&self) -> u64 {
        self.written - self.kept.len() as u64
    }

    fn get(&self, sequence: u64) -> Option<&[u64; 2]> {
        self.kept.get(sequence.checked_sub(self.oldest())? as usize)
    }
}

struct Reader {
    consumer: Consumer,
    first: Vec<u64>,
    next: Vec<u64>,
    lost: u64,
    gates: bool,
}

struct World {
    ring: LockFreeRingBuffer,
    capacity: usize,
    policy: Policy,
    producers: Vec<Option<Producer>>,
    lanes: Vec<LaneModel>,
    readers: Vec<Reader>,
}

impl World {
    fn new(lanes: usize, capacity: usize, policy: Policy) -> Self {
        let config = plain(RingConfig::mpmc().lanes(lanes).consumers(4).policy(policy), capacity);
        let ring = LockFreeRingBuffer::on_heap(config).unwrap();
        assert_eq!(ring.layout().capacity, capacity);
        let mut world = Self {
            producers: (0..lanes).map(|_| None).collect(),
            lanes: (0..lanes).map(|_| LaneModel::default()).collect(),
            readers: Vec::new(),
            ring,
            capacity,
            policy,
        };
        for lane in 0..lanes {
            world.producer(lane);
        }
        world
    }

    /// The owner of a lane; taken anew if it was left.
    fn producer(&mut self, lane: usize) -> &mut Producer {
        let written = self.lanes[lane].written;
        let ring = &self.ring;
        self.producers[lane].get_or_insert_with(|| {
            let producer = ring.producer(&format!("lane {lane}")).unwrap();
            assert_eq!((producer.lane(), producer.tail()), (lane, written), "the lane goes on where it was");
            producer
        })
    }

    fn is_full(&self, lane: usize) -> bool {
        let needs = |reader: &Reader| {
            reader.gates && reader.next[lane] + self.capacity as u64 <= self.lanes[lane].written
        };
        self.policy == Policy::Lossless && self.readers.iter().any(needs)
    }

    fn write(&mut self, lane: usize, flush: bool, batch: usize) {
        let mut expected = 0;
        let mut messages = Vec::new();
        for _ in 0..batch {
            let words = [lane as u64, self.lanes[lane].written];
            messages.push(message(&words));
            if self.is_full(lane) {
                break;
            }
            self.lanes[lane].push(words, self.capacity);
            expected += 1;
        }
        let producer = self.producers[lane].as_mut().unwrap();
        let published = if flush && messages.len() > 1 {
            producer.publish_batch(messages.iter().map(Vec::as_slice)).unwrap()
        } else {
            let mut publish = |words: &Vec<u64>| {
                if flush { producer.publish(words).unwrap() } else { producer.write(words, 0).unwrap() }
            };
            messages.iter().take_while(|words| publish(words)).count()
        };
        assert_eq!(published, expected, "refused exactly when a registered consumer still needs the slot");
    }

    fn join(&mut self, oldest: bool, register: bool) {
        // What gates is only exact for those that start at the end.
        let gates = register && self.policy == Policy::Lossless;
        let from = if oldest && !gates { Start::Oldest } else { Start::Newest };
        if self.readers.len() == 4 {
            return;
        }
        if gates {
            // A consumer joins at the recorded tail.
            self.producers.iter_mut().flatten().for_each(Producer::flush);
        }
        let options = ConsumerOptions::new("reader").from(from).register(register);
        let consumer = self.ring.consumer(options).unwrap();
        let next = consumer.positions().to_vec();
        self.readers.push(Reader { consumer, first: next.clone(), next, lost: 0, gates });
    }

    fn poll(&mut self, reader: usize, max: usize) {
        let Some(reader) = self.readers.get_mut(reader) else { return };
        let (lanes, capacity) = (&self.lanes, self.capacity as u64);
        let (next, lost) = (&mut reader.next, &mut reader.lost);
        let count = reader.consumer.poll_words(max, |record| {
            let lane = (record[1] >> 48) as usize;
            let model = &lanes[lane];
            if next[lane] < model.oldest() {
                // Half a ring behind the newest that it could know of: what was not flushed may lie beyond.
                let resumed = record[0];
                assert!((model.oldest()..=model.written - capacity / 2).contains(&resumed));
                *lost += resumed - next[lane];
                next[lane] = resumed;
            }
            assert_eq!(record[0], next[lane], "in order and without a gap");
            assert_eq!(payload(record, 2), model.get(record[0]).unwrap());
            next[lane] += 1;
        });
        if count < max {
            let ends: Vec<u64> = lanes.iter().map(|lane| lane.written).collect();
            assert_eq!(*next, ends, "a poll that ends early has read everything");
        }
        self.check_accounts();
    }

    fn check_accounts(&self) {
        for reader in &self.readers {
            let consumer = &reader.consumer;
            assert_eq!(consumer.lost(), reader.lost);
            assert_eq!(consumer.corrupt(), 0);
            assert_eq!(consumer.positions(), reader.next);
            let (first, next): (u64, u64) = (reader.first.iter().sum(), reader.next.iter().sum());
            assert_eq!(first + consumer.received() + consumer.lost(), next);
            assert!(!reader.gates || consumer.lost() == 0, "who gates loses nothing");
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Publish { lane, batch } => {
                self.producer(lane);
                self.write(lane, true, batch);
            }
            Step::WriteUnflushed { lane, count, leave } => {
                self.producer(lane);
                self.write(lane, false, count);
                if leave {
                    self.producers[lane] = None;
                }
            }
            Step::Join { oldest, register } => self.join(oldest, register),
            Step::Leave { consumer } => {
                if consumer < self.readers.len() {
                    self.readers.remove(consumer);
                }
            }
            Step::Poll { consumer, max } => self.poll(consumer, max),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 4 } else { 1000 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_ring_is_its_lanes_last_messages((lanes, capacity, policy, steps) in scenario()) {
        let mut world = World::new(lanes, capacity, policy);
        world.join(false, true);
        for step in &steps {
            world.take(step);
        }
        for reader in 0..world.readers.len() {
            world.poll(reader, usize::MAX);
        }
        world.check_accounts();
    }
}
