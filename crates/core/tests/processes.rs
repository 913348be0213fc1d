//! Real processes, killed and stopped at random moments.
//!
//! `OPENALGO_SHM_KILLS` sets how many are killed (default 300 in the first test), `OPENALGO_SHM_SEED` the
//! random moments. Time decides only when a process is killed, never whether a test passes: what must
//! happen is waited for.
#![cfg(target_os = "linux")]

mod scratch;

use std::env;
use std::fmt::Display;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openalgo_shm_core::extent::Extent;
use openalgo_shm_core::layout::{Kind, Policy};
use openalgo_shm_core::{
    Consumer, ConsumerOptions, ErrorCode, LockFreeRingBuffer, Producer, RingConfig, Start, WaitStrategy,
};
use scratch::ScratchName;

/// What takes longer than this has stalled.
const STALLED: Duration = Duration::from_secs(300);
const STRIDE: usize = 640;
const SLOT_WORDS: usize = STRIDE / 8;
const FIRST_WORD: usize = 5;

/// Random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Any moment of the next `micros`.
    fn pause(&mut self, micros: u64) {
        std::thread::sleep(Duration::from_micros(self.below(micros)));
    }
}

fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Which words message `sequence` with this seed uses: a prefix, and often a run beyond it.
fn extent(sequence: u64, seed: u64) -> Extent {
    let mut random = Random(sequence ^ seed);
    let prefix = FIRST_WORD as u64 + random.below(20);
    let start = prefix + random.below(10);
    let length = random.below(SLOT_WORDS as u64 - start);
    Extent { prefix: prefix as u16, start: start as u16, length: length as u16 }
}

fn words_in_use(extent: Extent) -> impl Iterator<Item = usize> {
    (FIRST_WORD..extent.prefix as usize).chain(extent.start as usize..(extent.start + extent.length) as usize)
}

/// Every word of a message follows from its sequence and seed.
fn seal(words: &mut [u64; SLOT_WORDS], sequence: u64, seed: u64) {
    let extent = extent(sequence, seed);
    words[1] = extent.to_word();
    words[3] = sequence;
    words[4] = seed;
    words_in_use(extent).for_each(|index| words[index] = mix(sequence ^ seed ^ index as u64));
}

fn check_seal(record: &[u64]) {
    let (sequence, seed) = (record[3], record[4]);
    assert_eq!(record[0], sequence, "the slot holds another message");
    let extent = extent(sequence, seed);
    assert_eq!(record[1] << 16, extent.to_word() << 16, "torn: the extent is another message's");
    for index in words_in_use(extent) {
        assert_eq!(record[index], mix(sequence ^ seed ^ index as u64), "torn at word {index}");
    }
}

/// A consumer that checks every message, every gap and every count.
struct Checker {
    consumer: Consumer,
    first: u64,
    expected: Vec<u64>,
    gaps: u64,
    /// It gates a lossless ring from the newest message on.
    loses_nothing: bool,
}

impl Checker {
    fn new(ring: &LockFreeRingBuffer, name: &str, from: Start) -> Self {
        let consumer = ring.consumer(ConsumerOptions::new(name).from(from)).unwrap();
        let expected = consumer.positions().to_vec();
        let loses_nothing = ring.layout().policy == Policy::Lossless && from == Start::Newest;
        Self { first: expected.iter().sum(), expected, gaps: 0, consumer, loses_nothing }
    }

    fn poll(&mut self, max: usize) -> usize {
        let (expected, gaps) = (&mut self.expected, &mut self.gaps);
        let count = self.consumer.poll_words(max, |record| {
            check_seal(record);
            let next = &mut expected[(record[1] >> 48) as usize];
            assert!(record[0] >= *next, "message {} came again", record[0]);
            *gaps += record[0] - *next;
            *next = record[0] + 1;
        });
        self.check_accounts();
        count
    }

    fn check_accounts(&self) {
        let consumer = &self.consumer;
        let next: u64 = consumer.positions().iter().sum();
        assert_eq!(consumer.corrupt(), 0);
        assert_eq!(self.first + consumer.received() + consumer.lost(), next, "a loss that nobody counted");
        // What was lost at the end of a poll shows as a gap with the next message.
        assert!(
            consumer.positions() != self.expected || consumer.lost() == self.gaps,
            "gaps and losses differ"
        );
        assert!(!self.loses_nothing || consumer.lost() == 0, "lost {} in a lossless ring", consumer.lost());
    }
}

