//! Segments in shared memory: create, attach, unlink, and all that may lie under their name.
#![cfg(target_os = "linux")]

mod scratch;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::{Command, Output};
use std::sync::Barrier;

use openalgo_shm_core::layout::{Kind, MAGIC, Policy};
use openalgo_shm_core::monitor::{find_segments, remove_if_unused};
use openalgo_shm_core::{ConsumerOptions, Error, ErrorCode, LockFreeRingBuffer, RingConfig};
use scratch::{ScratchName, message, payload, plain};

fn config() -> RingConfig {
    plain(RingConfig::mpmc().lanes(2).consumers(2), 4)
}

fn create(name: &str) -> LockFreeRingBuffer {
    LockFreeRingBuffer::create(name, config()).unwrap()
}

fn open_error(name: &str) -> Error {
    LockFreeRingBuffer::open(name).err().expect("this is no segment")
}

fn lock_file(name: &ScratchName) -> std::path::PathBuf {
    name.path().with_file_name(format!("{}.lock", &**name))
}

/// This very test program, to play one of the roles below in a process of its own.
fn role(role: &str, name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", role, "--ignored", "--nocapture"]).env("RING", name);
    command
}

fn ring_of_role() -> String {
    std::env::var("RING").expect("a role of another test")
}

fn assert_success(output: &Output) {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
}

fn is_root() -> bool {
    // SAFETY: a call without arguments or effects.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn what_does_not_exist_cannot_be_opened() {
    let name = ScratchName::new("absent");
    let error = open_error(&name);
    assert_eq!(error.code(), ErrorCode::ShmNotFound);
    assert!(error.message().contains(&*name), "{error}");
    assert!(!name.path().exists() && !lock_file(&name).exists(), "and asking leaves nothing behind");
    assert_eq!(LockFreeRingBuffer::unlink(&name), Ok(false));
    assert_eq!(remove_if_unused(&name), Ok(false));
}

