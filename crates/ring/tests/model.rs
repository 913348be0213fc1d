//! The ring against a model that keeps the last messages of every lane in a queue.

mod scratch;

use openalgo_shm_ring::layout::{Policy, lines_of_words};
use openalgo_shm_ring::{Consumer, ConsumerOptions, LockFreeRingBuffer, Producer, RingConfig, Start};
use proptest::prelude::*;
use scratch::{Random, mix, sized, words, words_of_lines};

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

#[derive(Debug, Clone)]
struct Scenario {
    lanes: usize,
    /// Lines of the longest message.
    longest: usize,
    /// Lines of a lane.
    capacity: usize,
    policy: Policy,
    /// Of the lengths of the messages.
    seed: u64,
    steps: Vec<Step>,
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let policy = prop_oneof![Just(Policy::Overwrite), Just(Policy::Lossless)];
    // The smallest lane for the longest message, and larger ones.
    (1..4usize, 1..7usize, 0..4u32, policy, any::<u64>()).prop_flat_map(
        |(lanes, longest, larger, policy, seed)| {
            let capacity = (2 * longest).next_power_of_two() << larger;
            proptest::collection::vec(step(lanes), 1..60).prop_map(move |steps| Scenario {
                lanes,
                longest,
                capacity,
                policy,
                seed,
                steps,
            })
        },
    )
}

/// What a lane has carried: where each message begins, and its words. The last entry is the end.
struct LaneModel {
    begins: Vec<u64>,
    messages: Vec<Vec<u64>>,
}

impl LaneModel {
    fn push(&mut self, message: Vec<u64>) {
        self.begins.push(self.end() + lines_of_words(message.len()) as u64);
        self.messages.push(message);
    }

    fn written(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Position behind the last message.
    fn end(&self) -> u64 {
        *self.begins.last().expect("position 0 is always there")
    }

    /// The first message that begins at or behind a position; the next one if there is none.
    fn first_from(&self, position: u64) -> u64 {
        self.begins.partition_point(|&begins| begins < position) as u64
    }

    /// The oldest message whose first line was not overwritten.
    fn oldest(&self, capacity: usize) -> u64 {
        self.first_from(self.end().saturating_sub(capacity as u64))
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
    longest: usize,
    capacity: usize,
    policy: Policy,
    random: Random,
    producers: Vec<Option<Producer>>,
    lanes: Vec<LaneModel>,
    readers: Vec<Reader>,
}

impl World {
    fn new(scenario: &Scenario) -> Self {
        let &Scenario { lanes, longest, capacity, policy, seed, .. } = scenario;
        let config = sized(RingConfig::mpmc().lanes(lanes).consumers(4).policy(policy), longest, capacity);
        let ring = LockFreeRingBuffer::on_heap(config).unwrap();
        assert_eq!((ring.layout().capacity, ring.layout().longest), (capacity, longest));
        let mut world = Self {
            producers: (0..lanes).map(|_| None).collect(),
            lanes: (0..lanes).map(|_| LaneModel { begins: vec![0], messages: Vec::new() }).collect(),
            readers: Vec::new(),
            random: Random(seed),
            longest,
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
        let (written, end) = (self.lanes[lane].written(), self.lanes[lane].end());
        let ring = &self.ring;
        self.producers[lane].get_or_insert_with(|| {
            let producer = ring.producer(&format!("lane {lane}")).unwrap();
            let found = (producer.lane(), producer.tail(), producer.position());
            assert_eq!(found, (lane, written, end), "the lane goes on where it was");
            producer
        })
    }

    /// The next message of a lane: of no word, of the longest, or anything in between.
    fn message(&mut self, lane: usize, number: u64) -> Vec<u64> {
        let longest = words_of_lines(self.longest) as u64;
        let length = match self.random.below(4) {
            0 => longest - self.random.below(longest.min(8)),
            1 => self.random.below(6).min(longest),
            _ => self.random.below(longest + 1),
        };
        (0..length).map(|index| mix(number ^ (lane as u64) << 32 ^ index << 40)).collect()
    }

    /// True if a registered consumer still needs a line that so many more lines would overwrite.
    fn is_full(&self, lane: usize, lines: usize) -> bool {
        let model = &self.lanes[lane];
        let end = model.end() + lines as u64;
        let needs = |reader: &Reader| {
            reader.gates && model.begins[reader.next[lane] as usize] + (self.capacity as u64) < end
        };
        self.policy == Policy::Lossless && self.readers.iter().any(needs)
    }

    fn write(&mut self, lane: usize, flush: bool, batch: usize) {
        let mut expected = 0;
        let mut messages = Vec::new();
        for _ in 0..batch {
            let message = self.message(lane, self.lanes[lane].written());
            messages.push(message.clone());
            if self.is_full(lane, lines_of_words(message.len())) {
                break;
            }
            self.lanes[lane].push(message);
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
        assert_eq!(published, expected, "refused exactly when a registered consumer still needs a line");
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
        let next = consumer.positions();
        for (position, (model, &next)) in consumer.line_positions().zip(self.lanes.iter().zip(&next)) {
            assert_eq!(model.begins[next as usize], position, "it joins where message {next} begins");
        }
        self.readers.push(Reader { consumer, first: next.clone(), next, lost: 0, gates });
    }

    fn poll(&mut self, reader: usize, max: usize) {
        let Some(reader) = self.readers.get_mut(reader) else { return };
        let (lanes, capacity) = (&self.lanes, self.capacity as u64);
        let (next, lost) = (&mut reader.next, &mut reader.lost);
        let count = reader.consumer.poll_words(max, |record| {
            let (lane, sequence) = (record.lane(), record.sequence());
            let model = &lanes[lane];
            let oldest = model.oldest(capacity as usize);
            if next[lane] < oldest {
                // Half a ring behind the newest that it could know of: what was not flushed may lie beyond.
                let half = model.first_from(model.end().saturating_sub(capacity / 2));
                assert!((oldest..=half).contains(&sequence), "{oldest} <= {sequence} <= {half}");
                *lost += sequence - next[lane];
                next[lane] = sequence;
            }
            assert_eq!(sequence, next[lane], "in order and without a gap");
            assert_eq!(words(record), model.messages[sequence as usize]);
            next[lane] += 1;
        });
        if count < max {
            let ends: Vec<u64> = lanes.iter().map(LaneModel::written).collect();
            assert_eq!(*next, ends, "a poll that ends early has read everything");
        }
        self.check_counts();
    }

    fn check_counts(&self) {
        for reader in &self.readers {
            let consumer = &reader.consumer;
            assert_eq!(consumer.lost(), reader.lost);
            assert_eq!(consumer.corrupt(), 0);
            assert_eq!(consumer.positions(), reader.next);
            let (first, next): (u64, u64) = (reader.first.iter().sum(), reader.next.iter().sum());
            assert_eq!(first + consumer.received() + consumer.lost(), next);
            assert!(!reader.gates || consumer.lost() == 0, "a consumer that gates loses nothing");
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
    fn a_ring_is_its_lanes_last_messages(scenario in scenario()) {
        let mut world = World::new(&scenario);
        world.join(false, true);
        for step in &scenario.steps {
            world.take(step);
        }
        for reader in 0..world.readers.len() {
            world.poll(reader, usize::MAX);
        }
        world.check_counts();
    }
}
