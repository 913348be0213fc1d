use super::{assert_whole, explore, message, race, small_ring};
use crate::consumer::ConsumerOptions;
use crate::layout::Policy;
use crate::producer::Producer;
use crate::ring::LockFreeRingBuffer;
use crate::slot::committed;
use crate::sync::{Ordering, fence};

/// Writes the beginning of a message as a writer that is killed in the middle, then loses its lock.
fn die_while_writing(producer: Producer) {
    let slot = producer.ring().slot(producer.lane(), producer.tail());
    slot[0].store(committed(producer.tail()) - 1, Ordering::Relaxed);
    fence(Ordering::Release);
    slot[1].store(u64::MAX, Ordering::Relaxed);
    slot[3].store(u64::MAX, Ordering::Relaxed);
    drop(producer);
}

/// Takes the lane if its owner is dead, and writes one message. Returns how many the lane then carried.
fn succeed(ring: &LockFreeRingBuffer) -> u64 {
    let Ok(mut second) = ring.producer("p") else { return 2 };
    assert_eq!(second.tail(), 2, "all that was committed, and nothing more");
    second.write(&message(2), 0).expect("it fits");
    second.tail()
}

#[test]
fn a_killed_writers_successor_goes_on_where_it_was_and_nothing_is_torn() {
    explore(2, |order| {
        let ring = small_ring(Policy::Overwrite);
        let mut first = ring.producer("p").expect("a free lane");
        let mut consumer = ring.consumer(ConsumerOptions::new("c").register(false)).expect("no place needed");
        first.write(&message(0), 0).expect("it fits");
        let reader = loom::thread::spawn(move || {
            consumer.poll_words(3, assert_whole);
            consumer
        });
        let die = move || {
            // Neither of them is flushed.
            first.write(&message(1), 0).expect("it fits");
            die_while_writing(first);
        };
        let ((), written) = race(order, die, move || succeed(&ring));
        let mut consumer = reader.join().expect("it ended");
        while consumer.poll_words(9, assert_whole) > 0 {}
        assert_eq!((consumer.positions(), consumer.corrupt()), ([written].as_slice(), 0));
    });
}
