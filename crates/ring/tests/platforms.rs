//! What holds on every system: Linux, macOS and Windows.

mod scratch;

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use openalgo_shm_ring::find::{find_segments, remove_if_unused};
use openalgo_shm_ring::layout::{BYTE_ORDER_MARK, layout_hash, layout_hash_on};
use openalgo_shm_ring::{Consumer, ConsumerOptions, ErrorCode, LockFreeRingBuffer, RingConfig, clock};
use scratch::{ScratchName, plain, words};

const PATIENCE: Duration = Duration::from_secs(60);

fn config() -> RingConfig {
    plain(RingConfig::mpmc().lanes(2).consumers(2), 64)
}

/// This very test program, to play one of the roles below in a process of its own.
fn role(role: &str, name: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", role, "--ignored", "--nocapture"])
        .env("RING", name)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn ring_of_role() -> LockFreeRingBuffer {
    LockFreeRingBuffer::open(&std::env::var("RING").expect("a role of another test")).unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn next(consumer: &mut Consumer) -> u64 {
    let mut found = None;
    until("a message", || {
        consumer.poll_words(1, |record| found = Some(words(record)[0]));
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn machines_of_another_byte_order_or_word_size_have_another_hash() {
    let (mine, other) =
        (u64::from_ne_bytes(BYTE_ORDER_MARK), u64::from_ne_bytes(BYTE_ORDER_MARK).swap_bytes());
    let words = size_of::<usize>();
    assert_eq!(layout_hash_on(mine, words), layout_hash());
    let hashes = [
        layout_hash(),
        layout_hash_on(other, words),
        layout_hash_on(mine, words / 2),
        layout_hash_on(other, words / 2),
    ];
    for (index, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..index].contains(hash), "{hashes:x?}");
    }
}

/// Linux shows the segment as a file, so that it can be given the header of another machine.
#[cfg(target_os = "linux")]
mod of_another_machine {
    use std::fs;

    use super::*;

    fn refusal(alter: impl FnOnce(&mut [u8])) -> openalgo_shm_ring::Error {
        let name = ScratchName::new("machine");
        drop(LockFreeRingBuffer::create(&name, config()).unwrap());
        let mut bytes = fs::read(name.path()).unwrap();
        alter(&mut bytes);
        fs::write(name.path(), bytes).unwrap();
        let refused =
            LockFreeRingBuffer::open(&name).err().expect("the header of another machine is refused");
        let again =
            LockFreeRingBuffer::create_or_attach(&name, config()).err().expect("and not written over");
        assert_eq!(again.code(), refused.code());
        refused
    }

    #[test]
    fn a_segment_of_another_word_size_is_refused() {
        let error = refusal(|bytes| {
            let hash = layout_hash_on(u64::from_ne_bytes(BYTE_ORDER_MARK), 4);
            bytes[16..24].copy_from_slice(&hash.to_ne_bytes());
        });
        assert_eq!(error.code(), ErrorCode::ShmLayout);
        assert!(error.message().contains("another kind of machine"), "{error}");
    }

    #[test]
    fn a_segment_of_another_byte_order_is_refused() {
        let error = refusal(|bytes| bytes[..128].chunks_exact_mut(8).for_each(<[u8]>::reverse));
        assert_eq!(error.code(), ErrorCode::ShmLayout);
    }

    #[test]
    fn a_hash_of_another_byte_order_is_refused() {
        let error = refusal(|bytes| {
            let hash = layout_hash_on(u64::from_ne_bytes(BYTE_ORDER_MARK).swap_bytes(), 8);
            bytes[16..24].copy_from_slice(&hash.to_ne_bytes());
        });
        assert_eq!(error.code(), ErrorCode::ShmLayout);
    }
}

#[test]
fn messages_pass_between_processes_and_a_killed_owner_leaves_its_lane() {
    let name = ScratchName::new("pass");
    let ring = LockFreeRingBuffer::create(&name, config()).unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let mut child = role("publish_for_ever", &name);
    let first = next(&mut consumer);
    assert!(next(&mut consumer) > first);
    let stats = ring.stats();
    assert_eq!((stats.lanes[0].pid, stats.lanes[0].alive), (child.id(), true));

    child.kill().unwrap();
    child.wait().unwrap();
    until("the lane is free", || !ring.stats().lanes[0].alive);
    assert_eq!(ring.producer("publisher").unwrap().lane(), 0, "the next of that name takes its lane");
}

#[test]
#[ignore = "a role of the tests above and below"]
fn publish_for_ever() {
    let mut producer = ring_of_role().producer("publisher").unwrap();
    for number in 0.. {
        producer.publish(&[number]).unwrap();
        std::thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn a_sleeping_consumer_sees_what_another_process_sends() {
    let name = ScratchName::new("sleeper");
    let ring = LockFreeRingBuffer::create(&name, config()).unwrap();
    let consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let mut child = role("publish_for_ever", &name);
    let seen = consumer.wait(openalgo_shm_ring::WaitStrategy::Sleep, PATIENCE);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(seen);
}

#[test]
fn every_place_has_one_owner_at_a_time() {
    let name = ScratchName::new("owner");
    let ring = LockFreeRingBuffer::create(&name, config()).unwrap();
    let again = LockFreeRingBuffer::open(&name).unwrap();
    let (one, two) = (ring.producer("one").unwrap(), again.producer("two").unwrap());
    assert_ne!(one.lane(), two.lane());
    assert_eq!(again.producer("three").err().unwrap().code(), ErrorCode::NoFreeLane);
    drop(one);
    assert_eq!(again.producer("three").unwrap().lane(), 0);
}

/// A child that has not yet become another program has a copy of every descriptor.
#[test]
#[cfg(unix)]
fn a_place_is_free_when_its_owner_has_left_though_a_process_is_just_being_started() {
    let name = ScratchName::new("forked");
    let ring = LockFreeRingBuffer::create(&name, config()).unwrap();
    let (one, consumer) =
        (ring.producer("one").unwrap(), ring.consumer(ConsumerOptions::new("reader")).unwrap());
    // SAFETY: the child of a process with several threads may only call what is safe in a signal handler.
    let child = unsafe {
        match libc::fork() {
            0 => loop {
                libc::pause();
            },
            child => child,
        }
    };
    drop((one, consumer));
    let in_use = ring.is_in_use();
    // SAFETY: plain system calls on a child of our own.
    unsafe {
        libc::kill(child, libc::SIGKILL);
        libc::waitpid(child, std::ptr::null_mut(), 0);
    }
    assert!(!in_use);
}

/// Its copy of the owner is none: dropped there, it leaves the place to the process that took it.
#[test]
#[cfg(target_os = "linux")]
fn a_process_made_by_fork_does_not_give_a_place_away() {
    let name = ScratchName::new("forked-owner");
    let ring = LockFreeRingBuffer::create(&name, config()).unwrap();
    let mut one = Some(ring.producer("one").unwrap());
    // SAFETY: the C library lets the child allocate and free; it ends without running anything of ours.
    unsafe {
        match libc::fork() {
            0 => {
                drop(one.take());
                libc::_exit(0);
            }
            child => libc::waitpid(child, std::ptr::null_mut(), 0),
        };
    }
    assert!(ring.is_in_use());
    assert_eq!(one.map(|producer| producer.lane()), Some(0));
}

#[test]
fn rings_are_found_and_removed_when_nobody_uses_them() {
    let name = ScratchName::new("found");
    let found = || find_segments().into_iter().find(|found| found.name == *name);
    assert_eq!(found(), None);
    let ring = LockFreeRingBuffer::create(&name, config()).unwrap();
    let producer = ring.producer("one").unwrap();
    assert!(found().unwrap().in_use);
    assert_eq!(remove_if_unused(&name), Ok(false));
    drop(producer);
    assert!(!found().unwrap().in_use);
    assert!(ring.is_current());
    assert_eq!(ring.unlink_own(), Ok(true));
    assert!(!ring.is_current());
    assert_eq!(found(), None);
    assert_eq!(LockFreeRingBuffer::open(&name).err().unwrap().code(), ErrorCode::ShmNotFound);
    drop(ring);
    assert!(LockFreeRingBuffer::create(&name, config()).is_ok(), "the name is free again");
}

#[test]
fn long_names_are_kept_apart() {
    let stem = ScratchName::new("a-name-that-is-longer-than-any-system-allows-by-itself");
    let names = [format!("{}-one", &*stem), format!("{}-two", &*stem)];
    let rings = names.each_ref().map(|name| LockFreeRingBuffer::create(name, config()).unwrap());
    let _producer = rings[0].producer("one").unwrap();
    let in_use = names.each_ref().map(|name| LockFreeRingBuffer::open(name).unwrap().is_in_use());
    for name in &names {
        assert_eq!(LockFreeRingBuffer::unlink(name), Ok(true));
    }
    assert_eq!(in_use, [true, false]);
}

#[test]
fn the_clock_runs_forwards() {
    let (before, start) = (clock::monotonic_ns(), Instant::now());
    std::thread::sleep(Duration::from_millis(5));
    let (elapsed, most) = (clock::monotonic_ns() - before, start.elapsed() + Duration::from_secs(1));
    assert!(elapsed >= 4_000_000 && u128::from(elapsed) < most.as_nanos(), "{elapsed} ns");
}
