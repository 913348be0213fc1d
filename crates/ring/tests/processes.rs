//! Real processes, killed and stopped at random moments.
//!
//! `OPENALGO_SHM_KILLS` sets how many are killed (default 300 in the first test), `OPENALGO_SHM_SEED` the
//! random moments. Time decides only when a process is killed, never whether a test passes: what must
//! happen is waited for.
#![cfg(target_os = "linux")]

mod scratch;

use std::collections::{HashMap, HashSet};
use std::env;
use std::fmt::Display;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openalgo_shm_ring::layout::{Kind, LINE, Layout, MAX_TOPICS, Policy};
use openalgo_shm_ring::message::{
    DepthLevel, Field, Head, MarketDataMessage, MessageView, Mode, Record, SYNONYMS, TopicName,
};
use openalgo_shm_ring::{
    Consumer, ConsumerOptions, ErrorCode, LockFreeRingBuffer, Producer, RingConfig, Start, WaitStrategy,
};
use scratch::{Random, ScratchName, mix, sized, words_of_lines};

/// What takes longer than this has stalled.
const STALLED: Duration = Duration::from_secs(300);
/// Lines of the longest message that is no tick.
const LONGEST: usize = 10;
/// Levels a side of the deepest tick.
const LEVELS: usize = 5;
/// Topics that one process names, beside those that all share.
const NEW_TOPICS: u64 = 60;
const SHARED_TOPICS: u64 = 40;

/// Any moment of the next `micros`.
fn pause(random: &mut Random, micros: u64) {
    std::thread::sleep(Duration::from_micros(random.below(micros)));
}

/// Words of message `sequence` with this seed: mostly few, sometimes as many as fit.
fn length(sequence: u64, seed: u64, longest: usize) -> usize {
    let mut random = Random(sequence ^ seed);
    let longest = words_of_lines(longest) as u64;
    let most = if random.below(2) == 0 { 5 } else { longest + 1 };
    (2 + random.below(most.min(longest + 1) - 2)) as usize
}

/// A message of which every word follows from its sequence and seed.
fn sealed_words(sequence: u64, seed: u64, longest: usize) -> Vec<u64> {
    let mut words: Vec<u64> =
        (0..length(sequence, seed, longest) as u64).map(|index| mix(sequence ^ seed ^ index << 40)).collect();
    (words[0], words[1]) = (sequence, seed);
    words
}

fn check_words(record: Record, layout: &Layout) {
    let mut words = record.words();
    let (sequence, seed) = (words.next().unwrap(), words.next().unwrap());
    assert_eq!(record.sequence(), sequence, "the line holds another message");
    assert_eq!(record.len(), length(sequence, seed, layout.longest), "torn: the length is another message's");
    for (index, word) in (2_u64..).zip(words) {
        assert_eq!(word, mix(sequence ^ seed ^ index << 40), "torn at word {index}");
    }
}

fn hash_of_name(name: &TopicName) -> u64 {
    name.words().iter().fold(0, |hash, word| mix(hash ^ word))
}

/// The presence bits of tick `sequence` with this seed, its levels, and its synonyms. Half of the ticks have one line.
fn shape(sequence: u64, seed: u64) -> (u32, usize, usize, [u64; 2]) {
    let mut random = Random(sequence ^ seed);
    let always = Field::Ltp.bit() | Field::Volume.bit() | Field::Ltt.bit();
    if random.below(2) == 0 {
        return (always, 0, 0, [0; 2]);
    }
    let side = |random: &mut Random| random.below(LEVELS as u64 + 1) as usize;
    let (presence, buys, sells) = (random.next() as u32 | always, side(&mut random), side(&mut random));
    let synonyms = [random.next(), random.next() >> (128 - SYNONYMS.len())];
    (presence, buys, sells, [[0; 2], [synonyms[0], 0], synonyms][random.below(3) as usize])
}

/// What a field or a level of a tick holds.
fn figure(sequence: u64, seed: u64, name: &TopicName, index: u64) -> f64 {
    f64::from_bits(match index {
        0 => sequence,
        1 => seed,
        2 => hash_of_name(name),
        other => mix(sequence ^ seed ^ hash_of_name(name) ^ other << 40),
    })
}

fn levels(sequence: u64, seed: u64, name: &TopicName, count: usize) -> Vec<DepthLevel> {
    let at = |index| figure(sequence, seed, name, index);
    (0..count as u64)
        .map(|level| DepthLevel {
            price: at(100 + level),
            quantity: at(200 + level),
            orders: at(300 + level),
        })
        .collect()
}

