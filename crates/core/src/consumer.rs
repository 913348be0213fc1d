//! The reader of all lanes.
//!
//! # Lagging
//! A consumer of an overwriting ring that falls a whole lane behind is *lapped*: it goes on half a ring
//! behind the newest message, and the messages in between are counted in [`Consumer::lost`], exactly.
//! Sequences have no gaps, so for every lane: first sequence + received + lost + corrupt = next sequence.

use std::time::Duration;

use crate::error::{Error, ErrorCode, Result};
use crate::layout::{ConsumerRecord, Kind, LaneRecord, Policy, word_of};
use crate::message::MessageView;
use crate::ownership::{self, Owned, Place};
use crate::record::{self, WhoWords};
use crate::ring::LockFreeRingBuffer;
use crate::slot::{self, Read, SEQUENCE_LIMIT};
use crate::sync::{Ordering, fence};
use crate::wait::{self, WaitStrategy};

/// Messages taken from one lane before the next lane has its turn.
const LANE_TURN: usize = 64;
/// Empty polls after which a consumer checks that it is not ahead of a lane, which only a corrupt stamp can cause.
const CHECK_EVERY: u32 = 4096;

/// Where a new consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With what is published from now on.
    #[default]
    Newest,
    /// With the oldest message that is surely still there (seven eighths of the ring back).
    Oldest,
}

/// How a consumer attaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerOptions {
    name: String,
    from: Start,
    register: Option<bool>,
}

impl ConsumerOptions {
    /// A consumer of this name (at most 48 bytes), from the newest message on.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), from: Start::Newest, register: None }
    }

    /// Where to begin.
    pub const fn from(mut self, from: Start) -> Self {
        self.from = from;
        self
    }

    /// Whether to take a consumer record, which makes it visible to monitors and lets it gate a lossless
    /// ring. By default it registers if it can, and must if the ring is lossless.
    pub const fn register(mut self, register: bool) -> Self {
        self.register = Some(register);
        self
    }
}

struct Registration {
    consumer: usize,
    _owned: Owned,
}

/// A subscriber's end of a ring. Sees every message of every lane; reading never disturbs a producer of
/// an overwriting ring and never allocates.
pub struct Consumer {
    ring: LockFreeRingBuffer,
    /// Next sequence of each lane.
    next: Box<[u64]>,
    /// Lane that has the first turn in the next poll.
    turn: usize,
    from: Start,
    received: u64,
    lost: u64,
    corrupt: u64,
    /// Lost or corrupt messages were skipped since progress was shown.
    skipped: bool,
    empty_polls: u32,
    copy: Box<[u64]>,
    registration: Option<Registration>,
}

impl Consumer {
    pub(crate) fn new(ring: &LockFreeRingBuffer, options: ConsumerOptions) -> Result<Self> {
        let name = record::name_words("subscriber name", &options.name)?;
        let lossless = ring.layout.policy == Policy::Lossless;
        let mut consumer = Self {
            ring: ring.clone(),
            next: vec![0; ring.layout.lanes].into(),
            turn: 0,
            from: options.from,
            received: 0,
            lost: 0,
            corrupt: 0,
            skipped: false,
            empty_polls: 0,
            copy: vec![0; ring.layout.slot_words()].into(),
            registration: None,
        };
        if options.register == Some(false) {
            consumer.join_at_tails();
            return Ok(consumer);
        }
        consumer.register(&name)?;
        if consumer.registration.is_none() && (lossless || options.register == Some(true)) {
            return Err(Error::new(
                ErrorCode::NoFreeConsumer,
                format!(
                    "all {} consumer records of ring '{}' are taken by living subscribers: stop one, create the ring with more consumers, or read without registering",
                    ring.layout.consumers,
                    ring.name()
                ),
            ));
        }
        if consumer.registration.is_none() {
            consumer.join_at_tails();
        }
        Ok(consumer)
    }