/// A process of this test program, killed when dropped.
struct Process {
    child: Child,
    what: String,
}

impl Process {
    fn start(role: &str, ring: &str, number: impl Display, wrapper: &[&str]) -> Self {
        let exe = env::current_exe().unwrap();
        let mut command = match wrapper {
            [] => Command::new(exe),
            [program, arguments @ ..] => {
                let mut command = Command::new(program);
                command.args(arguments).arg(exe);
                command
            }
        };
        command.args(["--exact", role, "--ignored", "--nocapture"]);
        command.env("RING", ring).env("NUMBER", number.to_string()).stdout(Stdio::null());
        Self { child: command.spawn().unwrap(), what: format!("{role} {number} of {ring}") }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: i32) {
        // SAFETY: a plain system call. The pid is our own child's, which was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as libc::pid_t, signal) }, 0);
    }

    /// Kills it; anything else that ended it before is a failure.
    fn kill(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "{} failed", self.what);
        self.signal(libc::SIGKILL);
        assert_eq!(self.child.wait().unwrap().signal(), Some(libc::SIGKILL), "{} failed", self.what);
    }

    fn stop_for_a_while(&self, random: &mut Random) {
        self.signal(libc::SIGSTOP);
        random.pause(5_000);
        self.signal(libc::SIGCONT);
    }

    fn assert_running(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "{} failed", self.what);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A role ends with its parent.
fn end_with_parent() {
    // SAFETY: a plain system call.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

fn ring_of_role() -> String {
    end_with_parent();
    env::var("RING").expect("a role of another test")
}

fn number_of_role() -> String {
    env::var("NUMBER").expect("a role of another test")
}

fn number_from_env(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn random(what: &str) -> Random {
    let seed = number_from_env("OPENALGO_SHM_SEED", u64::from(std::process::id()));
    eprintln!("{what}: OPENALGO_SHM_SEED={seed}");
    Random(seed)
}

/// How often this test kills: its part of all.
fn kills(part: u64) -> u64 {
    number_from_env("OPENALGO_SHM_KILLS", 300) / part
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < STALLED, "stalled: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn config(lanes: usize, capacity: usize, policy: Policy) -> RingConfig {
    RingConfig::mpmc()
        .lanes(lanes)
        .consumers(8)
        .policy(policy)
        .of_kind(Kind::Interest, STRIDE)
        .buffer_size(capacity * STRIDE)
}

/// Another one for every process, also where pids repeat.
fn seed() -> u64 {
    mix(openalgo_shm_core::clock::monotonic_ns() ^ u64::from(std::process::id()) << 40)
}

/// Sends some messages in one of the three ways; waits where a lossless ring is full.
fn send_some(producer: &mut Producer, random: &mut Random, seed: u64) {
    let mut messages = [[0; SLOT_WORDS]; 40];
    let count = 1 + random.below(40) as usize;
    for (offset, message) in messages[..count].iter_mut().enumerate() {
        seal(message, producer.tail() + offset as u64, seed);
    }
    let mut rest = &messages[..count];
    match random.below(3) {
        0 => rest = &rest[producer.publish_batch(rest.iter().map(<[u64; SLOT_WORDS]>::as_slice)).unwrap()..],
        1 => {
            while let [message, others @ ..] = rest
                && producer.write(message, 1).unwrap()
            {
                rest = others;
            }
            if random.below(2) == 0 {
                producer.flush();
            }
        }
        _ => {
            while let [message, others @ ..] = rest
                && producer.publish(message).unwrap()
            {
                rest = others;
            }
        }
    }
    if !rest.is_empty() {
        // What was not sent is sealed anew the next time.
        producer.flush();
        std::thread::yield_now();
    }
}

#[test]
#[ignore = "a role"]
fn publisher() {
    let ring = LockFreeRingBuffer::open(&ring_of_role()).unwrap();
    // As many lanes as publishers: there is one for it only if its predecessor's is free at once.
    let mut producer = ring.producer(&format!("publisher {}", number_of_role())).unwrap();
    let seed = seed();
    let mut random = Random(seed);
    loop {
        (0..20).for_each(|_| send_some(&mut producer, &mut random, seed));
        random.pause(1_000);
    }
}

#[test]
#[ignore = "a role"]
fn subscriber() {
    let ring = LockFreeRingBuffer::open(&ring_of_role()).unwrap();
    let mut random = Random(seed());
    let from = if random.below(2) == 0 { Start::Newest } else { Start::Oldest };
    let mut checker = Checker::new(&ring, "subscriber", from);
    let waits = [WaitStrategy::Adaptive, WaitStrategy::Sleep];
    loop {
        checker.consumer.wait(waits[random.below(2) as usize], Duration::from_millis(random.below(20)));
        checker.poll(random.below(500) as usize);
        if random.below(10) == 0 {
            random.pause(2_000);
        }
    }
}

/// A thread of the test itself that reads and checks everything, and lives.
struct Reader {
    ended: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    thread: JoinHandle<Checker>,
}

impl Reader {
    fn start(ring: &LockFreeRingBuffer) -> Self {
        let mut checker = Checker::new(ring, "reader", Start::Newest);
        let (ended, received) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (ended, received) = (Arc::clone(&ended), Arc::clone(&received));
            move || {
                while !ended.load(Ordering::Acquire) {
                    checker.consumer.wait(WaitStrategy::Adaptive, Duration::from_millis(10));
                    checker.poll(1000);
                    received.store(checker.consumer.received(), Ordering::Relaxed);
                }
                while checker.poll(1000) > 0 {}
                checker
            }
        });
        Self { ended, received, thread }
    }

    fn wait_for_more(&self) {
        let received = || self.received.load(Ordering::Relaxed);
        let before = received();
        wait_until("the reader", || {
            assert!(!self.thread.is_finished(), "the reader failed");
            received() > before
        });
    }

    /// Reads what is left.
    fn end(self) -> Checker {
        self.ended.store(true, Ordering::Release);
        self.thread.join().unwrap()
    }
}

