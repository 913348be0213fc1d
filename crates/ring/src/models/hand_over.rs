//! A writer is killed, and the next owner of its lane goes on.

use super::{assert_whole, drain, explore, producer, race, small_ring, watcher, write};
use crate::LockFreeRingBuffer;
use crate::producer::Producer;
use crate::segment::layout::Policy;
use crate::segment::lines::{at, inside};
use crate::sync::{Ordering, fence};

/// Lines of the lane: so many that its owner records the tail only behind every second line.
const CAPACITY: usize = 8;
/// Messages that the killed writer wrote whole.
const WRITTEN: u64 = 3;

/// Writes the beginning of a message of two lines as a writer that is killed in the middle, then loses its
/// lock.
fn die_while_writing(producer: Producer) {
    let (lines, position) = (producer.segment().lines(producer.lane()), producer.position());
    for position in [position, position + 1] {
        at(lines, position)[0].store(inside(position), Ordering::Relaxed);
    }
    fence(Ordering::Release);
    for position in [position, position + 1] {
        at(lines, position)[1].store(u64::MAX, Ordering::Relaxed);
    }
    producer.die();
}

/// Takes the lane if its owner is dead, and writes a message of so many lines. Returns how many messages
/// the lane then carried.
fn succeed(ring: &LockFreeRingBuffer, lines: usize) -> u64 {
    let Ok(mut second) = ring.producer("p") else { return WRITTEN };
    assert_eq!(second.tail(), WRITTEN, "all that was whole, and nothing more");
    assert!(write(&mut second, lines));
    second.tail()
}

fn hand_over(lines: usize) {
    explore(2, move |order| {
        let ring = small_ring(Policy::Overwrite, CAPACITY);
        let mut first = producer(&ring);
        let mut consumer = watcher(&ring);
        assert!(write(&mut first, 1));
        let reader = loom::thread::spawn(move || {
            consumer.poll_words(4, assert_whole);
            consumer
        });
        let die = move || {
            // The first of these records the tail, the last does not.
            assert!(write(&mut first, 2));
            assert!(write(&mut first, 1));
            die_while_writing(first);
        };
        let ((), written) = race(order, die, move || succeed(&ring, lines));
        let mut consumer = reader.join().expect("it ended");
        drain(&mut consumer);
        assert_eq!((consumer.positions(), consumer.corrupt()), (vec![written], 0));
        assert_eq!(consumer.received(), written);
    });
}

#[test]
fn the_successor_of_a_killed_writer_goes_on_behind_its_last_whole_message() {
    hand_over(2);
}

#[test]
fn the_successor_of_a_killed_writer_may_write_a_shorter_message_in_place_of_the_unfinished_one() {
    hand_over(1);
}
