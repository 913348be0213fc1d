use loom::thread;

use super::{assert_whole, explore, message, small_ring};
use crate::consumer::ConsumerOptions;
use crate::layout::Policy;

#[test]
fn a_lapped_reader_counts_what_it_lost_and_never_calls_it_corrupt() {
    explore(2, || {
        let ring = small_ring(Policy::Overwrite);
        let mut producer = ring.producer("p").expect("a free lane");
        let mut consumer = ring.consumer(ConsumerOptions::new("c").register(false)).expect("no place needed");
        producer.write(&message(0), 0).expect("it fits");
        let writer = thread::spawn(move || {
            producer.write(&message(1), 0).expect("it fits");
            producer.flush();
            producer.write(&message(2), 0).expect("it fits");
        });
        consumer.poll_words(2, assert_whole);
        writer.join().expect("the writer ended");
        while consumer.poll_words(9, assert_whole) > 0 {}
        assert_eq!((consumer.received() + consumer.lost(), consumer.corrupt()), (3, 0));
    });
}