/// One of the rings of the first test, and who lives on it.
struct Stage {
    name: ScratchName,
    ring: LockFreeRingBuffer,
    reader: Reader,
    publishers: Vec<Process>,
    subscribers: Vec<Process>,
}

impl Stage {
    fn new(label: &str, lanes: usize, capacity: usize, policy: Policy) -> Self {
        let name = ScratchName::new(label);
        let ring = LockFreeRingBuffer::create(&name, config(lanes, capacity, policy)).unwrap();
        let reader = Reader::start(&ring);
        let start = |role, count| (0..count).map(|number| Process::start(role, &name, number, &[])).collect();
        let (publishers, subscribers) = (start("publisher", lanes), start("subscriber", 2));
        Self { name, ring, reader, publishers, subscribers }
    }

    /// The publisher takes a lane, sends, and what is sent arrives.
    fn wait_for_progress(&mut self, publisher: usize) {
        let publisher = &mut self.publishers[publisher];
        let mut first = None;
        wait_until(&publisher.what.clone(), || {
            publisher.assert_running();
            let lanes = self.ring.stats().lanes;
            let Some(lane) = lanes.iter().find(|lane| lane.pid == publisher.pid()) else { return false };
            lane.messages_published > *first.get_or_insert(lane.messages_published)
        });
        self.reader.wait_for_more();
    }

    fn kill_somebody(&mut self, random: &mut Random) {
        let publishers = self.publishers.len() as u64;
        let is_publisher = random.below(3) > 0;
        let (role, processes) = if is_publisher {
            ("publisher", &mut self.publishers)
        } else {
            ("subscriber", &mut self.subscribers)
        };
        let number = random.below(processes.len() as u64) as usize;
        if random.below(4) == 0 {
            processes[number].stop_for_a_while(random);
        }
        processes[number].kill();
        processes[number] = Process::start(role, &self.name, number, &[]);
        match random.below(2) {
            // The next may come too early, or in the middle of taking over.
            0 => random.pause(6_000),
            _ if is_publisher => self.wait_for_progress(number),
            // A dead consumer holds nobody back, in a lossless ring either.
            _ => self.wait_for_progress(random.below(publishers) as usize),
        }
    }

