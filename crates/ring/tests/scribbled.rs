//! A live ring whose words another process changes at random: what is counted stays possible, and what is
//! published afterwards is read again.
#![cfg(target_os = "linux")]

mod scratch;

use std::fs::File;
use std::os::unix::fs::FileExt;

use openalgo_shm_ring::layout::{Kind, LINE, PAGE};
use openalgo_shm_ring::message::{DepthLevel, FIELD_COUNT, Field, MemberValue, Mode, TickImage};
use openalgo_shm_ring::{
    Consumer, ConsumerOptions, ErrorCode, LockFreeRingBuffer, Producer, RingConfig, Start,
};
use scratch::{Random, ScratchName, sized, words_of_lines};

const SEEDS: u64 = 600;
/// Lines of the longest message: of a tick of one level a side, too.
const LONGEST: u64 = 11;
const CAPACITY: u64 = 64;
const TOPICS: usize = 64;
/// Empty polls after which a reader looks whether it is where its lane is.
const EMPTY_POLLS: usize = 4200;

/// What is changed: byte offsets of words.
struct Words {
    /// Stamps, first words of messages, and recorded tails of the lane.
    all: Vec<u64>,
    file: File,
}

impl Words {
    fn of(name: &ScratchName, ring: &LockFreeRingBuffer) -> Self {
        let layout = ring.layout();
        let lines = PAGE as u64 + (layout.topics * LINE) as u64;
        // Tail, sequence, and length of the topic table.
        let mut all = vec![256 + 128, 256 + 136, 256 + 144];
        // Stamp, meta and presence of every line.
        all.extend((0..CAPACITY).flat_map(|line| [0, 8, 16].map(|word| lines + line * LINE as u64 + word)));
        Self { all, file: File::options().read(true).write(true).open(name.path()).unwrap() }
    }

    fn read(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, offset).unwrap();
        u64::from_le_bytes(bytes)
    }

    /// Changes one word in `every`, each in one of several ways. Returns how many.
    fn scribble(&self, random: &mut Random, every: u64) -> u64 {
        let mut changed = 0;
        for &offset in &self.all {
            if random.below(every) > 0 {
                continue;
            }
            let value = match random.below(6) {
                0 => random.next(),
                1 => random.next() >> random.below(64),
                2 => self.read(offset).wrapping_add(random.below(17)).wrapping_sub(8),
                3 => self.read(self.all[random.below(self.all.len() as u64) as usize]),
                4 => 0,
                _ => u64::MAX,
            };
            self.file.write_all_at(&value.to_le_bytes(), offset).unwrap();
            changed += 1;
        }
        changed
    }
}

fn create(name: &ScratchName, kind: Kind) -> LockFreeRingBuffer {
    let ring = RingConfig::mpmc().lanes(1).consumers(2);
    let config = if kind == Kind::Ticks {
        ring.depth_levels(1).topics(TOPICS).buffer_size(CAPACITY as usize * LINE)
    } else {
        sized(ring, LONGEST as usize, CAPACITY as usize)
    };
    let ring = LockFreeRingBuffer::create(name, config).unwrap();
    assert_eq!((ring.layout().longest, ring.layout().capacity), (LONGEST as usize, CAPACITY as usize));
    ring
}

/// Publishes message `number`, of any size.
fn publish(producer: &mut Producer, number: u64, random: &mut Random) {
    let size = random.below(LONGEST);
    if producer.segment().layout().kind == Kind::Ticks {
        let mut image = TickImage::new();
        image.set(Field::Ltp, number as f64);
        for field in &Field::ALL[4..FIELD_COUNT.min(4 + 5 * size as usize)] {
            image.set(*field, 1.0);
        }
        let level = [DepthLevel::default()];
        image.set_depth(&level[..(size as usize / 4).min(1)], &level[..(size as usize / 5).min(1)]);
        if size >= 3 {
            image.set_synonym(11 * size as u8);
        }
        for member in 6..size {
            assert!(image.push_member(
                &format!("member {member}"),
                MemberValue::Text(&"x".repeat(35 + member as usize))
            ));
        }
        let topic = producer.topic("NSE", &format!("S{}", number % 9)).unwrap();
        producer.publish_to(topic, image.finish(Mode::Quote)).unwrap();
    } else {
        producer.publish(&vec![number; words_of_lines(1 + size as usize)]).unwrap();
    }
}

/// Polls once; the last number that was read.
fn poll(consumer: &mut Consumer, max: usize) -> Option<u64> {
    let mut last = None;
    if consumer.segment().layout().kind == Kind::Ticks {
        consumer.poll(max, |tick| last = tick.field(Field::Ltp).map(|number| number as u64));
    } else {
        consumer.poll_words(max, |record| last = record.words().next());
    }
    last
}

