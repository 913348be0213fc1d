//! The topic table: a tick carries a number, and the name behind it is written before.

use super::{explore, race};
use crate::consumer::ConsumerOptions;
use crate::message::{Field, MarketDataMessage, Mode, TopicName};
use crate::segment::layout::{longest_tick, smallest_buffer};
use crate::segment::topics;
use crate::{LockFreeRingBuffer, RingConfig};

const SYMBOLS: [&str; 2] = ["A", "B"];

fn tick(symbol: &str) -> MarketDataMessage {
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", symbol, Mode::Ltp).expect("a valid name");
    tick.set(Field::Ltp, 1.0);
    tick
}

/// One lane of the fewest lines, with room for two topics.
fn ring_of_ticks() -> LockFreeRingBuffer {
    let config = RingConfig::mpmc()
        .lanes(1)
        .consumers(1)
        .depth_levels(0)
        .topics(SYMBOLS.len())
        .buffer_size(smallest_buffer(longest_tick(0)));
    LockFreeRingBuffer::on_heap(config).expect("valid options")
}

#[test]
fn a_reader_that_sees_a_tick_with_a_new_number_sees_the_whole_name() {
    explore(2, |order| {
        let ring = ring_of_ticks();
        let mut producer = ring.producer("p").expect("a free lane");
        let mut consumer = ring.consumer(ConsumerOptions::new("c").register(false)).expect("no place needed");
        let name_and_tick = move || {
            for symbol in SYMBOLS {
                producer.write(tick(symbol).as_words(), 0).expect("it fits");
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
        let mut producer = ring.producer("p").expect("a free lane");
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
