//! A lossless writer waits for its readers.

use std::sync::Arc;

use loom::cell::UnsafeCell;

use super::{Order, assert_whole, explore, producer, race, small_ring, write};
use crate::LockFreeRingBuffer;
use crate::consumer::{Consumer, ConsumerOptions};
use crate::producer::Producer;
use crate::segment::layout::Policy;

/// Lines of the lane, but for one model.
const CAPACITY: usize = 4;
/// Messages that fill it, and go on.
const TWO_LINES: [usize; 6] = [2; 6];

/// A token for each message: the reader touches it while it has the message, the writer after it wrote
/// over it. Loom reports a race unless all that the reader did happens before the lines are written again.
struct Tokens([UnsafeCell<u64>; 8]);

// SAFETY: whether the cells are shared rightly is what the model finds out.
unsafe impl Sync for Tokens {}
// SAFETY: as above.
unsafe impl Send for Tokens {}

impl Tokens {
    fn new() -> Arc<Self> {
        Arc::new(Self(std::array::from_fn(|_| UnsafeCell::new(0))))
    }

    fn touch(&self, sequence: u64) {
        self.0[sequence as usize].with_mut(|token| {
            // SAFETY: as above.
            unsafe { *token += 1 }
        });
    }
}

/// A lane's writer, and where each of its messages begins.
struct Writer {
    producer: Producer,
    begins: Vec<u64>,
}

impl Writer {
    fn new(ring: &LockFreeRingBuffer) -> Self {
        Self { producer: producer(ring), begins: vec![0] }
    }

    /// Writes the next of messages of so many lines each, up to `until`, while there is room.
    fn write_until_full(&mut self, counts: &[usize], until: u64, tokens: &Tokens) {
        let capacity = self.producer.segment().layout().capacity as u64;
        for &lines in &counts[self.tail() as usize..until as usize] {
            let begin = self.producer.position();
            if !write(&mut self.producer, lines) {
                return;
            }
            let end = self.producer.position();
            for (sequence, message) in self.begins.windows(2).enumerate() {
                if message[0] + capacity < end && message[1] + capacity > begin {
                    tokens.touch(sequence as u64);
                }
            }
            self.begins.push(end);
        }
    }

    fn tail(&self) -> u64 {
        self.producer.tail()
    }
}

fn poll(consumer: &mut Consumer, max: usize, tokens: &Tokens) {
    consumer.poll_words(max, |record| {
        assert_whole(record);
        tokens.touch(record.sequence());
    });
    assert_eq!((consumer.lost(), consumer.corrupt()), (0, 0), "a reader that gates loses nothing");
}

fn join(ring: &LockFreeRingBuffer) -> Consumer {
    ring.consumer(ConsumerOptions::new("c")).expect("a free place")
}

fn read_the_rest(consumer: &mut Consumer, writer: &Writer, tokens: &Tokens) {
    while consumer.positions()[0] < writer.tail() {
        poll(consumer, 9, tokens);
    }
}

/// Writes up to `until` while a reader joins, reads a message, and then all the others.
fn race_with_one_that_joins(
    order: Order,
    ring: &LockFreeRingBuffer,
    mut writer: Writer,
    counts: &'static [usize],
    until: u64,
    tokens: &Arc<Tokens>,
) {
    let write = {
        let tokens = Arc::clone(tokens);
        move || {
            writer.write_until_full(counts, until, &tokens);
            writer
        }
    };
    let read = {
        let (ring, tokens) = (ring.clone(), Arc::clone(tokens));
        move || {
            let mut consumer = join(&ring);
            poll(&mut consumer, 1, &tokens);
            consumer
        }
    };
    let (writer, mut consumer) = race(order, write, read);
    read_the_rest(&mut consumer, &writer, tokens);
}

#[test]
fn lines_are_written_again_only_after_their_reader_is_done_with_them() {
    explore(3, |order| {
        let ring = small_ring(Policy::Lossless, CAPACITY);
        let mut writer = Writer::new(&ring);
        let mut consumer = join(&ring);
        let tokens = Tokens::new();
        let write = {
            let tokens = Arc::clone(&tokens);
            move || {
                writer.write_until_full(&TWO_LINES, 4, &tokens);
                writer.write_until_full(&TWO_LINES, 4, &tokens);
                writer
            }
        };
        let read = {
            let tokens = Arc::clone(&tokens);
            move || {
                poll(&mut consumer, 1, &tokens);
                poll(&mut consumer, 2, &tokens);
                consumer
            }
        };
        let (writer, mut consumer) = race(order, write, read);
        read_the_rest(&mut consumer, &writer, &tokens);
    });
}

#[test]
fn a_reader_that_leaves_is_done_when_it_is_passed_and_holds_nobody_back() {
    explore(3, |order| {
        let ring = small_ring(Policy::Lossless, CAPACITY);
        let mut writer = Writer::new(&ring);
        let consumer = join(&ring);
        let tokens = Tokens::new();
        writer.write_until_full(&TWO_LINES, 2, &tokens);
        let leave = {
            let tokens = Arc::clone(&tokens);
            move || {
                // It still looks at message 0 when it leaves.
                tokens.touch(0);
                drop(consumer);
            }
        };
        let write = {
            let tokens = Arc::clone(&tokens);
            move || {
                writer.write_until_full(&TWO_LINES, 3, &tokens);
                writer
            }
        };
        let (mut writer, ()) = race(order, write, leave);
        writer.write_until_full(&TWO_LINES, 5, &tokens);
        assert_eq!(writer.tail(), 5, "nobody is waited for");
    });
}

#[test]
fn a_reader_that_joins_is_seen_before_the_writer_passes_it() {
    explore(2, |order| {
        let ring = small_ring(Policy::Lossless, CAPACITY);
        let writer = Writer::new(&ring);
        let tokens = Tokens::new();
        race_with_one_that_joins(order, &ring, writer, &TWO_LINES, 4, &tokens);
    });
}

#[test]
fn a_reader_that_joins_on_the_record_of_one_that_read_further_is_not_taken_for_it() {
    /// The first reader comes to position 7, where the tail is not recorded.
    const COUNTS: [usize; 7] = [4, 2, 1, 1, 4, 2, 1];
    explore(2, |order| {
        let ring = small_ring(Policy::Lossless, 8);
        let mut writer = Writer::new(&ring);
        let tokens = Tokens::new();
        let mut former = join(&ring);
        writer.write_until_full(&COUNTS, 3, &tokens);
        poll(&mut former, 9, &tokens);
        assert!(former.line_positions().eq([7]));
        drop(former);
        // Tokens are for the first reader of each message.
        let tokens = Tokens::new();
        race_with_one_that_joins(order, &ring, writer, &COUNTS, 7, &tokens);
    });
}

#[test]
fn a_writer_that_finds_a_reader_dead_leaves_its_successor_in_the_gate() {
    explore(2, |order| {
        let ring = small_ring(Policy::Lossless, CAPACITY);
        let mut writer = Writer::new(&ring);
        let tokens = Tokens::new();
        // It dies: its record still gates, but nobody holds its lock.
        join(&ring).die();
        writer.write_until_full(&TWO_LINES, 2, &tokens);
        race_with_one_that_joins(order, &ring, writer, &TWO_LINES, 6, &tokens);
    });
}
