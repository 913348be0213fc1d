use std::time::Duration;

use loom::thread;

use super::explore;
use crate::region::Region;
use crate::sync::Ordering;
use crate::wait;

const FUTEX: usize = 0;
const MESSAGES: usize = 1;

/// Sleeps without a time limit here: a wake-up that is lost is a deadlock, which loom reports.
fn sleep_until(region: &Region, messages: u64) {
    let ready = || region[MESSAGES].load(Ordering::Relaxed) >= messages;
    while !ready() {
        wait::sleep(region, FUTEX, Duration::ZERO, ready);
    }
}

fn publish(region: &Region, messages: u64) {
    region[MESSAGES].store(messages, Ordering::Relaxed);
    wait::wake(region, FUTEX);
}

#[test]
fn no_wake_up_is_lost_by_either_of_two_sleepers() {
    explore(3, || {
        let region = Region::heap(2);
        let sleepers = [(); 2].map(|()| {
            let region = region.clone();
            thread::spawn(move || sleep_until(&region, 1))
        });
        publish(&region, 1);
        sleepers.into_iter().for_each(|sleeper| sleeper.join().expect("it was woken"));
    });
}

#[test]
fn who_sleeps_again_is_woken_again() {
    explore(3, || {
        let region = Region::heap(2);
        let sleepers = [1, 2].map(|messages| {
            let region = region.clone();
            thread::spawn(move || sleep_until(&region, messages))
        });
        publish(&region, 1);
        publish(&region, 2);
        sleepers.into_iter().for_each(|sleeper| sleeper.join().expect("it was woken"));
    });
}