    fn register(&mut self, name: &[u64; 6]) -> Result<()> {
        let ring = self.ring.clone();
        for index in 0..ring.layout.consumers {
            let place = Place::Consumer(index);
            let Some(owned) = ownership::acquire(&ring.region, ring.heap_owner_word(place), place)? else {
                continue;
            };
            let at = ring.layout.consumer_word(index);
            record::write(&ring.region, WhoWords::consumer(at), name);
            // Cursor 0 holds every lossless producer back until the true cursors are known.
            for lane in 0..ring.layout.lanes {
                ring.region[ring.layout.cursor_word(index, lane)].store(0, Ordering::Relaxed);
            }
            let generation = record::generation(&ring.region, WhoWords::consumer(at));
            ring.region[at + word_of!(ConsumerRecord, gates)].store(generation, Ordering::Relaxed);
            // SeqCst, pairs with the fence in `find_room`: the producer sees this consumer and its cursors,
            // or we see its tail and start where it cannot pass us.
            fence(Ordering::SeqCst);
            self.join_at_tails();
            self.registration = Some(Registration { consumer: index, _owned: owned });
            self.show_progress();
            return Ok(());
        }
        Ok(())
    }

    fn join_at_tails(&mut self) {
        for lane in 0..self.ring.layout.lanes {
            self.next[lane] = self.start_of(lane);
        }
    }

    fn start_of(&self, lane: usize) -> u64 {
        let tail = self.tail(lane);
        match self.from {
            Start::Newest => tail,
            Start::Oldest => {
                let capacity = self.ring.layout.capacity as u64;
                tail.saturating_sub(capacity - capacity / 8)
            }
        }
    }