    fn end(mut self) {
        (0..self.publishers.len()).for_each(|publisher| self.wait_for_progress(publisher));
        self.publishers.iter_mut().chain(&mut self.subscribers).for_each(Process::kill);
        let checker = self.reader.end();
        let consumer = &checker.consumer;
        for number in 0..self.publishers.len() {
            let successor = self.ring.producer(&format!("publisher {number}")).unwrap();
            let read = consumer.positions()[successor.lane()];
            assert_eq!(successor.tail(), read, "every message that was sent was read or counted as lost");
        }
        eprintln!("{}: {} received, {} lost", &*self.name, consumer.received(), consumer.lost());
        drop(checker);
        assert!(!self.ring.is_in_use());
    }
}

#[test]
fn publishers_and_subscribers_killed_at_random_leave_nothing_torn_stalled_or_uncounted() {
    let mut random = random("publishers and subscribers");
    let mut stages = [
        Stage::new("small", 2, 4, Policy::Overwrite),
        Stage::new("large", 3, 512, Policy::Overwrite),
        Stage::new("lossless", 2, 64, Policy::Lossless),
    ];
    for kill in 0..kills(1) {
        stages[kill as usize % 3].kill_somebody(&mut random);
    }
    stages.into_iter().for_each(Stage::end);
}

#[test]
#[ignore = "a role"]
fn takes_and_leaves_the_lane() {
    let ring = LockFreeRingBuffer::open(&ring_of_role()).unwrap();
    let name = format!("taker {}", number_of_role());
    let seed = seed();
    let mut random = Random(seed);
    loop {
        match ring.producer(&name) {
            Ok(mut producer) => send_some(&mut producer, &mut random, seed),
            Err(error) => assert_eq!(error.code(), ErrorCode::NoFreeLane, "{error}"),
        }
        random.pause(100);
    }
}

#[test]
fn killed_while_they_take_over_one_lane_its_sequences_go_on() {
    let mut random = random("lane take-over");
    let name = ScratchName::new("take-over");
    let ring = LockFreeRingBuffer::create(&name, config(1, 16, Policy::Overwrite)).unwrap();
    let reader = Reader::start(&ring);
    let start = |number| Process::start("takes_and_leaves_the_lane", &name, number, &[]);
    let mut takers = [0, 1, 2].map(start);
    for _ in 0..kills(5) {
        let number = random.below(3) as usize;
        random.pause(10_000);
        takers[number].kill();
        takers[number] = start(number);
        reader.wait_for_more();
    }
    takers.iter_mut().for_each(Process::kill);
    let checker = reader.end();
    assert_eq!(ring.producer("last").unwrap().tail(), checker.consumer.positions()[0]);
}

#[test]
#[ignore = "a role"]
fn joins_and_leaves() {
    let ring = LockFreeRingBuffer::open(&ring_of_role()).unwrap();
    let mut random = Random(seed());
    loop {
        let mut checker = Checker::new(&ring, "joiner", Start::Newest);
        for _ in 0..random.below(20) {
            checker.consumer.wait(WaitStrategy::Adaptive, Duration::from_millis(1));
            checker.poll(random.below(100) as usize);
        }
    }
}

#[test]
fn killed_while_they_join_a_lossless_ring_consumers_hold_nobody_back_and_lose_nothing() {
    let mut random = random("joining");
    let name = ScratchName::new("joining");
    let ring = LockFreeRingBuffer::create(&name, config(1, 8, Policy::Lossless)).unwrap();
    let reader = Reader::start(&ring);
    let mut publisher = Process::start("publisher", &name, 0, &[]);
    let start = |number| Process::start("joins_and_leaves", &name, number, &[]);
    let mut joiners = [0, 1, 2].map(start);
    for _ in 0..kills(5) {
        let number = random.below(3) as usize;
        random.pause(10_000);
        joiners[number].kill();
        reader.wait_for_more();
        joiners[number] = start(number);
    }
    publisher.kill();
    joiners.iter_mut().for_each(Process::kill);
    let checker = reader.end();
    assert_eq!(ring.producer("last").unwrap().tail(), checker.consumer.positions()[0]);
}

