//! The memory orderings, explored by loom: `scripts/loom.sh`. Every model is of the code that ships; loom
//! replaces the atomics. `scripts/loom-mutations.mjs` weakens each ordering in turn and demands that a
//! model fails.
//!
//! Two limits of loom shape the models. It runs the loads and stores of one thread in program order, so a
//! store that must not pass earlier loads (a cursor, a gate) is checked by tokens: see `gating`. And its
//! reduction remembers one last access of every word, so every race is explored from both orders.

mod gating;
mod hand_over;
mod header;
mod lapping;
mod lines;
mod record;
mod tail;
mod ticks;
mod topics;
mod waiting;

use crate::consumer::{Consumer, ConsumerOptions};
use crate::message::{Field, HEAD_PAYLOAD, LINE_PAYLOAD, MarketDataMessage, Mode, Record};
use crate::producer::Producer;
use crate::segment::layout::{Kind, LINE, Policy, longest_tick, smallest_buffer};
use crate::segment::tail::Tail;
use crate::{LockFreeRingBuffer, RingConfig};

/// Which of two racing threads loom runs first in its first execution.
#[derive(Debug, Clone, Copy)]
enum Order {
    /// The first closure of [`race`].
    Given,
    /// The second.
    Reversed,
}

/// Explores every execution with at most this many preemptions. Loom remembers one last access of every
/// word, so a load that a thread makes before its store hides that store from another's earlier load.
/// From the reversed order it finds those executions, too.
fn explore(preemptions: usize, model: impl Fn(Order) + Sync + Send + Copy + 'static) {
    for order in [Order::Given, Order::Reversed] {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(preemptions);
        builder.max_branches = 50_000;
        builder.check(move || model(order));
    }
}

/// Runs both at once; returns what they return.
fn race<A: 'static, B: 'static>(
    order: Order,
    first: impl FnOnce() -> A + 'static,
    second: impl FnOnce() -> B + 'static,
) -> (A, B) {
    match order {
        Order::Given => {
            let second = loom::thread::spawn(second);
            let first = first();
            (first, second.join().expect("it ended"))
        }
        Order::Reversed => {
            let first = loom::thread::spawn(first);
            let second = second();
            (first.join().expect("it ended"), second)
        }
    }
}

/// One lane of so many lines, one consumer record, messages of up to half the lane.
fn small_ring(policy: Policy, capacity: usize) -> LockFreeRingBuffer {
    let config = RingConfig::mpmc()
        .lanes(1)
        .consumers(1)
        .policy(policy)
        .of_kind(Kind::Interest, words_of(capacity / 2))
        .buffer_size(capacity * LINE);
    LockFreeRingBuffer::on_heap(config).expect("valid options")
}

/// Symbols of the topics of a [`ring_of_ticks`].
const SYMBOLS: [&str; 2] = ["A", "B"];

/// One lane of so many lines as two of the longest ticks without a book need: 16.
fn ring_of_ticks() -> LockFreeRingBuffer {
    let config = RingConfig::mpmc()
        .lanes(1)
        .consumers(1)
        .depth_levels(0)
        .topics(SYMBOLS.len())
        .buffer_size(smallest_buffer(longest_tick(0)));
    LockFreeRingBuffer::on_heap(config).expect("valid options")
}

/// A tick of one line.
fn tick(symbol: &str, price: u32) -> MarketDataMessage {
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", symbol, Mode::Ltp).expect("a valid name");
    tick.set(Field::Ltp, f64::from(price));
    tick.set(Field::Volume, f64::from(price));
    tick
}

fn producer(ring: &LockFreeRingBuffer) -> Producer {
    ring.producer("p").expect("a free lane")
}

/// A consumer that holds no producer back.
fn watcher(ring: &LockFreeRingBuffer) -> Consumer {
    ring.consumer(ConsumerOptions::new("c").register(false)).expect("no place needed")
}

/// Words of the shortest message of so many lines that fills its first line.
const fn words_of(lines: usize) -> usize {
    match lines {
        1 => HEAD_PAYLOAD,
        _ => HEAD_PAYLOAD + (lines - 2) * LINE_PAYLOAD + 1,
    }
}

/// The beginning of a lane.
const START: Tail = Tail { position: 0, sequence: 0 };

/// The word at a place of a message: it follows from the message's sequence, length and the place.
const fn word(sequence: u64, length: usize, place: usize) -> u64 {
    (sequence + 1) << 16 | (length as u64) << 8 | place as u64
}

/// The message of so many lines that belongs at a sequence.
fn message(sequence: u64, lines: usize) -> Vec<u64> {
    let length = words_of(lines);
    (0..length).map(|place| word(sequence, length, place)).collect()
}

/// Writes the next message. False if a lossless ring is full.
fn write(producer: &mut Producer, lines: usize) -> bool {
    producer.write(&message(producer.tail(), lines), 0).expect("it fits")
}

fn assert_whole(record: Record<'_>) {
    for (place, found) in record.words().enumerate() {
        let expected = word(record.sequence(), record.len(), place);
        assert_eq!(found, expected, "message {} is torn at word {place}", record.sequence());
    }
}

/// Reads all that is left, whole.
fn drain(consumer: &mut Consumer) {
    while consumer.poll_words(9, assert_whole) > 0 {}
}
