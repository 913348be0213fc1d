use std::sync::Arc;

use loom::cell::UnsafeCell;

use super::{assert_whole, explore, message, race, small_ring};
use crate::consumer::{Consumer, ConsumerOptions};
use crate::layout::Policy;
use crate::producer::Producer;
use crate::ring::LockFreeRingBuffer;

/// A token for each message: the reader touches it while it has the message, the writer after it wrote
/// over it. Loom reports a race unless all that the reader did happens before the slot is written again.
struct Tokens([UnsafeCell<u64>; 6]);

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

fn write_until_full(producer: &mut Producer, until: u64, tokens: &Tokens) {
    let capacity = producer.ring().layout().capacity as u64;
    while producer.tail() < until && producer.write(&message(producer.tail()), 0).expect("it fits") {
        if let Some(overwritten) = (producer.tail() - 1).checked_sub(capacity) {
            tokens.touch(overwritten);
        }
    }
}

fn poll(consumer: &mut Consumer, max: usize, tokens: &Tokens) {
    consumer.poll_words(max, |record| {
        assert_whole(record);
        tokens.touch(record[0]);
    });
    assert_eq!((consumer.lost(), consumer.corrupt()), (0, 0), "who gates loses nothing");
}

fn join(ring: &LockFreeRingBuffer) -> Consumer {
    ring.consumer(ConsumerOptions::new("c")).expect("a free place")
}

fn read_the_rest(consumer: &mut Consumer, producer: &Producer, tokens: &Tokens) {
    while consumer.positions()[0] < producer.tail() {
        poll(consumer, 9, tokens);
    }
}

#[test]
fn a_slot_is_written_again_only_after_its_reader_is_done_with_it() {
    explore(3, |order| {
        let ring = small_ring(Policy::Lossless);
        let mut producer = ring.producer("p").expect("a free lane");
        let mut consumer = join(&ring);
        let tokens = Tokens::new();
        let write = {
            let tokens = Arc::clone(&tokens);
            move || {
                write_until_full(&mut producer, 4, &tokens);
                write_until_full(&mut producer, 4, &tokens);
                producer
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
        let (producer, mut consumer) = race(order, write, read);
        read_the_rest(&mut consumer, &producer, &tokens);
    });
}

#[test]
fn a_reader_that_leaves_is_done_when_it_is_passed_and_holds_nobody_back() {
    explore(3, |order| {
        let ring = small_ring(Policy::Lossless);
        let mut producer = ring.producer("p").expect("a free lane");
        let consumer = join(&ring);
        let tokens = Tokens::new();
        write_until_full(&mut producer, 2, &tokens);
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
                write_until_full(&mut producer, 3, &tokens);
                producer
            }
        };
        let (mut producer, ()) = race(order, write, leave);
        write_until_full(&mut producer, 5, &tokens);
        assert_eq!(producer.tail(), 5, "nobody is waited for");
    });
}

#[test]
fn who_joins_is_seen_before_the_writer_passes_it() {
    explore(3, |order| {
        let ring = small_ring(Policy::Lossless);
        let mut producer = ring.producer("p").expect("a free lane");
        let tokens = Tokens::new();
        let write = {
            let tokens = Arc::clone(&tokens);
            move || {
                write_until_full(&mut producer, 4, &tokens);
                producer
            }
        };
        let read = {
            let tokens = Arc::clone(&tokens);
            move || {
                let mut consumer = join(&ring);
                poll(&mut consumer, 1, &tokens);
                consumer
            }
        };
        let (producer, mut consumer) = race(order, write, read);
        read_the_rest(&mut consumer, &producer, &tokens);
    });
}

#[test]
fn who_joins_on_the_record_of_one_that_read_further_is_not_taken_for_it() {
    explore(3, |order| {
        let ring = small_ring(Policy::Lossless);
        let mut producer = ring.producer("p").expect("a free lane");
        let tokens = Tokens::new();
        // It reads one message more than the lane's tail says, for the writer has not flushed it.
        let mut former = join(&ring);
        write_until_full(&mut producer, 2, &tokens);
        poll(&mut former, 9, &tokens);
        write_until_full(&mut producer, 3, &tokens);
        poll(&mut former, 9, &tokens);
        drop(former);
        // The newcomer reads that message, too; tokens are for the first reader of each.
        let tokens = Tokens::new();
        let write = {
            let tokens = Arc::clone(&tokens);
            move || {
                write_until_full(&mut producer, 6, &tokens);
                producer
            }
        };
        let read = {
            let tokens = Arc::clone(&tokens);
            move || {
                let mut consumer = join(&ring);
                poll(&mut consumer, 1, &tokens);
                consumer
            }
        };
        let (producer, mut consumer) = race(order, write, read);
        read_the_rest(&mut consumer, &producer, &tokens);
    });
}

#[test]
fn a_writer_that_finds_a_reader_dead_leaves_its_successor_in_the_gate() {
    explore(3, |order| {
        let ring = small_ring(Policy::Lossless);
        let mut producer = ring.producer("p").expect("a free lane");
        let tokens = Tokens::new();
        // It dies: its record still gates, but nobody holds its lock.
        join(&ring).die();
        write_until_full(&mut producer, 2, &tokens);
        let write = {
            let tokens = Arc::clone(&tokens);
            move || {
                write_until_full(&mut producer, 6, &tokens);
                producer
            }
        };
        let read = {
            let tokens = Arc::clone(&tokens);
            move || {
                let mut consumer = join(&ring);
                poll(&mut consumer, 1, &tokens);
                consumer
            }
        };
        let (producer, mut consumer) = race(order, write, read);
        read_the_rest(&mut consumer, &producer, &tokens);
    });
}
