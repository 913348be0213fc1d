//! The writer of one lane.

use crate::clock;
use crate::error::{Error, ErrorCode, Result};
use crate::extent::Extent;
use crate::layout::{ConsumerRecord, Header, LaneRecord, Policy, SLOT_HEADER_WORDS, word_of};
use crate::message::book_too_deep;
use crate::ownership::{self, Owned, Place};
use crate::record::{self, WhoWords};
use crate::ring::LockFreeRingBuffer;
use crate::slot::{self, SEQUENCE_LIMIT};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::wait;

/// One publish in this many is timed for the lane's average, so that the clock costs the others nothing.
const SAMPLE_EVERY: u64 = 64;
/// Messages after which a long batch shows its progress and wakes sleepers.
const FLUSH_EVERY: u64 = 256;
/// How often a producer that finds its ring full asks whether the consumer it waits for lives, in ns.
const ASK_EVERY_NS: u64 = 1_000_000;

/// A publisher's end of a ring: the owner of one lane. Publishing never waits and never allocates.
/// The lane is free again when this is dropped, or when its process dies.
pub struct Producer {
    ring: LockFreeRingBuffer,
    lane: usize,
    next: u64,
    /// Lossless: every sequence below this is known to be free to write.
    writable_until: u64,
    /// Lossless: when it was last asked whether the slowest consumer lives, ns.
    asked_ns: u64,
    /// Lossless: generation of the consumer of each record that was found dead. Kept here: who dropped it
    /// from the shared record could drop its successor.
    dead: Box<[u64]>,
    rejected: u64,
    sampled: u64,
    sampled_ns: u64,
    _owned: Owned,
}

impl Producer {
    pub(crate) fn take_lane(ring: &LockFreeRingBuffer, name: &str) -> Result<Self> {
        let words = record::name_words("publisher name", name)?;
        for lane in lanes_by_preference(ring, name) {
            let place = Place::Lane(lane);
            if let Some(owned) = ownership::acquire(&ring.region, ring.heap_owner_word(place), place)? {
                return Self::adopt(ring, lane, owned, &words);
            }
        }
        let owners: Vec<String> = ring
            .stats()
            .lanes
            .into_iter()
            .map(|lane| format!("{} (pid {})", lane.publisher, lane.pid))
            .collect();
        Err(Error::new(
            ErrorCode::NoFreeLane,
            format!(
                "all {} lanes of ring '{}' are taken by living publishers: {}; stop one, or create the ring with more lanes",
                ring.layout.lanes,
                ring.name(),
                owners.join(", ")
            ),
        ))
    }

    fn adopt(ring: &LockFreeRingBuffer, lane: usize, owned: Owned, name: &[u64; 6]) -> Result<Self> {
        let record = ring.layout.lane_word(lane);
        if let Some(mapping) = ring.region.mapping() {
            mapping.reserve(ring.layout.lane_slots_word(lane) * 8, ring.layout.lane_bytes())?;
        }
        let counter = |word: usize| ring.region[record + word].load(Ordering::Relaxed);
        let tail = counter(word_of!(LaneRecord, tail));
        if tail >= SEQUENCE_LIMIT {
            return Err(Error::new(
                ErrorCode::ShmLayout,
                format!(
                    "lane {lane} of ring '{}' says that it carried {tail} messages: the segment is corrupt, remove it",
                    ring.name()
                ),
            ));
        }
        let mut producer = Self {
            ring: ring.clone(),
            lane,
            next: recover(ring, lane, tail),
            writable_until: 0,
            asked_ns: 0,
            dead: vec![0; ring.layout.consumers].into(),
            rejected: counter(word_of!(LaneRecord, rejected)),
            // The average is this owner's own.
            sampled: 0,
            sampled_ns: 0,
            _owned: owned,
        };
        record::write(&ring.region, WhoWords::lane(record), name);
        producer.store_samples();
        producer.flush();
        // Relaxed, as in `lanes_used`.
        ring.region[word_of!(Header, lanes_used)].fetch_max(lane as u64 + 1, Ordering::Relaxed);
        Ok(producer)
    }

