//! The topic table: a tick carries a number, and the name behind it is written before.

use super::{SYMBOLS, explore, producer, race, ring_of_ticks, tick, watcher};
use crate::message::TopicName;
use crate::segment::topics;

#[test]
fn a_reader_that_sees_a_tick_with_a_new_number_sees_the_whole_name() {
    explore(2, |order| {
        let ring = ring_of_ticks();
        let mut producer = producer(&ring);
        let mut consumer = watcher(&ring);
        let name_and_tick = move || {
            for symbol in SYMBOLS {
                producer.write(tick(symbol, 0).as_words(), 0).expect("it fits");
            }
        };
        let read = move || {
            consumer.poll(2, |tick| assert_eq!(tick.symbol(), SYMBOLS[tick.topic() as usize]));
            consumer
        };
        let ((), mut consumer) = race(order, name_and_tick, read);
        consumer.poll(2, |tick| assert_eq!(tick.symbol(), SYMBOLS[tick.topic() as usize]));
        assert_eq!((consumer.received(), consumer.corrupt()), (2, 0));
    });
}

#[test]
fn every_entry_below_the_length_of_the_table_is_whole() {
    explore(2, |order| {
        let ring = ring_of_ticks();
        let mut producer = producer(&ring);
        let segment = ring.segment().clone();
        let name = move || {
            for symbol in SYMBOLS {
                producer.topic("NSE", symbol).expect("room for it");
            }
        };
        let read = move || {
            let table = segment.topics_part(0);
            let length = topics::length(segment.lane_record(0)) as usize;
            for (entry, symbol) in table.iter().zip(SYMBOLS).take(length) {
                let expected = TopicName::new("NSE", symbol).expect("a valid name");
                assert_eq!(TopicName::from_words(topics::read_name(entry)), Some(expected));
            }
        };
        race(order, name, read);
    });
}
