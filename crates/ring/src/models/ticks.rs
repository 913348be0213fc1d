//! Ticks of one line, which a reader takes in a loop of their own.

use super::{SYMBOLS, explore, producer, race, ring_of_ticks, tick, watcher};
use crate::consumer::Consumer;
use crate::message::Field;
use crate::producer::Producer;

fn write(producer: &mut Producer) {
    let price = producer.tail() as u32;
    assert!(producer.write(tick(SYMBOLS[0], price).as_words(), 0).expect("it fits"));
}

fn read(consumer: &mut Consumer, max: usize) -> usize {
    consumer.poll(max, |tick| {
        for field in [Field::Ltp, Field::Volume] {
            assert_eq!(tick.field(field), Some(tick.sequence() as f64), "tick {} is torn", tick.sequence());
        }
    })
}

#[test]
fn a_reader_of_ticks_of_one_line_counts_what_it_lost() {
    explore(2, |order| {
        let ring = ring_of_ticks();
        let capacity = ring.layout().capacity as u64;
        let mut producer = producer(&ring);
        let mut consumer = watcher(&ring);
        // It knows the topic from here on.
        write(&mut producer);
        assert_eq!(read(&mut consumer, 1), 1);
        while producer.tail() < capacity + 1 {
            write(&mut producer);
        }
        // The next tick overwrites the one that the reader expects.
        let write_on = move || {
            write(&mut producer);
            producer
        };
        let read_on = move || {
            read(&mut consumer, 1);
            consumer
        };
        let (producer, mut consumer) = race(order, write_on, read_on);
        while read(&mut consumer, 9) > 0 {}
        assert_eq!(consumer.corrupt(), 0);
        assert_eq!(consumer.received() + consumer.lost(), producer.tail());
        assert_eq!(consumer.positions(), [producer.tail()]);
    });
}
