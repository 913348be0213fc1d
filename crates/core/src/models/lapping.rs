use super::{assert_whole, explore, message, race, small_ring};
use crate::consumer::ConsumerOptions;
use crate::layout::Policy;

#[test]
fn a_lapped_reader_counts_what_it_lost_and_never_calls_it_corrupt() {
    explore(2, |order| {
        let ring = small_ring(Policy::Overwrite);
        let mut producer = ring.producer("p").expect("a free lane");
        let mut consumer = ring.consumer(ConsumerOptions::new("c").register(false)).expect("no place needed");
        producer.publish(&message(0)).expect("it fits");
        // Not flushed: the reader knows of them by the stamps alone.
        let write_on = move || {
            producer.write(&message(1), 0).expect("it fits");
            producer.write(&message(2), 0).expect("it fits");
        };
        let read = move || {
            consumer.poll_words(2, assert_whole);
            consumer
        };
        let ((), mut consumer) = race(order, write_on, read);
        while consumer.poll_words(9, assert_whole) > 0 {}
        assert_eq!((consumer.received() + consumer.lost(), consumer.corrupt()), (3, 0));
    });
}
