//! No wake-up is lost. The producer's light fence is a full one here: see `wait::barrier`.

use std::time::Duration;

use super::{explore, race};
use crate::segment::Region;
use crate::sync::Ordering;
use crate::wait;

const FUTEX: usize = 0;
const MESSAGES: usize = 1;

/// Sleeps without a time limit here: a wake-up that is lost is a deadlock, which loom reports.
fn sleep_until(region: &Region, messages: u64) {
    let ready = || region[MESSAGES].load(Ordering::Relaxed) >= messages;
    while !ready() {
        wait::sleep(&region[FUTEX], Duration::ZERO, ready);
    }
}

fn publish(region: &Region, messages: u64) {
    region[MESSAGES].store(messages, Ordering::Relaxed);
    wait::wake(&region[FUTEX]);
}

#[test]
fn two_sleepers_are_both_woken() {
    explore(3, |order| {
        let region = Region::heap(2);
        let [one, other] = [region.clone(), region.clone()];
        let other = loom::thread::spawn(move || sleep_until(&other, 1));
        race(order, move || publish(&region, 1), move || sleep_until(&one, 1));
        other.join().expect("it was woken");
    });
}

#[test]
fn a_sleeper_that_sleeps_again_is_woken_again() {
    explore(2, |order| {
        let region = Region::heap(2);
        let [one, other] = [region.clone(), region.clone()];
        let other = loom::thread::spawn(move || sleep_until(&other, 2));
        let publish_twice = move || {
            publish(&region, 1);
            publish(&region, 2);
        };
        race(order, publish_twice, move || sleep_until(&one, 1));
        other.join().expect("it was woken");
    });
}