#[test]
#[ignore = "a role"]
fn creates_and_removes() {
    let name = ring_of_role();
    let seed = seed();
    let mut random = Random(seed);
    loop {
        let ring = LockFreeRingBuffer::create(&name, config(2, 8, Policy::Overwrite)).unwrap();
        if let Ok(mut producer) = ring.producer("creator") {
            send_some(&mut producer, &mut random, seed);
        }
        match random.below(3) {
            0 => drop(LockFreeRingBuffer::unlink(&name).unwrap()),
            1 => drop(ring.unlink_unused().unwrap()),
            _ => {}
        }
    }
}

#[test]
fn killed_while_they_create_or_remove_the_name_stays_usable() {
    let mut random = random("creating and removing");
    let name = ScratchName::new("creating");
    let start = |number| Process::start("creates_and_removes", &name, number, &[]);
    let mut creators = [0, 1].map(start);
    for _ in 0..kills(3) {
        let number = random.below(2) as usize;
        random.pause(8_000);
        creators[number].kill();
        match LockFreeRingBuffer::open(&name) {
            Ok(ring) => assert_eq!(ring.layout().capacity, 8),
            // Removed, or its creator was just killed before it was finished.
            Err(error) => {
                assert!([ErrorCode::ShmNotFound, ErrorCode::ShmLayout].contains(&error.code()), "{error}");
            }
        }
        let ring = LockFreeRingBuffer::create(&name, config(2, 8, Policy::Overwrite)).unwrap();
        let mut checker = Checker::new(&ring, "reader", Start::Oldest);
        checker.poll(1000);
        creators[number] = start(number);
    }
    creators.iter_mut().for_each(Process::kill);
    let ring = LockFreeRingBuffer::create(&name, config(2, 8, Policy::Overwrite)).unwrap();
    assert!(!ring.is_in_use() && ring.producer("last").is_ok());
}

/// Runs a program in a pid namespace of its own, and ends it with the wrapper.
const OWN_PID_NAMESPACE: [&str; 4] = ["unshare", "--pid", "--fork", "--kill-child=SIGKILL"];

#[test]
fn ownership_is_right_across_pid_namespaces() {
    let [unshare, options @ ..] = OWN_PID_NAMESPACE;
    if !Command::new(unshare).args(options).arg("true").status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: pid namespaces are not permitted here");
        return;
    }
    let name = ScratchName::new("namespaces");
    let ring = LockFreeRingBuffer::create(&name, config(3, 16, Policy::Overwrite)).unwrap();
    let _own = ring.producer("own").unwrap();
    let reader = Reader::start(&ring);
    // Both are process 1 of their namespaces.
    let start = |number| Process::start("publisher", &name, number, &OWN_PID_NAMESPACE);
    let mut publishers = [start(0), start(1)];
    let lane_of = |number: usize| {
        let lanes = ring.stats().lanes;
        lanes.into_iter().find(|lane| lane.publisher == format!("publisher {number}"))
    };
    let wait_for = |what: &str, number: usize, alive: bool, beyond: u64| {
        wait_until(what, || {
            lane_of(number).is_some_and(|lane| lane.alive == alive && lane.messages_published >= beyond)
        });
    };
    for round in 0..4 {
        (0..2).for_each(|number| wait_for("both live", number, true, round + 1));
        assert_eq!([lane_of(0).unwrap().pid, lane_of(1).unwrap().pid], [1, 1]);
        assert_eq!(ring.producer("fourth").err().map(|error| error.code()), Some(ErrorCode::NoFreeLane));
        let (dying, living) = (round as usize % 2, 1 - round as usize % 2);
        publishers[dying].kill();
        wait_for("its death is seen", dying, false, 0);
        let lane = lane_of(living).unwrap();
        assert!(lane.alive, "one of the same pid died, not this one");
        wait_for("the other goes on", living, true, lane.messages_published + 1);
        publishers[dying] = start(dying);
        wait_for("its lane is adopted", dying, true, lane_of(dying).unwrap().messages_published + 1);
        reader.wait_for_more();
    }
    drop(publishers);
    wait_until("all are dead", || (0..2).all(|number| !lane_of(number).unwrap().alive));
    let checker = reader.end();
    for number in 0..2 {
        let successor = ring.producer(&format!("publisher {number}")).unwrap();
        assert_eq!(successor.tail(), checker.consumer.positions()[successor.lane()]);
    }
}
