//! Waiting consumers and the doorbell see every message, and closing. That it is a wake-up that ends their
//! sleep is tested where no other does: in `src/wait/tests.rs`.

mod scratch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use openalgo_shm_ring::{ConsumerOptions, Doorbell, LockFreeRingBuffer, RingConfig, WaitStrategy};
use scratch::plain;

/// Far longer than anything here takes; what needs it has failed.
const LIMIT: Duration = Duration::from_secs(60);
const MESSAGES: u64 = if cfg!(miri) { 3 } else { 300 };
/// Its thread is found in another state each time.
const CLOSINGS: u64 = if cfg!(miri) { 3 } else { 300 };
/// Lines a lane. Miri follows every word of a ring at every access: a thousand lines take it minutes.
const CAPACITY: usize = if cfg!(miri) { 16 } else { 1024 };

fn ring() -> LockFreeRingBuffer {
    LockFreeRingBuffer::on_heap(plain(RingConfig::mpmc().lanes(2), CAPACITY)).unwrap()
}

#[test]
fn every_way_of_waiting_sees_every_message() {
    for strategy in [WaitStrategy::Spin, WaitStrategy::Adaptive, WaitStrategy::Sleep] {
        let ring = ring();
        let mut producer = ring.producer("writer").unwrap();
        let mut consumers: Vec<_> =
            (0..2).map(|_| ring.consumer(ConsumerOptions::new("reader")).unwrap()).collect();
        std::thread::scope(|scope| {
            let (ready, go) = mpsc::channel();
            for consumer in &mut consumers {
                let ready = ready.clone();
                scope.spawn(move || {
                    while consumer.received() < MESSAGES {
                        assert!(consumer.wait(strategy, LIMIT), "{strategy:?} did not see it");
                        consumer.poll_words(1, |_| {});
                        ready.send(()).unwrap();
                    }
                });
            }
            for number in 0..MESSAGES {
                producer.publish(&[number]).unwrap();
                // Both have read it: the next finds them asleep, or on the way to.
                (0..2).for_each(|_| go.recv_timeout(LIMIT).unwrap());
            }
        });
    }
}

#[test]
fn a_wait_without_message_ends_with_its_time_limit() {
    let ring = ring();
    let consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    for strategy in [WaitStrategy::Spin, WaitStrategy::Adaptive, WaitStrategy::Sleep] {
        assert!(!consumer.wait(strategy, Duration::from_millis(1)));
        assert!(!consumer.wait(strategy, Duration::ZERO));
    }
}

#[test]
fn the_doorbell_rings_once_each_time_it_is_armed() {
    let ring = ring();
    let mut producer = ring.producer("writer").unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let (bell, rung) = mpsc::channel();
    let doorbell =
        Doorbell::new(ring.segment(), WaitStrategy::Sleep, move || bell.send(()).unwrap()).unwrap();
    for number in 0..MESSAGES / 3 {
        doorbell.arm(&consumer);
        (0..3).for_each(|_| assert!(producer.publish(&[number]).unwrap()));
        rung.recv_timeout(LIMIT).expect("the bell rings");
        assert!(rung.try_recv().is_err(), "and is silent until it is armed again");
        assert_eq!(consumer.poll_words(usize::MAX, |_| {}), 3);
    }
    producer.publish(&[0]).unwrap();
    doorbell.arm(&consumer);
    rung.recv_timeout(LIMIT).expect("at once for what is already there");
}

#[test]
fn a_doorbell_closes_while_it_waits_and_while_it_is_silent_and_does_not_ring() {
    for (armed, strategy) in [true, false].into_iter().flat_map(|armed| {
        [WaitStrategy::Spin, WaitStrategy::Adaptive, WaitStrategy::Sleep].map(|strategy| (armed, strategy))
    }) {
        let ring = ring();
        let consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
        for _ in 0..CLOSINGS {
            let rung = Arc::new(AtomicBool::new(false));
            let bell = Arc::clone(&rung);
            let doorbell =
                Doorbell::new(ring.segment(), strategy, move || bell.store(true, Ordering::Relaxed)).unwrap();
            if armed {
                doorbell.arm(&consumer);
            }
            drop(doorbell);
            assert!(!rung.load(Ordering::Relaxed), "{strategy:?}: there was nothing to ring for");
        }
    }
}