/// What was counted can be true: no more was lost than was ever published.
fn check(consumer: &Consumer, published: u64, changed: u64, seed: u64) {
    let counts = consumer.counts();
    assert!(counts.lost <= published, "seed {seed}: {counts:?} of {published}");
    // Each changed word can cost one message, and the end of the lane a few.
    assert!(counts.corrupt <= changed + 8, "seed {seed}: {counts:?}, {changed} words were changed");
    assert!(consumer.lag() <= published, "seed {seed}: lag {}", consumer.lag());
}

fn scribble_and_go_on(kind: Kind, seed: u64) {
    let mut random = Random(seed);
    let name = ScratchName::new("scribbled");
    let ring = create(&name, kind);
    let words = Words::of(&name, &ring);
    let mut producer = ring.producer("writer").unwrap();
    let options = |name| ConsumerOptions::new(name);
    // One keeps up, one reads now and then, one comes later.
    let mut readers =
        vec![ring.consumer(options("first")).unwrap(), ring.consumer(options("second")).unwrap()];
    let (mut published, mut changed) = (0, 0);
    let mut go_on =
        |producer: &mut Producer, readers: &mut Vec<Consumer>, random: &mut Random, changed: u64| {
            for _ in 0..random.below(200) {
                publish(producer, published, random);
                published += 1;
                poll(&mut readers[0], usize::MAX);
                if random.below(10) == 0 {
                    for reader in readers.iter_mut() {
                        poll(reader, random.below(30) as usize);
                    }
                }
                readers.iter().for_each(|reader| check(reader, published, changed, seed));
            }
            published
        };
    for _ in 0..1 + random.below(3) {
        go_on(&mut producer, &mut readers, &mut random, changed);
        let every = [1, 2, 16, 60][random.below(4) as usize];
        changed += words.scribble(&mut random, every);
        for reader in &mut readers {
            poll(reader, random.below(100) as usize);
            poll(reader, usize::MAX);
        }
    }
    let late = options("late").from([Start::Oldest, Start::Newest][random.below(2) as usize]).register(false);
    let late = ring.consumer(late).unwrap();
    let late_from = late.positions()[0];
    let mut published = go_on(&mut producer, &mut readers, &mut random, changed);
    readers.push(late);
    // Two laps renew every line; a reader that waits for a stamp that is gone finds its lane again.
    for _ in 0..2 * CAPACITY {
        publish(&mut producer, published, &mut random);
        published += 1;
    }
    for (index, reader) in readers.iter_mut().enumerate() {
        for _ in 0..EMPTY_POLLS {
            poll(reader, usize::MAX);
        }
        if index < 2 {
            check(reader, published, changed, seed);
        }
    }
    let corrupt: Vec<_> = readers.iter().map(Consumer::corrupt).collect();
    for _ in 0..3 * CAPACITY {
        publish(&mut producer, published, &mut random);
        for reader in &mut readers {
            assert_eq!(poll(reader, usize::MAX), Some(published), "seed {seed}: a reader is deaf");
        }
        published += 1;
    }
    for (index, reader) in readers.iter().enumerate() {
        assert_eq!(reader.corrupt(), corrupt[index], "seed {seed}: the ring is sound again");
        let lost = reader.lost();
        assert!(lost <= published, "seed {seed}: {lost} of {published}, from {late_from}");
    }
}

#[test]
fn a_ring_of_plain_words_stays_possible_and_recovers() {
    (0..SEEDS).for_each(|seed| scribble_and_go_on(Kind::Interest, seed));
}

#[test]
fn a_ring_of_ticks_stays_possible_and_recovers() {
    (0..SEEDS).for_each(|seed| scribble_and_go_on(Kind::Ticks, seed));
}

/// The next owner believes nothing that the lines do not confirm.
#[test]
fn a_successor_goes_on_from_what_the_lines_confirm_or_refuses_the_lane() {
    let mut refused = 0;
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let name = ScratchName::new("adopted");
        let ring = create(&name, [Kind::Ticks, Kind::Interest][seed as usize % 2]);
        let words = Words::of(&name, &ring);
        let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
        let mut producer = ring.producer("writer").unwrap();
        let before = random.below(200);
        (0..before).for_each(|number| publish(&mut producer, number, &mut random));
        poll(&mut reader, random.below(200) as usize);
        drop(producer);
        let every = [1, 4, 30][random.below(3) as usize];
        words.scribble(&mut random, every);
        match ring.producer("writer") {
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::ShmLayout, "{error}");
                assert!(error.message().contains("the segment is corrupt, remove it"), "{error}");
                refused += 1;
            }
            Ok(mut producer) => {
                let possible = before * LONGEST + CAPACITY;
                assert!(producer.tail() <= possible, "seed {seed}: {} of {before}", producer.tail());
                for number in 0..3 * CAPACITY {
                    publish(&mut producer, number, &mut random);
                    poll(&mut reader, usize::MAX);
                }
                assert!(reader.lost() <= possible + 3 * CAPACITY, "seed {seed}: {:?}", reader.counts());
            }
        }
    }
    assert!(refused > SEEDS / 10, "only {refused} lanes were refused");
}