    /// Publishes one message, an image of a slot whose words 0 and 2 are not used, stamped with the time.
    /// False if a lossless ring is full. Costs one clock read (about 25 ns) and the copy of the words in use.
    ///
    /// # Errors
    /// `ERR_BOOK_TOO_DEEP` or `ERR_MESSAGE_TOO_LONG` when the message does not fit the ring's slots.
    #[inline]
    pub fn publish(&mut self, message: &[u64]) -> Result<bool> {
        let start = clock::monotonic_ns();
        let published = self.write(message, start)?;
        if published {
            self.counter(word_of!(LaneRecord, last_publish_ns)).store(start, Ordering::Relaxed);
        }
        self.flush();
        if published && self.next & (SAMPLE_EVERY - 1) == 1 {
            self.sampled += 1;
            self.sampled_ns += clock::monotonic_ns().saturating_sub(start);
            self.store_samples();
        }
        Ok(published)
    }

    /// Publishes messages with one clock read and at most one wake-up; returns how many a lossless ring took.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); what came before the faulty message is published.
    pub fn publish_batch<'a>(&mut self, messages: impl IntoIterator<Item = &'a [u64]>) -> Result<usize> {
        let start = clock::monotonic_ns();
        let mut count = 0;
        let mut outcome = Ok(());
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next() {
            match self.write(message, start) {
                Ok(true) => count += 1,
                Ok(false) => {
                    self.refuse(messages.count() as u64);
                    break;
                }
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
            if count % FLUSH_EVERY as usize == 0 {
                self.flush();
            }
        }
        self.flush();
        if count > 0 {
            self.counter(word_of!(LaneRecord, last_publish_ns)).store(start, Ordering::Relaxed);
        }
        let first = self.next - count as u64;
        if first.div_ceil(SAMPLE_EVERY) != self.next.div_ceil(SAMPLE_EVERY) {
            self.sampled += count as u64;
            self.sampled_ns += clock::monotonic_ns().saturating_sub(start);
            self.store_samples();
        }
        outcome.map(|()| count)
    }

    /// Writes one message with a given publish time and shows it to consumers that poll; sleepers and
    /// monitors see it after [`flush`](Self::flush). False if a lossless ring is full.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    #[inline]
    pub fn write(&mut self, message: &[u64], publish_ns: u64) -> Result<bool> {
        let extent = Extent::from_word(*message.get(1).unwrap_or(&0));
        if !extent.fits(self.ring.layout.slot_words()) || !extent.fits(message.len()) {
            return Err(self.misfit(extent));
        }
        if self.ring.layout.policy == Policy::Lossless
            && self.next >= self.writable_until
            && !self.find_room()
        {
            self.refuse(1);
            return Ok(false);
        }
        slot::write(self.ring.slot(self.lane, self.next), self.next, extent, publish_ns, message);
        self.next += 1;
        Ok(true)
    }

    #[cold]
    fn refuse(&mut self, messages: u64) {
        self.rejected = self.rejected.wrapping_add(messages);
        self.counter(word_of!(LaneRecord, rejected)).store(self.rejected, Ordering::Relaxed);
    }

    /// Shows the lane's progress to monitors and wakes sleeping consumers.
    #[inline]
    pub fn flush(&mut self) {
        // Relaxed: the tail tells monitors and joining consumers how far; the stamps carry the messages.
        self.counter(word_of!(LaneRecord, tail)).store(self.next, Ordering::Relaxed);
        wait::wake(&self.ring.region, self.ring.layout.futex_word());
    }

    /// The lane it owns.
    pub const fn lane(&self) -> usize {
        self.lane
    }

    /// Messages ever committed in this lane, by all its owners.
    pub const fn tail(&self) -> u64 {
        self.next
    }

    /// The ring it writes to.
    pub const fn ring(&self) -> &LockFreeRingBuffer {
        &self.ring
    }

    #[inline]
    fn counter(&self, word: usize) -> &AtomicU64 {
        &self.ring.region[self.ring.layout.lane_word(self.lane) + word]
    }

    fn store_samples(&self) {
        self.counter(word_of!(LaneRecord, sampled)).store(self.sampled, Ordering::Relaxed);
        self.counter(word_of!(LaneRecord, sampled_ns)).store(self.sampled_ns, Ordering::Relaxed);
    }

    /// Looks how far the slowest registered consumer has read. True if the next slot is free.
    #[cold]
    fn find_room(&mut self) -> bool {
        self.counter(word_of!(LaneRecord, tail)).store(self.next, Ordering::Relaxed);
        // SeqCst fence, pairs with the one in `Consumer::register`: either a joining consumer is seen
        // here, or it sees this tail and starts behind nothing that we overwrite.
        fence(Ordering::SeqCst);
        let capacity = self.ring.layout.capacity as u64;
        let mut slowest = self.slowest_cursor(false);
        if self.next >= slowest.saturating_add(capacity) && self.may_ask() {
            slowest = self.slowest_cursor(true);
        }
        // A consumer may join at any time, so room is never taken for granted further than one ring.
        self.writable_until = slowest.min(self.next).saturating_add(capacity);
        self.next < self.writable_until
    }

    /// True once in a while: asking the kernel costs more than a publish.
    fn may_ask(&mut self) -> bool {
        let now = clock::monotonic_ns();
        let due = cfg!(loom) || now.saturating_sub(self.asked_ns) > ASK_EVERY_NS;
        if due {
            self.asked_ns = now;
        }
        due
    }

    /// The smallest cursor of the consumers that gate. With `ask`, those that hold the producer back and
    /// no longer hold their lock are left out from then on; asking costs a system call each.
    fn slowest_cursor(&mut self, ask: bool) -> u64 {
        let (ring, capacity) = (&self.ring, self.ring.layout.capacity as u64);
        let mut slowest = u64::MAX;
        for consumer in 0..ring.layout.consumers {
            let gates = &ring.region[ring.layout.consumer_word(consumer) + word_of!(ConsumerRecord, gates)];
            // Acquire, pairs with the Release in `Consumer::drop`: its last copies are done before we overwrite.
            let generation = gates.load(Ordering::Acquire);
            if generation == 0 || generation == self.dead[consumer] {
                continue;
            }
            // Acquire, pairs with the Release store of the cursor: its copies are done before we overwrite.
            let cursor = ring.region[ring.layout.cursor_word(consumer, self.lane)].load(Ordering::Acquire);
            let place = Place::Consumer(consumer);
            if ask
                && self.next >= cursor.saturating_add(capacity)
                && !ownership::is_owned(&ring.region, ring.heap_owner_word(place), place)
            {
                self.dead[consumer] = generation;
                continue;
            }
            slowest = slowest.min(cursor);
        }
        slowest
    }

    #[cold]
    fn misfit(&self, extent: Extent) -> Error {
        let words = self.ring.layout.slot_words();
        let levels = extent.length as usize / (2 * crate::message::LEVEL_WORDS);
        if self.ring.layout.kind == crate::layout::Kind::Ticks
            && extent.prefix as usize <= words
            && levels > 0
        {
            return book_too_deep(levels, self.ring.layout.depth_levels);
        }
        Error::new(
            ErrorCode::MessageTooLong,
            format!(
                "a message of {} bytes does not fit the ring's slots of {} bytes (at least {SLOT_HEADER_WORDS} words)",
                extent.end() * 8,
                words * 8
            ),
        )
    }
}

