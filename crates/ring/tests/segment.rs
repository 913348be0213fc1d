//! Segments in shared memory: create, attach, unlink, and all that may lie under their name.
#![cfg(target_os = "linux")]

mod scratch;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::{Command, Output};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use openalgo_shm_ring::find::{find_segments, remove_if_unused};
use openalgo_shm_ring::layout::{FORMAT_VERSION, LINE, MAGIC, Policy};
use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode};
use openalgo_shm_ring::{ConsumerOptions, Error, ErrorCode, LockFreeRingBuffer, RingConfig, waiting_at_most};
use scratch::{ScratchName, plain, words};

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
    producer.publish(&[7]).unwrap();
    assert_eq!(consumer.poll_words(9, |record| assert_eq!(words(record), [7])), 1);

    let error = LockFreeRingBuffer::create(&name, config().lanes(3)).err().unwrap();
    assert_eq!(error.code(), ErrorCode::ShmMismatch);
    assert!(error.message().contains("2 lanes") && error.message().contains("3 lanes"), "{error}");
    let other = LockFreeRingBuffer::create(&name, config().policy(Policy::Lossless)).err().unwrap();
    assert_eq!(other.code(), ErrorCode::ShmMismatch);
    let error = LockFreeRingBuffer::create_or_attach(&name, RingConfig::mpmc()).err().unwrap();
    assert_eq!(error.code(), ErrorCode::ShmMismatch, "another kind of messages");
    let attached = LockFreeRingBuffer::create_or_attach(&name, config().lanes(3)).unwrap();
    assert_eq!(attached.layout(), first.layout(), "a later one attaches and ignores its options");
    assert!(first.is_current(), "and it was not removed");
}