#[test]
fn a_segment_belongs_to_its_user_alone_and_its_lock_is_gone_when_nobody_creates() {
    let name = ScratchName::new("mode");
    let _ring = create(&name);
    assert_eq!(fs::metadata(name.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!lock_file(&name).exists());
}

#[test]
fn creating_again_attaches_and_other_options_are_refused() {
    let name = ScratchName::new("again");
    let first = create(&name);
    let second = create(&name);
    let mut producer = first.producer("writer").unwrap();
    let mut consumer = second.consumer(ConsumerOptions::new("reader")).unwrap();
    producer.publish(&message(&[7])).unwrap();
    assert_eq!(consumer.poll_words(9, |record| assert_eq!(payload(record, 1), [7])), 1);

    let error = LockFreeRingBuffer::create(&name, config().lanes(3)).err().unwrap();
    assert_eq!(error.code(), ErrorCode::ShmMismatch);
    assert!(error.message().contains("2 lanes") && error.message().contains("3 lanes"), "{error}");
    let other = LockFreeRingBuffer::create(&name, config().policy(Policy::Lossless)).err().unwrap();
    assert_eq!(other.code(), ErrorCode::ShmMismatch);
    let error = LockFreeRingBuffer::create_or_attach(&name, RingConfig::mpmc()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::ShmMismatch, "another kind of messages");
    let attached = LockFreeRingBuffer::create_or_attach(&name, config().lanes(3)).unwrap();
    assert_eq!(attached.layout(), first.layout(), "who comes later keeps to what is there");
    assert!(first.is_current(), "and nobody removed it");
}

#[test]
fn a_removed_segment_lives_on_for_those_who_have_it() {
    let name = ScratchName::new("removed");
    let old = create(&name);
    let mut producer = old.producer("writer").unwrap();
    let mut consumer = old.consumer(ConsumerOptions::new("reader")).unwrap();
    assert_eq!(LockFreeRingBuffer::unlink(&name), Ok(true));
    assert!(!old.is_current() && !old.stats().current);
    producer.publish(&message(&[1])).unwrap();
    assert_eq!(consumer.poll_words(9, |_| {}), 1);
    assert!(old.producer("late").is_ok(), "its lanes can still be taken");

    let new = create(&name);
    assert!(new.is_current() && !old.is_current());
    assert!(!new.is_in_use(), "owners of the old one do not own the new one");
    assert_eq!(old.unlink_own(), Ok(false), "who has the old one does not remove its successor");
    assert!(new.is_current());
    assert_eq!(new.unlink_own(), Ok(true));
}

#[test]
fn a_foreign_file_is_refused_and_left_alone() {
    let foreign: [(&str, Vec<u8>); 6] = [
        ("a few bytes", b"abc".to_vec()),
        ("a few zeros", vec![0; 7]),
        ("zeros shorter than a header", vec![0; 64]),
        ("text", b"something else entirely".repeat(500)),
        ("another library's header", [vec![0; 8], vec![7; 8192]].concat()),
        ("another byte order", [MAGIC.to_be_bytes().to_vec(), vec![0; 8192]].concat()),
    ];
    for (what, content) in foreign {
        let name = ScratchName::new("foreign");
        fs::write(name.path(), &content).unwrap();
        assert_eq!(open_error(&name).code(), ErrorCode::ShmLayout, "{what}");
        let error = LockFreeRingBuffer::create(&name, config()).err().unwrap();
        assert_eq!(error.code(), ErrorCode::ShmLayout, "{what}");
        assert_eq!(fs::read(name.path()).unwrap(), content, "{what}");
        assert!(find_segments().iter().all(|found| *found.name != *name), "{what}");
        assert_eq!(remove_if_unused(&name).unwrap_err().code(), ErrorCode::ShmLayout, "{what}");
        assert!(name.path().exists(), "{what}");
    }
}

#[test]
fn looking_for_rings_touches_no_lock_file_of_others() {
    let name = ScratchName::new("foreign-lock");
    fs::write(name.path(), b"something else").unwrap();
    fs::write(lock_file(&name), b"and its lock").unwrap();
    find_segments();
    assert_eq!(fs::read(lock_file(&name)).unwrap(), b"and its lock");
    fs::remove_file(lock_file(&name)).unwrap();
}

#[test]
fn a_link_in_place_of_a_lock_file_is_not_followed() {
    let (name, target) = (ScratchName::new("planted"), ScratchName::new("planted-target"));
    std::os::unix::fs::symlink(target.path(), lock_file(&name)).unwrap();
    assert_eq!(open_error(&name).code(), ErrorCode::ShmSystem);
    fs::remove_file(lock_file(&name)).unwrap();
    assert!(!target.path().exists());
}

#[test]
fn a_segment_of_another_version_is_removed_only_when_nobody_holds_it() {
    const VERSION: u64 = 8;
    let name = ScratchName::new("versions");
    let ring = create(&name);
    let producer = ring.producer("old").unwrap();
    File::options()
        .write(true)
        .open(name.path())
        .unwrap()
        .write_all_at(&2_u64.to_le_bytes(), VERSION)
        .unwrap();
    assert_eq!(open_error(&name).code(), ErrorCode::ShmVersion);
    assert_eq!(remove_if_unused(&name), Ok(false));
    drop(producer);
    assert_eq!(remove_if_unused(&name), Ok(true));
}

#[test]
fn a_header_that_lies_is_refused_with_what_was_found_and_expected() {
    const VERSION: u64 = 8;
    let lies = [
        (0, 1, ErrorCode::ShmLayout, "first word"),
        (VERSION, 2, ErrorCode::ShmVersion, "format version 2, this library reads 1"),
        (16, 1, ErrorCode::ShmLayout, "layout hash"),
        (24, 9, ErrorCode::ShmLayout, "kind of messages 9"),
        (32, 0, ErrorCode::ShmLayout, "lanes 0"),
        (32, 65, ErrorCode::ShmLayout, "lanes 65"),
        (32, u64::MAX, ErrorCode::ShmLayout, "lanes"),
        (40, 0, ErrorCode::ShmLayout, "consumers 0"),
        (48, 3, ErrorCode::ShmLayout, "not a power of two"),
        (48, 1 << 26, ErrorCode::ShmLayout, "slots of 128 bytes are more than"),
        (48, 1 << 63, ErrorCode::ShmLayout, "capacity"),
        (56, 100, ErrorCode::ShmLayout, "stride 100"),
        (56, 192, ErrorCode::ShmLayout, "bytes"),
        (64, 201, ErrorCode::ShmLayout, "depth levels 201"),
        (72, 3, ErrorCode::ShmLayout, "policy 3"),
        (80, 1, ErrorCode::ShmLayout, "the header says 1 bytes"),
    ];
    for (offset, value, code, expected) in lies {
        let name = ScratchName::new("lie");
        let ring = create(&name);
        let file = File::options().write(true).open(name.path()).unwrap();
        file.write_all_at(&u64::to_le_bytes(value), offset).unwrap();
        let error = open_error(&name);
        assert_eq!(error.code(), code, "{error}");
        assert!(error.message().contains(expected), "{error}, expected '{expected}'");
        assert!(error.message().contains(&*name), "{error}");
        assert!(ring.is_current(), "it is not removed: others may have it");
        let mut producer = ring.producer("writer").unwrap();
        producer.publish(&message(&[1])).unwrap();
    }
}

#[test]
fn a_segment_shorter_than_its_header_says_is_refused() {
    let name = ScratchName::new("short");
    let bytes = create(&name).layout().total_bytes() as u64;
    for length in [bytes - 1, 4096, 127] {
        File::options().write(true).open(name.path()).unwrap().set_len(length).unwrap();
        let error = open_error(&name);
        assert_eq!(error.code(), ErrorCode::ShmLayout, "{length} bytes: {error}");
    }
}

#[test]
fn what_a_creator_left_when_it_died_is_created_anew() {
    let whole = {
        let name = ScratchName::new("whole");
        create(&name);
        fs::read(name.path()).unwrap()
    };
    // The header is written word by word, the magic word last.
    let mut unfinished = vec![vec![], vec![0; whole.len()]];
    unfinished.extend((1..12).map(|words| {
        let mut partial = vec![0; whole.len()];
        partial[8..8 * (words + 1)].copy_from_slice(&whole[8..8 * (words + 1)]);
        partial
    }));
    for content in unfinished {
        let name = ScratchName::new("unfinished");
        fs::write(name.path(), &content).unwrap();
        assert_eq!(open_error(&name).code(), ErrorCode::ShmLayout);
        let ring = create(&name);
        assert!(ring.is_current() && ring.producer("writer").is_ok());
    }
}

#[test]
fn creating_opening_and_removing_at_once_never_meets_a_half_made_segment() {
    const THREADS: usize = 8;
    const ROUNDS: usize = 200;
    let name = ScratchName::new("race");
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (name, start) = (&name, &start);
            scope.spawn(move || {
                start.wait();
                for round in 0..ROUNDS {
                    match (thread + round) % 4 {
                        0 => drop(LockFreeRingBuffer::unlink(name).unwrap()),
                        1 => match LockFreeRingBuffer::open(name) {
                            Ok(ring) => assert_eq!(ring.layout().capacity, 4),
                            Err(error) => assert_eq!(error.code(), ErrorCode::ShmNotFound, "{error}"),
                        },
                        _ => {
                            let ring = create(name);
                            let mut producer = ring.producer("writer");
                            if let Ok(producer) = &mut producer {
                                producer.publish(&message(&[1])).unwrap();
                            }
                        }
                    }
                }
            });
        }
    });
    assert!(!lock_file(&name).exists());
}

