//! Every wake-up arrives, also in another process. Nothing here but a wake-up ends a sleep: one that is
//! lost is a test that hangs until its patience is over.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::{Doorbell, Ordering, SLEEPING, WaitStrategy, Waker, barrier};
use crate::config::RingConfig;
use crate::consumer::{Consumer, ConsumerOptions, Start};
use crate::ring::LockFreeRingBuffer;
use crate::segment::layout::{Kind, LINE};

/// What takes longer has not been woken.
const PATIENCE: Duration = Duration::from_secs(120);
/// Sleeps that a test ends, about.
const TURNS: u64 = 100;

fn config() -> RingConfig {
    RingConfig::mpmc().lanes(2).consumers(2).of_kind(Kind::Interest, 1).buffer_size(128 * LINE)
}

/// This very test program, to play one of the two in a process of its own.
fn start(role: &str, ring: &str, first_turn: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("wait::tests::{role}"), "--ignored", "--nocapture"])
        .env("RING", ring)
        .env("FIRST_TURN", first_turn.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Two processes of this role take turns; true if both come to their end.
fn two_take_turns(role: &str) -> bool {
    let name = format!("openalgo-test-{role}-{}", std::process::id());
    let ring = LockFreeRingBuffer::create(&name, config()).unwrap();
    let begun = Instant::now();
    let mut both = [0, 1].map(|first_turn| start(role, &name, first_turn));
    while begun.elapsed() < PATIENCE && both.iter_mut().any(|one| one.try_wait().unwrap().is_none()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = both.each_mut().map(|one| {
        let _ = one.kill();
        one.wait().unwrap().success()
    });
    ring.unlink_own().unwrap();
    ended == [true, true]
}

fn variable(name: &str) -> String {
    std::env::var(name).expect("a role of another test")
}

fn ring_of_role() -> LockFreeRingBuffer {
    LockFreeRingBuffer::open(&variable("RING")).unwrap()
}

/// Sends every second message, each when all before it have arrived.
fn take_turns(ring: &LockFreeRingBuffer, wait: impl Fn(&Consumer)) {
    let first_turn: u64 = variable("FIRST_TURN").parse().unwrap();
    let mut producer = ring.producer("one of two").unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("one of two").from(Start::Oldest)).unwrap();
    for turn in 0..TURNS {
        if turn % 2 == first_turn {
            producer.publish(&[turn]).unwrap();
        }
        while consumer.received() <= turn {
            wait(&consumer);
            consumer.poll_words(1, |_| {});
        }
    }
}

#[test]
fn a_sleeping_consumer_is_woken_by_another_process() {
    assert!(two_take_turns("consumer_of_two"), "a consumer was not woken");
}

#[test]
#[ignore = "a role of the test above"]
fn consumer_of_two() {
    take_turns(&ring_of_role(), |consumer| assert!(consumer.wait(WaitStrategy::Sleep, Duration::MAX)));
}

#[test]
fn a_sleeping_doorbell_is_woken_by_another_process() {
    assert!(two_take_turns("doorbell_of_two"), "a doorbell was not woken");
}

#[test]
#[ignore = "a role of the test above"]
fn doorbell_of_two() {
    let ring = ring_of_role();
    let (bell, rung) = mpsc::channel();
    let doorbell =
        Doorbell::new(ring.segment(), WaitStrategy::Sleep, move || bell.send(()).unwrap()).unwrap();
    take_turns(&ring, |consumer| {
        doorbell.arm(consumer);
        rung.recv().expect("the doorbell's thread lives");
    });
}

#[test]
fn a_sleeping_doorbell_is_woken_to_be_closed_and_does_not_ring() {
    let (closed, close) = mpsc::channel();
    // On a thread, for the closing of a doorbell that is not woken never returns.
    std::thread::spawn(move || {
        let ring = LockFreeRingBuffer::on_heap(config()).unwrap();
        let consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
        for _ in 0..TURNS {
            let rung = Arc::new(AtomicBool::new(false));
            let bell = Arc::clone(&rung);
            let ring_bell = move || bell.store(true, Ordering::Relaxed);
            let doorbell = Doorbell::new(ring.segment(), WaitStrategy::Sleep, ring_bell).unwrap();
            doorbell.arm(&consumer);
            while ring.segment().futex().load(Ordering::Relaxed) & SLEEPING == 0 {
                std::thread::yield_now();
            }
            drop(doorbell);
            closed.send(rung.load(Ordering::Relaxed)).unwrap();
        }
    });
    for _ in 0..TURNS {
        assert_eq!(close.recv_timeout(PATIENCE), Ok(false), "it was not woken, or it rang for nothing");
    }
}

/// Producers that may leave their fence to the sleepers, and producers that may not, wake alike.
#[test]
fn a_sleeper_is_woken_by_a_producer_with_and_without_the_barrier() {
    let (woken, wakes) = mpsc::channel();
    // On a thread, for a sleeper that is not woken never comes back.
    std::thread::spawn(move || {
        let ring = LockFreeRingBuffer::on_heap(config()).unwrap();
        let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
        let mut producer = ring.producer("writer").unwrap();
        for turn in 0..TURNS {
            let mut waker = Waker::new(ring.segment());
            waker.registered &= turn % 2 == 0;
            std::thread::scope(|scope| {
                scope.spawn(|| assert!(consumer.wait(WaitStrategy::Sleep, Duration::MAX)));
                if turn % 4 < 2 {
                    while ring.segment().futex().load(Ordering::Relaxed) & SLEEPING == 0 {
                        std::thread::yield_now();
                    }
                }
                // The message alone; what wakes is the waker.
                producer.write(&[turn], 0).unwrap();
                waker.wake();
            });
            assert_eq!(consumer.poll_words(9, |_| {}), 1);
            woken.send(()).unwrap();
        }
    });
    for turn in 0..TURNS {
        wakes.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not woken in turn {turn}"));
    }
}

#[test]
fn a_process_that_may_register_may_run_the_barrier() {
    // Nothing else would make the stores of a registered producer visible to its sleepers.
    assert!(!barrier::register() || barrier::run_in_all_producers());
}