    /// Reads up to `max` messages, lane by lane in turn, and gives each to `each`. Returns how many.
    ///
    /// # Panics
    /// On a ring that was made for another [`Kind`] than ticks: see [`poll_words`](Self::poll_words).
    pub fn poll(&mut self, max: usize, mut each: impl FnMut(MessageView<'_>)) -> usize {
        let kind = self.ring.layout.kind;
        assert!(
            kind == Kind::Ticks,
            "ring '{}' carries {kind:?}, not ticks: use poll_words",
            self.ring.name()
        );
        self.poll_words(max, |words| each(MessageView::new(words)))
    }

    /// As [`poll`](Self::poll), for messages of any kind: a copy of the slot, with the sequence in word 0
    /// and the lane in word 1 (see [`Extent`](crate::extent::Extent)). Words beyond the extent are stale.
    pub fn poll_words(&mut self, max: usize, mut each: impl FnMut(&[u64])) -> usize {
        let mut copy = std::mem::take(&mut self.copy);
        // Gone if `each` panicked the last time.
        if copy.is_empty() {
            copy = vec![0; self.ring.layout.slot_words()].into();
        }
        let mut count = 0;
        while count < max {
            if !self.next_in_turn(&mut copy) {
                break;
            }
            each(&copy);
            count += 1;
        }
        self.copy = copy;
        self.end_poll(count);
        count
    }

    /// Reads up to `max` messages straight into `records`, one every [`Layout::slot_words`](crate::layout::Layout::slot_words)
    /// words. Returns how many.
    pub fn poll_into(&mut self, records: &mut [u64], max: usize) -> usize {
        let mut count = 0;
        for record in records.chunks_exact_mut(self.ring.layout.slot_words()).take(max) {
            if !self.next_in_turn(record) {
                break;
            }
            count += 1;
        }
        self.end_poll(count);
        count
    }

    /// The next message of the lane whose turn it is, or of the first after it that has one.
    #[inline]
    fn next_in_turn(&mut self, copy: &mut [u64]) -> bool {
        let lanes = self.ring.lanes_used();
        for _ in 0..lanes {
            let lane = if self.turn < lanes { self.turn } else { 0 };
            if self.read_lane(lane, copy) {
                self.received += 1;
                self.turn = if self.received.is_multiple_of(LANE_TURN as u64) { lane + 1 } else { lane };
                return true;
            }
            self.turn = lane + 1;
        }
        false
    }

    /// Reads the next message of a lane; goes on after loss and corruption until there is one or none.
    #[inline]
    fn read_lane(&mut self, lane: usize, copy: &mut [u64]) -> bool {
        loop {
            let next = self.next[lane];
            match slot::read(self.ring.slot(lane, next), next, lane, copy) {
                Read::Message => {
                    self.next[lane] = next + 1;
                    return true;
                }
                Read::Empty => return false,
                Read::Lapped(stamp) if self.skip(lane, stamp) => {}
                Read::Lapped(_) => return false,
                Read::Corrupt => self.skip_corrupt(lane),
            }
        }
    }

    /// Goes on behind a stamp that is beyond the next message. False if that cannot be true and the message
    /// that belongs there was not written yet.
    #[cold]
    fn skip(&mut self, lane: usize, stamp: u64) -> bool {
        let next = self.next[lane];
        match beyond(&self.ring, lane, next, stamp) {
            Beyond::Lapped(to) => {
                self.lost += to - next;
                self.next[lane] = to;
                self.skipped = true;
                true
            }
            Beyond::Corrupt => {
                self.skip_corrupt(lane);
                true
            }
            Beyond::NotYet => false,
        }
    }

    #[cold]
    fn skip_corrupt(&mut self, lane: usize) {
        self.corrupt += 1;
        self.next[lane] += 1;
        self.skipped = true;
    }

    #[inline]
    fn end_poll(&mut self, count: usize) {
        if count > 0 || self.skipped {
            self.empty_polls = 0;
            self.skipped = false;
            self.show_progress();
        } else {
            self.empty_polls = self.empty_polls.wrapping_add(1);
            if self.empty_polls.is_multiple_of(CHECK_EVERY) {
                self.come_back();
            }
        }
    }

    /// A corrupt tail or stamp can have sent this consumer beyond the end of a lane: go back.
    #[cold]
    fn come_back(&mut self) {
        for lane in 0..self.ring.lanes_used() {
            let tail = self.tail(lane);
            if self.next[lane] > tail && !was_committed(&self.ring, lane, self.next[lane]) {
                self.next[lane] = tail;
                self.corrupt += 1;
                self.skipped = true;
            }
        }
    }

    /// Tells monitors and lossless producers how far this consumer is.
    fn show_progress(&self) {
        let Some(registration) = &self.registration else { return };
        let (ring, index) = (&self.ring, registration.consumer);
        for (lane, next) in self.next.iter().enumerate() {
            // Release, pairs with the producer's Acquire load: copies are done before the slot is free.
            ring.region[ring.layout.cursor_word(index, lane)].store(*next, Ordering::Release);
        }
        let at = ring.layout.consumer_word(index);
        ring.region[at + word_of!(ConsumerRecord, received)].store(self.received, Ordering::Relaxed);
        ring.region[at + word_of!(ConsumerRecord, lost)].store(self.lost, Ordering::Relaxed);
        ring.region[at + word_of!(ConsumerRecord, corrupt)].store(self.corrupt, Ordering::Relaxed);
    }

    fn tail(&self, lane: usize) -> u64 {
        tail(&self.ring, lane)
    }

    /// True if a poll would find something.
    #[inline]
    pub fn is_ready(&self) -> bool {
        is_ready(&self.ring, |lane| self.next[lane])
    }

    /// Waits until there is a message, at most `timeout`. True if there is one.
    pub fn wait(&self, strategy: WaitStrategy, timeout: Duration) -> bool {
        wait::wait_until(&self.ring.region, self.ring.layout.futex_word(), strategy, timeout, || {
            self.is_ready()
        })
    }

    /// Messages read.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// Messages overwritten before they were read.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// Messages skipped because what was written in their slot cannot be a message.
    pub const fn corrupt(&self) -> u64 {
        self.corrupt
    }

    /// Messages published in all lanes and not yet read, as of the producers' last flush.
    pub fn lag(&self) -> u64 {
        (0..self.ring.lanes_used())
            .map(|lane| self.tail(lane).saturating_sub(self.next[lane]))
            .fold(0, u64::saturating_add)
    }

    /// Next sequence of each lane.
    pub fn positions(&self) -> &[u64] {
        &self.next
    }

    /// True if monitors see it and a lossless ring waits for it.
    pub const fn is_registered(&self) -> bool {
        self.registration.is_some()
    }

    /// Loses its lock with its record as it is, as a process that is killed.
    #[cfg(all(loom, test))]
    pub(crate) fn die(mut self) {
        self.registration = None;
    }

    /// The ring it reads.
    pub const fn ring(&self) -> &LockFreeRingBuffer {
        &self.ring
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if let Some(registration) = &self.registration {
            let at = self.ring.layout.consumer_word(registration.consumer);
            // Release, pairs with the Acquire in `slowest_cursor`: the last copies are done.
            self.ring.region[at + word_of!(ConsumerRecord, gates)].store(0, Ordering::Release);
        }
    }
}

/// True if a poll from these positions finds a message, or something to count as lost or corrupt.
#[inline]
pub(crate) fn is_ready(ring: &LockFreeRingBuffer, next: impl Fn(usize) -> u64) -> bool {
    (0..ring.lanes_used()).any(|lane| {
        let next = next(lane);
        // Relaxed: the read that follows loads it again with Acquire.
        let stamp = ring.slot(lane, next)[0].load(Ordering::Relaxed);
        stamp == slot::committed(next)
            || stamp > slot::committed(next) && beyond(ring, lane, next, stamp) != Beyond::NotYet
    })
}

/// What it means that a slot's stamp is beyond the message that is expected there.
#[derive(PartialEq, Eq)]
enum Beyond {
    /// The lane went on: read on from here, half a ring behind the newest message.
    Lapped(u64),
    /// The message was written, and the stamp cannot be true.
    Corrupt,
    /// The message was not written yet, and the stamp cannot be true.
    NotYet,
}

#[cold]
fn beyond(ring: &LockFreeRingBuffer, lane: usize, next: u64, stamp: u64) -> Beyond {
    // Acquire, pairs with the writer's Release fences: who saw the stamp sees those of earlier messages.
    fence(Ordering::Acquire);
    let tail = tail(ring, lane);
    let capacity = ring.layout.capacity as u64;
    let behind = |newest: u64| newest.saturating_sub(capacity / 2);
    // The stamp of a lane that went on is of this slot, and messages before it are there.
    let newest = slot::decode(stamp)
        .filter(|&(at, written)| {
            at % capacity == next % capacity
                && written < SEQUENCE_LIMIT
                && was_committed(ring, lane, behind(written))
        })
        .map_or(tail, |(_, written)| written.max(tail));
    match behind(newest) {
        to if to > next => Beyond::Lapped(to),
        _ if next < tail => Beyond::Corrupt,
        _ => Beyond::NotYet,
    }
}

/// True if the slot of the message before `next` is at that message or at a later one. Stamps only grow, so
/// this holds for every position that a lane ever reached.
fn was_committed(ring: &LockFreeRingBuffer, lane: usize, next: u64) -> bool {
    // Relaxed: see the callers' fences.
    next == 0 || ring.slot(lane, next - 1)[0].load(Ordering::Relaxed) >= slot::committed(next - 1)
}

fn tail(ring: &LockFreeRingBuffer, lane: usize) -> u64 {
    let tail = ring.region[ring.layout.lane_word(lane) + word_of!(LaneRecord, tail)].load(Ordering::Relaxed);
    tail.min(SEQUENCE_LIMIT)
}