#[test]
fn a_removed_segment_lives_on_for_those_who_have_it() {
    let name = ScratchName::new("removed");
    let old = create(&name);
    let mut producer = old.producer("writer").unwrap();
    let mut consumer = old.consumer(ConsumerOptions::new("reader")).unwrap();
    assert_eq!(LockFreeRingBuffer::unlink(&name), Ok(true));
    assert!(!old.is_current() && !old.stats().current);
    producer.publish(&[1]).unwrap();
    assert_eq!(consumer.poll_words(9, |_| {}), 1);
    assert!(old.producer("late").is_ok(), "its lanes can still be taken");

    let new = create(&name);
    assert!(new.is_current() && !old.is_current());
    assert!(!new.is_in_use(), "owners of the old one do not own the new one");
    assert_eq!(old.unlink_own(), Ok(false), "a handle on the old one does not remove its successor");
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

/// The header of a segment as format version 1 wrote it: 16 words.
const VERSION_1: [u64; 16] = [
    MAGIC,
    1,
    0x009c_93ba_14c1_4111,
    1,
    1,
    1,
    8,
    640,
    5,
    1,
    4096 + 8 * 640,
    1_760_000_000_000_000_000,
    1,
    0,
    0,
    0,
];
const VERSION_OFFSET: u64 = 8;

#[test]
fn a_segment_of_format_version_1_is_refused_found_and_removed() {
    let name = ScratchName::new("version-1");
    let mut bytes: Vec<u8> = VERSION_1.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.resize(4096 + 8 * 640, 0);
    fs::write(name.path(), &bytes).unwrap();
    let errors = [
        open_error(&name),
        LockFreeRingBuffer::create(&name, config()).err().unwrap(),
        LockFreeRingBuffer::create_or_attach(&name, config()).err().unwrap(),
    ];
    for error in errors {
        assert_eq!(error.code(), ErrorCode::ShmVersion);
        let both = format!("format version 1, this library uses {FORMAT_VERSION}");
        assert!(error.message().contains(&both) && error.message().contains(&*name), "{error}");
        assert!(error.message().contains("openalgo-shm cleanup"), "{error}");
    }
    assert_eq!(fs::read(name.path()).unwrap(), bytes, "and it is left as it was");
    let found = find_segments().into_iter().find(|found| found.name == *name).unwrap();
    assert_eq!((found.version, found.bytes, found.in_use), (1, bytes.len(), false));
    assert_eq!(remove_if_unused(&name), Ok(true));
    assert!(!name.path().exists());
}

#[test]
fn a_segment_of_another_version_is_removed_only_when_nobody_holds_it() {
    for version in [1, FORMAT_VERSION + 1] {
        let name = ScratchName::new("versions");
        let ring = create(&name);
        let producer = ring.producer("old").unwrap();
        let file = File::options().write(true).open(name.path()).unwrap();
        file.write_all_at(&version.to_le_bytes(), VERSION_OFFSET).unwrap();
        assert_eq!(open_error(&name).code(), ErrorCode::ShmVersion);
        let found = || find_segments().into_iter().find(|found| found.name == *name).unwrap();
        assert_eq!((found().version, found().in_use), (version, true));
        assert_eq!(remove_if_unused(&name), Ok(false));
        drop(producer);
        assert_eq!((found().version, found().in_use), (version, false));
        assert_eq!(remove_if_unused(&name), Ok(true));
    }
}

#[test]
fn a_segment_of_this_version_is_found_with_it() {
    let name = ScratchName::new("this-version");
    let bytes = create(&name).layout().total_bytes();
    let found = find_segments().into_iter().find(|found| found.name == *name).unwrap();
    assert_eq!((found.version, found.bytes, found.in_use), (FORMAT_VERSION, bytes, false));
}

#[test]
fn a_header_that_lies_is_refused_with_what_was_found_and_expected() {
    let lies = [
        (0, 1, ErrorCode::ShmLayout, "first word"),
        (VERSION_OFFSET, 2, ErrorCode::ShmVersion, "format version 2, this library uses 4"),
        (16, 1, ErrorCode::ShmLayout, "layout hash"),
        (24, 9, ErrorCode::ShmLayout, "kind of messages 9"),
        (24, 1, ErrorCode::ShmLayout, "topics 0 is out of range"),
        (32, 0, ErrorCode::ShmLayout, "lanes 0"),
        (32, 65, ErrorCode::ShmLayout, "lanes 65"),
        (32, u64::MAX, ErrorCode::ShmLayout, "lanes"),
        (40, 0, ErrorCode::ShmLayout, "consumers 0"),
        (40, 257, ErrorCode::ShmLayout, "consumers 257"),
        (48, 0, ErrorCode::ShmLayout, "capacity 0"),
        (48, 3, ErrorCode::ShmLayout, "not a power of two"),
        (48, 8, ErrorCode::ShmLayout, "its own numbers make"),
        (48, 1 << 27, ErrorCode::ShmLayout, "capacity 134217728 is out of range"),
        (48, 1 << 63, ErrorCode::ShmLayout, "capacity"),
        (56, 0, ErrorCode::ShmLayout, "lines of a message 0"),
        (56, 3, ErrorCode::ShmLayout, "capacity 4 is too small for messages of 3 lines"),
        (56, u64::MAX, ErrorCode::ShmLayout, "lines of a message"),
        (64, 1, ErrorCode::ShmLayout, "topics 1 is out of range: expected 0 to 0"),
        (72, 201, ErrorCode::ShmLayout, "depth levels 201"),
        (80, 3, ErrorCode::ShmLayout, "policy 3"),
        (88, 1, ErrorCode::ShmLayout, "the header says 1 bytes"),
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
        producer.publish(&[1]).unwrap();
    }
}

#[test]
fn a_header_of_ticks_that_lies_is_refused() {
    let lies = [
        (24, 2, "topics 8 is out of range: expected 0 to 0"),
        (56, 9, "messages of 9 lines do not fit 5 depth levels: expected 14"),
        (64, 0, "topics 0 is out of range"),
        (64, 9, "its own numbers make"),
        (64, (1 << 18) + 1, "topics 262145 is out of range"),
        (64, u64::MAX, "topics"),
        (72, 6, "messages of 14 lines do not fit 6 depth levels"),
    ];
    for (offset, value, expected) in lies {
        let name = ScratchName::new("lie-of-ticks");
        drop(LockFreeRingBuffer::create(&name, RingConfig::mpmc().topics(8).buffer_size(32 * LINE)).unwrap());
        let file = File::options().write(true).open(name.path()).unwrap();
        file.write_all_at(&u64::to_le_bytes(value), offset).unwrap();
        let error = open_error(&name);
        assert_eq!(error.code(), ErrorCode::ShmLayout);
        assert!(error.message().contains(expected), "{error}, expected '{expected}'");
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
    unfinished.extend((1..13).map(|words| {
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
    const ROUNDS: usize = 2_000;
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
                                producer.publish(&[1]).unwrap();
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
    assert!(error.message().contains(".lock for 3000 ms"), "{error}");
    drop(lock);
    create(&name);
}

#[test]
fn a_name_that_is_held_keeps_nobody_who_will_not_wait() {
    let name = ScratchName::new("impatient");
    let lock = File::create(lock_file(&name)).unwrap();
    lock.try_lock().unwrap();
    let start = Instant::now();
    let error =
        waiting_at_most(Duration::ZERO, || LockFreeRingBuffer::create(&name, config())).err().unwrap();
    assert_eq!(error.code(), ErrorCode::ShmBusy);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
#[cfg(target_os = "linux")]
fn a_ring_that_exists_is_opened_and_listed_while_its_name_is_held() {
    let name = ScratchName::new("held-name");
    create(&name);
    let lock = File::create(lock_file(&name)).unwrap();
    lock.try_lock().unwrap();
    let start = Instant::now();
    create(&name);
    LockFreeRingBuffer::open(&name).unwrap();
    LockFreeRingBuffer::create_or_attach(&name, plain(RingConfig::mpmc().lanes(3), 4)).unwrap();
    assert!(find_segments().iter().any(|found| found.name == *name));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
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
    let lanes_of = |bytes: usize| plain(RingConfig::mpmc().consumers(1), bytes / LINE);
    let full = |error: Option<Error>, bytes: usize| {
        let error = error.expect("there is no room");
        assert_eq!(error.code(), ErrorCode::ShmFull);
        assert!(error.message().contains(&format!("needs {bytes} bytes more")), "{error}");
        assert!(error.message().contains("--shm-size"), "{error}");
    };
    // The first lane fits, the second does not; the first goes on undisturbed.
    let ring = LockFreeRingBuffer::create(&name, lanes_of(128 << 10)).unwrap();
    let mut first = ring.producer("first").unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    full(ring.producer("second").err(), 128 << 10);
    for number in 0..3000 {
        first.publish(&[number]).unwrap();
        assert_eq!(consumer.poll_words(1, |_| {}), 1);
    }
    assert!(!ring.stats().lanes.iter().any(|lane| lane.publisher == "second"));
    drop((first, consumer));
    assert_eq!(ring.unlink_own(), Ok(true));
    drop(ring);
    topics_on_a_small_file_system();
    // Not even a header has room, and nothing is left behind.
    fill();
    full(LockFreeRingBuffer::create("another", lanes_of(128 << 10)).err(), 4096);
    assert_eq!(open_error("another").code(), ErrorCode::ShmNotFound);
}

/// Takes all room that is left.
fn fill() {
    fs::write("/dev/shm/filler", []).unwrap();
    let mut file = File::options().append(true).open("/dev/shm/filler").unwrap();
    for size in [4096, 1] {
        while std::io::Write::write_all(&mut file, &vec![1; size]).is_ok() {}
    }
}

/// The pages of a topic table are taken before they are written: a topic for which there is no room is an error
/// and no SIGBUS, and the topics that are known go on.
fn topics_on_a_small_file_system() {
    let config = RingConfig::mpmc().consumers(1).depth_levels(0).topics(4096).buffer_size(64 << 10);
    let ring = LockFreeRingBuffer::create("topics", config).unwrap();
    let mut producer = ring.producer("first").unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let mut seen = 0;
    let mut publish = |number: u32| {
        let mut tick = MarketDataMessage::<0>::new("NSE", &format!("S{number}"), Mode::Ltp).unwrap();
        tick.set(Field::Ltp, f64::from(number));
        let published = producer.publish(tick.as_words());
        consumer.poll(9, |tick| {
            assert_eq!(tick.symbol(), format!("S{}", tick.field(Field::Ltp).unwrap()));
            seen += 1;
        });
        published
    };
    publish(0).unwrap();
    fill();
    let known = (1..).take_while(|&number| publish(number).is_ok()).count() as u32;
    assert!(known < 4095, "{known} topics fitted");
    for _ in 0..3 {
        let error = publish(known + 1).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ShmFull, "{error}");
        assert!(error.message().contains("--shm-size"), "{error}");
    }
    (0..=known).for_each(|number| assert!(publish(number).unwrap(), "a known topic goes on"));
    assert_eq!(ring.stats().lanes[0].topics, u64::from(known) + 1);
    // Room comes back: so do new topics.
    fs::remove_file("/dev/shm/filler").unwrap();
    assert!(publish(known + 1).unwrap());
    assert_eq!(seen, 2 * (known + 1) + 1);
    drop((producer, consumer));
    // A successor goes on in a page that its predecessor took, or takes its own.
    let mut successor = ring.producer("first").unwrap();
    fill();
    let next = successor.topic("NSE", "of the successor");
    assert!(next.is_ok() || next.is_err_and(|error| error.code() == ErrorCode::ShmFull));
    assert_eq!(successor.topic("NSE", "S0").unwrap().get(), 0);
    fs::remove_file("/dev/shm/filler").unwrap();
    assert_eq!(ring.unlink_own(), Ok(true));
}

struct EndOfScope<'a>(&'a AtomicBool);

impl Drop for EndOfScope<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The name may lead to another file between two looks at it. A ring whose locks were of one file and whose
/// memory was of another would give one lane to two owners.
#[test]
fn the_memory_of_a_ring_is_of_the_file_whose_locks_it_takes() {
    const ROUNDS: usize = 2000;
    let name = ScratchName::new("swapped");
    let files = [ScratchName::new("swapped-0"), ScratchName::new("swapped-1")];
    let rings = files.each_ref().map(|file| create(file));
    let created = rings.each_ref().map(|ring| ring.stats().created_ns);
    assert_ne!(created[0], created[1]);
    fs::hard_link(files[0].path(), name.path()).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Also when the test fails.
        let end = EndOfScope(&done);
        scope.spawn(|| {
            let link = ScratchName::new("swapped-link");
            for file in files.iter().cycle() {
                fs::hard_link(file.path(), link.path()).unwrap();
                fs::rename(link.path(), name.path()).unwrap();
                // A link to the same file is not moved.
                let _ = fs::remove_file(link.path());
                if done.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let mut met = [0; 2];
        for _ in 0..ROUNDS {
            let ring = LockFreeRingBuffer::open(&name).unwrap();
            let which = created.iter().position(|&created| created == ring.stats().created_ns).unwrap();
            let _producer = ring.producer("writer").unwrap();
            assert_eq!([0, 1].map(|file| rings[file].is_in_use()), [which == 0, which == 1]);
            met[which] += 1;
        }
        drop(end);
        assert!(met[0] > 0 && met[1] > 0, "the name was never swapped: {met:?}");
    });
}