/// A tick of which everything follows from its sequence, seed and name.
fn sealed_tick(sequence: u64, seed: u64, exchange: &str, symbol: &str) -> MarketDataMessage<LEVELS> {
    let name = TopicName::new(exchange, symbol).unwrap();
    let mut tick = MarketDataMessage::new(exchange, symbol, Mode::Depth).unwrap();
    let (presence, buys, sells, synonyms) = shape(sequence, seed);
    for field in Field::ALL.into_iter().filter(|field| presence & field.bit() != 0) {
        tick.set(field, figure(sequence, seed, &name, field as u64));
    }
    let levels = levels(sequence, seed, &name, buys + sells);
    tick.set_depth(&levels[..buys], &levels[buys..]).unwrap();
    for number in (0..SYNONYMS.len()).filter(|number| synonyms[number / 64] >> (number % 64) & 1 == 1) {
        tick.set_synonym(number).unwrap();
    }
    tick
}

fn check_tick(tick: MessageView) {
    let word = |field| tick.field(field).expect("always present").to_bits();
    let (sequence, seed) = (word(Field::Ltp), word(Field::Volume));
    assert_eq!(tick.sequence(), sequence, "the line holds another message");
    let name = tick.name().expect("every tick has a name");
    assert_eq!(word(Field::Ltt), hash_of_name(&name), "{name:?} is another tick's name");
    let (presence, buys, sells, synonyms) = shape(sequence, seed);
    for field in Field::ALL {
        let expected =
            (presence & field.bit() != 0).then(|| figure(sequence, seed, &name, field as u64).to_bits());
        assert_eq!(tick.field(field).map(f64::to_bits), expected, "torn at {field:?}");
    }
    assert_eq!((tick.buys().len(), tick.sells().len()), (buys, sells), "torn: the levels are another tick's");
    let bits = |level: DepthLevel| [level.price, level.quantity, level.orders].map(f64::to_bits);
    let expected = levels(sequence, seed, &name, buys + sells).into_iter().map(bits);
    assert!(tick.buys().chain(tick.sells()).map(bits).eq(expected), "torn in the levels");
    assert_eq!(tick.synonyms(), synonyms, "torn behind the levels");
}

/// The names behind the topic numbers of a lane, as a reader has met them.
#[derive(Default)]
struct Names {
    names: HashMap<u32, TopicName>,
    numbers: HashMap<TopicName, u32>,
}

impl Names {
    fn check(&mut self, number: u32, name: TopicName) {
        assert_eq!(*self.names.entry(number).or_insert(name), name, "topic {number} has changed its name");
        assert_eq!(*self.numbers.entry(name).or_insert(number), number, "{name:?} was written twice");
    }
}

/// A consumer that checks every message, every gap and every count.
struct Checker {
    consumer: Consumer,
    first: u64,
    seen: Seen,
    /// It gates a lossless ring from the newest message on.
    loses_nothing: bool,
    polls: u64,
}

struct Seen {
    expected: Vec<u64>,
    gaps: u64,
    names: Vec<Names>,
}

impl Seen {
    fn go_on(&mut self, lane: usize, sequence: u64) {
        let next = &mut self.expected[lane];
        assert!(sequence >= *next, "message {sequence} came again");
        self.gaps += sequence - *next;
        *next = sequence + 1;
    }

    fn tick(&mut self, tick: MessageView) {
        check_tick(tick);
        self.names[tick.lane()].check(tick.topic(), tick.name().expect("checked"));
        self.go_on(tick.lane(), tick.sequence());
    }
}

impl Checker {
    fn new(ring: &LockFreeRingBuffer, name: &str, from: Start) -> Self {
        let consumer = ring.consumer(ConsumerOptions::new(name).from(from)).unwrap();
        let expected = consumer.positions();
        let loses_nothing = ring.layout().policy == Policy::Lossless && from == Start::Newest;
        let names = (0..expected.len()).map(|_| Names::default()).collect();
        let (first, seen) = (expected.iter().sum(), Seen { expected, gaps: 0, names });
        Self { first, seen, consumer, loses_nothing, polls: 0 }
    }

    fn poll(&mut self, max: usize) -> usize {
        let layout = *self.consumer.segment().layout();
        let seen = &mut self.seen;
        self.polls += 1;
        let count = if layout.kind != Kind::Ticks {
            self.consumer.poll_words(max, |record| {
                check_words(record, &layout);
                seen.go_on(record.lane(), record.sequence());
            })
        } else if self.polls.is_multiple_of(2) {
            self.consumer.poll(max, |tick| seen.tick(tick))
        } else {
            let mut heads = [Head::default(); 64];
            let mut rest = vec![0; 4 * layout.longest_rest()];
            let count = self.consumer.poll_into(&mut heads[..max.min(64)], &mut rest);
            heads[..count].iter().for_each(|head| seen.tick(self.consumer.view(head, &rest)));
            count
        };
        self.check_counts();
        count
    }