#[test]
fn cleaning_up_removes_what_nobody_holds_and_nothing_else() {
    let (held, left) = (ScratchName::new("held"), ScratchName::new("left"));
    let consumer = create(&held).consumer(ConsumerOptions::new("reader")).unwrap();
    create(&left);
    let found = find_segments();
    let in_use = |name: &str| found.iter().find(|found| found.name == name).map(|found| found.in_use);
    assert_eq!((in_use(&held), in_use(&left)), (Some(true), Some(false)));
    assert_eq!((remove_if_unused(&held), remove_if_unused(&left)), (Ok(false), Ok(true)));
    assert!(held.path().exists() && !left.path().exists());
    drop(consumer);
    assert_eq!(remove_if_unused(&held), Ok(true));
}

#[test]
fn a_lock_file_left_behind_stops_nobody() {
    let name = ScratchName::new("leftover");
    File::create(lock_file(&name)).unwrap();
    create(&name);
    assert!(!lock_file(&name).exists());
}

#[test]
fn a_name_held_for_too_long_is_an_error_that_says_who_to_end() {
    let name = ScratchName::new("busy");
    let lock = File::create(lock_file(&name)).unwrap();
    lock.try_lock().unwrap();
    let error = open_error(&name);
    assert_eq!(error.code(), ErrorCode::ShmBusy);
    assert!(error.message().contains(".lock for 3 s"), "{error}");
    drop(lock);
    create(&name);
}

#[test]
fn another_user_is_told_whose_the_segment_is() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let name = ScratchName::new("permission");
    let _ring = create(&name);
    assert_success(&role("as_another_user", &name).output().unwrap());
    assert!(name.path().exists());
}