/// The next sequence of a lane whose owner may have died: the recorded tail, and on as far as the slots
/// say. The owner may have written more than a whole lane since it last recorded its tail.
fn recover(ring: &LockFreeRingBuffer, lane: usize, tail: u64) -> u64 {
    let capacity = ring.layout.capacity as u64;
    let mut next = tail;
    // One step leads to the newest lap, and less than a lap from there to its end.
    for _ in 0..=capacity {
        // Relaxed: the lock that the predecessor lost and this owner took orders all that it wrote.
        let stamp = ring.slot(lane, next)[0].load(Ordering::Relaxed);
        match slot::decode(stamp) {
            Some((at, uncommitted))
                if at % capacity == next % capacity && uncommitted > next && uncommitted < SEQUENCE_LIMIT =>
            {
                next = uncommitted;
            }
            _ => break,
        }
    }
    next
}

/// Lanes last owned by this name, then lanes never owned, then the others. A publisher that restarts gets
/// its lane again, so messages not yet read keep their publisher's name.
fn lanes_by_preference(ring: &LockFreeRingBuffer, name: &str) -> Vec<usize> {
    let mut lanes: Vec<(u8, usize)> = (0..ring.layout.lanes)
        .map(|lane| {
            let who = record::read(&ring.region, WhoWords::lane(ring.layout.lane_word(lane)));
            let rank = match who {
                Some(who) if who.name == name => 0,
                None => 1,
                Some(_) => 2,
            };
            (rank, lane)
        })
        .collect();
    lanes.sort_unstable();
    lanes.into_iter().map(|(_, lane)| lane).collect()
}