    fn check_counts(&self) {
        let (consumer, seen) = (&self.consumer, &self.seen);
        let next: u64 = consumer.positions().iter().sum();
        assert_eq!(consumer.corrupt(), 0);
        assert_eq!(self.first + consumer.received() + consumer.lost(), next, "a loss that was not counted");
        // What was lost at the end of a poll shows as a gap before the next message.
        assert!(
            consumer.positions() != seen.expected || consumer.lost() == seen.gaps,
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
        pause(random, 5_000);
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

/// A ring of messages of one line up to [`LONGEST`], or fewer where two of those do not fit.
fn config(lanes: usize, capacity: usize, policy: Policy) -> RingConfig {
    let ring = RingConfig::mpmc().lanes(lanes).consumers(8).policy(policy);
    sized(ring, LONGEST.min(capacity / 2), capacity)
}

/// A ring of ticks: of one line up to ten.
fn ticks(lanes: usize, capacity: usize) -> RingConfig {
    RingConfig::mpmc()
        .lanes(lanes)
        .consumers(8)
        .depth_levels(LEVELS)
        .topics(MAX_TOPICS)
        .buffer_size(capacity * LINE)
}

/// A publisher, and what it sends.
struct Sender {
    producer: Producer,
    random: Random,
    /// Another one for every process, also where pids repeat.
    seed: u64,
    named: u64,
}

impl Sender {
    fn new(producer: Producer) -> Self {
        let seed = seed();
        Self { producer, random: Random(seed), seed, named: 0 }
    }

    /// Sends some messages in one of several ways; yields where a lossless ring is full.
    fn send_some(&mut self) {
        if self.producer.segment().layout().kind == Kind::Ticks {
            self.send_ticks()
        } else {
            self.send_words()
        }
    }

    fn count(&mut self) -> u64 {
        1 + self.random.below(40)
    }

    fn send_words(&mut self) {
        let longest = self.producer.segment().layout().longest;
        let first = self.producer.tail();
        let messages: Vec<_> = (first..first + self.count())
            .map(|sequence| sealed_words(sequence, self.seed, longest))
            .collect();
        let producer = &mut self.producer;
        let sent = match self.random.below(3) {
            0 => producer.publish_batch(messages.iter().map(Vec::as_slice)).unwrap(),
            1 => {
                let sent = messages.iter().take_while(|words| producer.write(words, 1).unwrap()).count();
                if self.random.below(2) == 0 {
                    producer.flush();
                }
                sent
            }
            _ => messages.iter().take_while(|words| producer.publish(words).unwrap()).count(),
        };
        if sent < messages.len() {
            // What was not sent is sealed anew the next time.
            producer.flush();
            std::thread::yield_now();
        }
    }

    /// The next tick: of a topic that all share, of one of its own, or of a new one.
    fn tick(&mut self, sequence: u64) -> (MarketDataMessage<LEVELS>, [String; 2]) {
        let name = match self.random.below(3) {
            0 => ["SHARED".to_owned(), format!("S{}", self.random.below(SHARED_TOPICS))],
            1 if self.named < NEW_TOPICS => {
                self.named += 1;
                ["NEW".to_owned(), format!("{:x}-{}", self.seed, self.named - 1)]
            }
            _ => ["NEW".to_owned(), format!("{:x}-{}", self.seed, self.random.below(self.named.max(1)))],
        };
        (sealed_tick(sequence, self.seed, &name[0], &name[1]), name)
    }

    fn send_ticks(&mut self) {
        let first = self.producer.tail();
        let ticks: Vec<_> = (first..first + self.count()).map(|sequence| self.tick(sequence)).collect();
        let producer = &mut self.producer;
        match self.random.below(5) {
            0 => {
                let images = ticks.iter().map(|(tick, _)| tick.as_words());
                assert_eq!(producer.publish_batch(images), Ok(ticks.len()));
            }
            1 => {
                for (tick, _) in &ticks {
                    producer.write(tick.as_words(), 1).unwrap();
                }
                if self.random.below(2) == 0 {
                    producer.flush();
                }
            }
            2 => {
                for (tick, [exchange, symbol]) in &ticks {
                    let topic = producer.topic(exchange, symbol).unwrap();
                    producer.publish_to(topic, tick.as_words()).unwrap();
                }
            }
            3 => {
                let topics: Vec<_> = ticks
                    .iter()
                    .map(|(_, [exchange, symbol])| producer.topic(exchange, symbol).unwrap())
                    .collect();
                let ticks = topics.into_iter().zip(ticks.iter().map(|(tick, _)| tick.as_words()));
                producer.publish_batch_to(ticks).unwrap();
            }
            _ => {
                for (tick, _) in &ticks {
                    producer.publish(tick.as_words()).unwrap();
                }
            }
        }
    }
}

fn seed() -> u64 {
    mix(openalgo_shm_ring::clock::monotonic_ns() ^ u64::from(std::process::id()) << 40)
}

#[test]
#[ignore = "a role"]
fn publisher() {
    let ring = LockFreeRingBuffer::open(&ring_of_role()).unwrap();
    // As many lanes as publishers: there is one for it only if its predecessor's is free at once.
    let mut sender = Sender::new(ring.producer(&format!("publisher {}", number_of_role())).unwrap());
    loop {
        (0..20).for_each(|_| sender.send_some());
        pause(&mut sender.random, 1_000);
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
            pause(&mut random, 2_000);
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

/// One of the rings of the first test, and the processes that use it.
struct Stage {
    name: ScratchName,
    ring: LockFreeRingBuffer,
    reader: Reader,
    publishers: Vec<Process>,
    subscribers: Vec<Process>,
}

impl Stage {
    fn new(label: &str, config: RingConfig) -> Self {
        let name = ScratchName::new(label);
        let ring = LockFreeRingBuffer::create(&name, config).unwrap();
        let lanes = ring.layout().lanes;
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
            0 => pause(random, 6_000),
            _ if is_publisher => self.wait_for_progress(number),
            // A dead consumer holds no publisher back, not in a lossless ring either.
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
        let topics: u64 = self.ring.stats().lanes.iter().map(|lane| lane.topics).sum();
        eprintln!(
            "{}: {} received, {} lost, {topics} topics",
            &*self.name,
            consumer.received(),
            consumer.lost()
        );
        check_topics(&self.ring, consumer);
        drop(checker);
        assert!(!self.ring.is_in_use());
    }
}

/// Every entry of the topic tables is a name, and no name stands twice in one.
fn check_topics(ring: &LockFreeRingBuffer, consumer: &Consumer) {
    for lane in ring.stats().lanes {
        let names: Vec<_> =
            (0..lane.topics as u32).map(|number| consumer.topic_name(lane.lane, number)).collect();
        let distinct: HashSet<_> = names.iter().flatten().collect();
        assert_eq!(distinct.len(), names.len(), "topics of lane {}", lane.lane);
    }
}

#[test]
fn publishers_and_subscribers_killed_at_random_leave_nothing_torn_stalled_or_uncounted() {
    let mut random = random("publishers and subscribers");
    let mut stages = [
        Stage::new("small", config(2, 4, Policy::Overwrite)),
        Stage::new("large", config(3, 2048, Policy::Overwrite)),
        Stage::new("lossless", config(2, 128, Policy::Lossless)),
        Stage::new("ticks", ticks(2, 64)),
    ];
    for kill in 0..kills(1) {
        stages[kill as usize % 4].kill_somebody(&mut random);
    }
    stages.into_iter().for_each(Stage::end);
}

#[test]
#[ignore = "a role"]
fn takes_and_leaves_the_lane() {
    let ring = LockFreeRingBuffer::open(&ring_of_role()).unwrap();
    let name = format!("taker {}", number_of_role());
    let mut random = Random(seed());
    loop {
        match ring.producer(&name) {
            Ok(producer) => Sender::new(producer).send_some(),
            Err(error) => assert_eq!(error.code(), ErrorCode::NoFreeLane, "{error}"),
        }
        pause(&mut random, 100);
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
        pause(&mut random, 10_000);
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
fn consumers_killed_while_they_join_a_lossless_ring_hold_no_publisher_back_and_lose_nothing() {
    let mut random = random("joining");
    let name = ScratchName::new("joining");
    let ring = LockFreeRingBuffer::create(&name, config(1, 32, Policy::Lossless)).unwrap();
    let reader = Reader::start(&ring);
    let mut publisher = Process::start("publisher", &name, 0, &[]);
    let start = |number| Process::start("joins_and_leaves", &name, number, &[]);
    let mut joiners = [0, 1, 2].map(start);
    for _ in 0..kills(5) {
        let number = random.below(3) as usize;
        pause(&mut random, 10_000);
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
    let mut random = Random(seed());
    loop {
        let ring = LockFreeRingBuffer::create(&name, config(2, 8, Policy::Overwrite)).unwrap();
        if let Ok(producer) = ring.producer("creator") {
            Sender::new(producer).send_some();
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
        pause(&mut random, 8_000);
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
