//! The memory orderings, explored by loom: `scripts/loom.sh`. Every model is of the code that ships; loom
//! replaces the atomics. `scripts/loom-mutations.mjs` weakens each ordering in turn and demands that a
//! model fails.

mod gating;
mod hand_over;
mod header;
mod lapping;
mod record;
mod slot;
mod waiting;

use crate::extent::Extent;
use crate::layout::{Kind, Policy};
use crate::ring::{LockFreeRingBuffer, RingConfig};

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

/// One lane of two slots of 16 words, one consumer record.
fn small_ring(policy: Policy) -> LockFreeRingBuffer {
    let config =
        RingConfig::mpmc().lanes(1).consumers(1).policy(policy).of_kind(Kind::Interest, 128).buffer_size(256);
    LockFreeRingBuffer::on_heap(config).expect("valid options")
}

/// The message that belongs at a sequence: two words that follow from it.
fn message(sequence: u64) -> [u64; 5] {
    [0, Extent::prefix(5).to_word(), 0, 100 + sequence, 200 + sequence]
}

fn assert_whole(record: &[u64]) {
    assert_eq!(record[3..5], message(record[0])[3..5], "message {} is torn", record[0]);
}