#[test]
#[ignore = "a role of another_user_is_told_whose_the_segment_is"]
fn as_another_user() {
    let name = ring_of_role();
    // SAFETY: plain system calls.
    unsafe { assert_eq!((libc::setgid(65534), libc::setuid(65534)), (0, 0)) };
    let attempts = [
        LockFreeRingBuffer::open(&name).map(drop),
        LockFreeRingBuffer::create(&name, config()).map(drop),
        LockFreeRingBuffer::unlink(&name).map(drop),
        remove_if_unused(&name).map(drop),
    ];
    for attempt in attempts {
        let error = attempt.expect_err("root's segment");
        assert_eq!(error.code(), ErrorCode::ShmPermission, "{error}");
        assert!(error.message().contains("user id 0"), "{error}");
    }
    assert!(find_segments().iter().all(|found| found.name != name));
    LockFreeRingBuffer::create(&format!("{name}.own"), config()).unwrap().unlink_own().unwrap();
}

/// Its owner could cut it short, and kill whoever has it mapped.
#[test]
fn a_segment_that_another_user_owns_is_refused_though_it_is_open_to_all() {
    if !is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let name = ScratchName::new("trap");
    assert_success(&role("sets_a_trap", &name).output().unwrap());
    for error in [open_error(&name), LockFreeRingBuffer::create(&name, config()).err().unwrap()] {
        assert_eq!(error.code(), ErrorCode::ShmPermission, "{error}");
        assert!(error.message().contains("user id 65534"), "{error}");
    }
    assert!(find_segments().iter().all(|found| found.name != *name));
    assert_eq!(remove_if_unused(&name).unwrap_err().code(), ErrorCode::ShmPermission);
}

#[test]
#[ignore = "a role of a_segment_that_another_user_owns_is_refused_though_it_is_open_to_all"]
fn sets_a_trap() {
    let name = ring_of_role();
    // SAFETY: plain system calls.
    unsafe { assert_eq!((libc::setgid(65534), libc::setuid(65534)), (0, 0)) };
    create(&name);
    let path = std::path::Path::new("/dev/shm").join(name);
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
}

#[test]
fn a_full_file_system_is_an_error_that_says_how_much_is_needed() {
    let mount = "mount -t tmpfs -o size=256k tmpfs /dev/shm && exec \"$@\"";
    let mut command = Command::new("unshare");
    let role = role("on_a_small_file_system", "full");
    command.args(["-m", "sh", "-c", mount, "sh"]).arg(role.get_program()).args(role.get_args());
    command.envs(role.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let allowed = Command::new("unshare").args(["-m", "true"]).status().is_ok_and(|status| status.success());
    if !allowed || !is_root() {
        eprintln!("skipped: needs root, and a mount namespace");
        return;
    }
    assert_success(&command.output().unwrap());
}

#[test]
#[ignore = "a role of a_full_file_system_is_an_error_that_says_how_much_is_needed"]
fn on_a_small_file_system() {
    let name = ring_of_role();
    let lanes_of = |bytes| RingConfig::mpmc().of_kind(Kind::Interest, 128).buffer_size(bytes).consumers(1);
    let full = |error: Option<Error>, bytes: usize| {
        let error = error.expect("there is no room");
        assert_eq!(error.code(), ErrorCode::ShmFull);
        assert!(error.message().contains(&format!("needs {bytes} bytes more")), "{error}");
        assert!(error.message().contains("--shm-size"), "{error}");
    };
    // The first lane fits, the second does not; what is there goes on undisturbed.
    let ring = LockFreeRingBuffer::create(&name, lanes_of(128 << 10)).unwrap();
    let mut first = ring.producer("first").unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    full(ring.producer("second").err(), 128 << 10);
    for number in 0..3000 {
        first.publish(&message(&[number])).unwrap();
        assert_eq!(consumer.poll_words(1, |_| {}), 1);
    }
    assert!(!ring.stats().lanes.iter().any(|lane| lane.publisher == "second"));
    // Not even a header has room, and nothing is left behind.
    fs::write("/dev/shm/filler", vec![1; 60 << 10]).unwrap();
    while File::options()
        .append(true)
        .open("/dev/shm/filler")
        .and_then(|mut file| std::io::Write::write_all(&mut file, &[1]))
        .is_ok()
    {}
    full(LockFreeRingBuffer::create("another", lanes_of(128 << 10)).err(), 4096);
    assert_eq!(open_error("another").code(), ErrorCode::ShmNotFound);
}
