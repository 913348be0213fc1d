//! The reader of all lanes.
//!
//! # Lagging
//! A consumer of an overwriting ring that falls a whole lane behind is *lapped*: it goes on half a ring
//! behind the newest message, and the messages in between are counted in [`Consumer::lost`], exactly.
//! Sequences have no gaps, so for every lane: first sequence + received + lost + corrupt = next sequence.

mod ready;
pub(crate) mod resync;

use std::time::Duration;

pub use self::ready::Waiter;
use self::ready::is_lane_ready;
pub(crate) use self::ready::{Suspicion, wait_beyond};
use self::resync::{Astray, Resync, resync};
use crate::error::{Error, ErrorCode, Result};
use crate::message::head::{HEAD_FIELDS, META, Meta, PRESENCE};
use crate::message::{Head, LINE_WORDS, MessageView, Record, TopicName};
use crate::ownership::{Owned, Place};
use crate::segment::layout::{ConsumerRecord, Kind, Policy, word_of};
use crate::segment::lines::{self, Line, begins};
use crate::segment::record::{self, WhoWords};
use crate::segment::tail::{self, Tail};
use crate::segment::{Part, Segment, lanes_used, read_name, topics};
use crate::sync::{AtomicU64, Ordering, fence};
use crate::wait::{self, WaitStrategy};

/// Messages taken from one lane before the next lane has its turn.
const LANE_TURN: usize = 64;
/// Times that a run goes on behind what it cannot read: a writer that laps its reader again and again must not
/// hold a poll for ever.
const MAX_SKIPS: u32 = 8;
/// Polls after which a consumer checks that it is where its lanes are: a corrupt line can have sent it astray.
const CHECK_EVERY: u32 = 4096;

/// Where a new consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With what is published from now on.
    #[default]
    Newest,
    /// Seven eighths of the ring behind the newest message. A fast publisher may overwrite it before the first
    /// poll, which counts as lost.
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
    record: Part<[AtomicU64]>,
    owned: Owned,
}

/// A lane as one consumer reads it.
struct Lane {
    lines: Part<[Line]>,
    record: Part<[AtomicU64]>,
    table: Part<[Line]>,
    /// Where the next message begins, and its sequence.
    next: Tail,
    /// Entries of the topic table that were looked at.
    topics: u32,
    /// One of them held no name: from then on every tick's entry is looked at.
    nameless: bool,
}

/// What became of the messages of a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageCounts {
    /// Messages read.
    pub received: u64,
    /// Messages never read: overwritten before, or left in a segment that was created anew.
    pub lost: u64,
    /// Messages skipped because what was found cannot be one.
    pub corrupt: u64,
}

/// A subscriber's end of a ring. Sees every message of every lane; reading never disturbs a producer of
/// an overwriting ring and never allocates.
pub struct Consumer {
    segment: Segment,
    lanes_used: Part<AtomicU64>,
    lanes: Box<[Lane]>,
    /// The lane that is read next, and how many messages it may give before another has its turn.
    turn: usize,
    turn_left: usize,
    from: Start,
    counts: MessageCounts,
    /// Lost or corrupt messages were skipped since progress was shown.
    skipped: bool,
    polls: u32,
    suspicion: Suspicion,
    rest: Box<[u64]>,
    registration: Option<Registration>,
}

/// Takes the messages of a poll.
trait Sink {
    /// Room for one more message; `None` ends the poll.
    fn room(&mut self) -> Option<(&mut Head, &mut [u64])>;

    /// The message that was copied into the last room. `rest` is how many words it has behind its head.
    fn take(&mut self, lane: &Lane, rest: usize);
}

impl Consumer {
    pub(crate) fn new(segment: &Segment, options: ConsumerOptions) -> Result<Self> {
        let name = record::name_words("subscriber name", &options.name)?;
        let layout = *segment.layout();
        let lanes = (0..layout.lanes).map(|lane| Lane {
            lines: segment.lines_part(lane),
            record: segment.lane_record_part(lane),
            table: segment.topics_part(lane),
            next: Tail { position: 0, sequence: 0 },
            topics: 0,
            nameless: false,
        });
        let mut consumer = Self {
            lanes_used: segment.lanes_used_word(),
            lanes: lanes.collect(),
            turn: 0,
            turn_left: LANE_TURN,
            from: options.from,
            counts: MessageCounts::default(),
            skipped: false,
            polls: 0,
            suspicion: Suspicion::default(),
            rest: vec![0; layout.longest_rest()].into(),
            registration: None,
            segment: segment.clone(),
        };
        if options.register == Some(false) {
            consumer.join_at_tails();
            return Ok(consumer);
        }
        consumer.register(&name)?;
        if consumer.registration.is_some() {
            return Ok(consumer);
        }
        if layout.policy == Policy::Lossless || options.register == Some(true) {
            return Err(Error::new(
                ErrorCode::NoFreeConsumer,
                format!(
                    "all {} consumer records of ring '{}' are taken by living subscribers: stop one, create the ring with more consumers, or read without registering",
                    layout.consumers,
                    segment.name()
                ),
            ));
        }
        consumer.join_at_tails();
        Ok(consumer)
    }

    fn register(&mut self, name: &[u64; 6]) -> Result<()> {
        let segment = self.segment.clone();
        let layout = *segment.layout();
        for index in 0..layout.consumers {
            let Some(owned) = segment.acquire(Place::Consumer(index))? else { continue };
            let at = layout.consumer_word(index);
            record::write(&segment.region, WhoWords::consumer(at), name);
            // Cursor 0 holds every lossless producer back until the true cursors are known.
            for lane in 0..layout.lanes {
                segment.region[layout.cursor_word(index, lane)].store(0, Ordering::Relaxed);
            }
            let generation = record::generation(&segment.region, WhoWords::consumer(at));
            segment.region[at + word_of!(ConsumerRecord, gates)].store(generation, Ordering::Relaxed);
            // SeqCst, pairs with the fence in `find_room`: the producer sees this consumer and its cursors,
            // or we see its tail and start where it cannot pass us.
            fence(Ordering::SeqCst);
            self.join_at_tails();
            let words = layout.cursor_word(index, layout.lanes) - at;
            let record = segment.region.part(|region| &region[at..at + words]);
            self.registration = Some(Registration { consumer: index, record, owned });
            (0..layout.lanes).for_each(|lane| self.show_cursor(lane));
            self.show_counts();
            return Ok(());
        }
        Ok(())
    }

    fn join_at_tails(&mut self) {
        let layout = *self.segment.layout();
        for lane in &mut self.lanes {
            lane.next = match self.from {
                Start::Newest => tail::end(&lane.record, &lane.lines, &layout).0,
                Start::Oldest => resync::oldest(&lane.record, &lane.lines, &layout),
            };
        }
    }

    /// Reads up to `max` ticks, lane by lane in turn, and gives each to `each`. Returns how many.
    ///
    /// # Panics
    /// On a ring that was made for another [`Kind`] than ticks: see [`poll_words`](Self::poll_words).
    #[inline]
    pub fn poll(&mut self, max: usize, each: impl FnMut(MessageView<'_>)) -> usize {
        struct Ticks<'a, F> {
            head: Head,
            rest: &'a mut [u64],
            each: F,
        }
        impl<F: FnMut(MessageView<'_>)> Sink for Ticks<'_, F> {
            #[inline]
            fn room(&mut self) -> Option<(&mut Head, &mut [u64])> {
                Some((&mut self.head, self.rest))
            }

            #[inline]
            fn take(&mut self, lane: &Lane, rest: usize) {
                (self.each)(MessageView::of_copy(&self.head, &self.rest[..rest], &lane.table));
            }
        }
        self.assert_ticks();
        let mut rest = self.take_rest();
        let count = self.poll_lanes::<true>(max, &mut Ticks { head: [0; LINE_WORDS], rest: &mut rest, each });
        self.rest = rest;
        count
    }

    /// Reads up to `max` messages of a ring that carries no ticks, and gives each to `each`. Returns how many.
    ///
    /// # Panics
    /// On a ring of ticks: see [`poll`](Self::poll).
    pub fn poll_words(&mut self, max: usize, each: impl FnMut(Record<'_>)) -> usize {
        struct Records<'a, F> {
            head: Head,
            rest: &'a mut [u64],
            each: F,
        }
        impl<F: FnMut(Record<'_>)> Sink for Records<'_, F> {
            fn room(&mut self) -> Option<(&mut Head, &mut [u64])> {
                Some((&mut self.head, self.rest))
            }

            fn take(&mut self, _: &Lane, rest: usize) {
                (self.each)(Record::new(&self.head, &self.rest[..rest]));
            }
        }
        let kind = self.segment.layout().kind;
        assert!(kind != Kind::Ticks, "ring '{}' carries ticks: use poll", self.segment.name());
        let mut rest = self.take_rest();
        let mut sink = Records { head: [0; LINE_WORDS], rest: &mut rest, each };
        let count = self.poll_lanes::<false>(max, &mut sink);
        self.rest = rest;
        count
    }

    /// Reads up to `heads.len()` ticks: their heads into `heads`, what is behind them into `rest`, one after
    /// the other; the low half of a head's word 2 says where. Ends early when `rest` has no room for a tick of
    /// the ring's longest ([`Layout::longest_rest`](crate::layout::Layout::longest_rest)). Returns how many.
    ///
    /// # Panics
    /// As [`poll`](Self::poll).
    #[inline]
    pub fn poll_into(&mut self, heads: &mut [Head], rest: &mut [u64]) -> usize {
        struct Copies<'a> {
            heads: &'a mut [Head],
            rest: &'a mut [u64],
            count: usize,
            used: usize,
            longest: usize,
        }
        impl Sink for Copies<'_> {
            #[inline]
            fn room(&mut self) -> Option<(&mut Head, &mut [u64])> {
                let head = self.heads.get_mut(self.count)?;
                let rest = self.rest.get_mut(self.used..self.used + self.longest)?;
                Some((head, rest))
            }

            #[inline]
            fn take(&mut self, _: &Lane, rest: usize) {
                let word = &mut self.heads[self.count][PRESENCE];
                *word = *word & !0xffff_ffff | self.used as u64;
                self.used += rest;
                self.count += 1;
            }
        }
        self.assert_ticks();
        let longest = self.segment.layout().longest_rest();
        let max = heads.len();
        self.poll_lanes::<true>(max, &mut Copies { heads, rest, count: 0, used: 0, longest })
    }

    /// A view of a tick that [`poll_into`](Self::poll_into) of this consumer gave.
    #[inline]
    pub fn view<'a>(&'a self, head: &'a Head, rest: &'a [u64]) -> MessageView<'a> {
        let lane = Meta(head[META]).lane().min(self.lanes.len() - 1);
        let rest = rest.get(head[PRESENCE] as u32 as usize..).unwrap_or_default();
        MessageView::of_copy(head, rest, &self.lanes[lane].table)
    }

    fn assert_ticks(&self) {
        let kind = self.segment.layout().kind;
        assert!(
            kind == Kind::Ticks,
            "ring '{}' carries {kind:?}, not ticks: use poll_words",
            self.segment.name()
        );
    }

    /// The copy buffer; gone if a callback panicked the last time.
    #[inline]
    fn take_rest(&mut self) -> Box<[u64]> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() { self.new_rest() } else { rest }
    }

    #[cold]
    fn new_rest(&self) -> Box<[u64]> {
        vec![0; self.segment.layout().longest_rest()].into()
    }

    #[inline]
    fn poll_lanes<const TICKS: bool>(&mut self, max: usize, sink: &mut impl Sink) -> usize {
        let used = lanes_used(&self.lanes_used, self.segment.layout());
        let (mut count, mut quiet) = (0, 0);
        while count < max && quiet < used {
            let lane = if self.turn < used { self.turn } else { 0 };
            let most = (max - count).min(self.turn_left);
            let read = self.read_run::<TICKS>(lane, most, sink);
            count += read;
            self.turn_left -= read;
            if read < most || self.turn_left == 0 {
                // Drained, without room, or at the end of its turn.
                self.turn = lane + 1;
                self.turn_left = LANE_TURN;
            } else {
                self.turn = lane;
            }
            quiet = match read {
                0 => quiet + 1,
                _ if read < most => 1,
                _ => 0,
            };
        }
        self.end_poll(count);
        count
    }

    /// Reads up to `most` messages of one lane; goes on after loss and corruption until there is none.
    #[inline]
    fn read_run<const TICKS: bool>(&mut self, index: usize, most: usize, sink: &mut impl Sink) -> usize {
        let (mut count, mut skips) = (0, 0);
        while skips < MAX_SKIPS {
            if TICKS {
                count += self.read_lines(index, most - count, sink);
            }
            let before = count;
            if count == most || !self.read_message::<TICKS>(index, sink, &mut count) {
                break;
            }
            skips += u32::from(count == before);
        }
        if count > 0 || self.skipped {
            self.show_cursor(index);
        }
        count
    }

    /// Reads ticks of one line as long as they follow one another: straight code, so that the processor has
    /// several of them under way at once. Returns how many; what it leaves is `read_message`'s.
    #[inline]
    fn read_lines(&mut self, index: usize, most: usize, sink: &mut impl Sink) -> usize {
        let lane = &mut self.lanes[index];
        let Tail { mut position, mut sequence } = lane.next;
        let topics = if lane.nameless { 0 } else { lane.topics };
        let mut count = 0;
        while count < most {
            let Some((head, _)) = sink.room() else { break };
            if lines::stamp(&lane.lines, position) != begins(position) {
                break;
            }
            lines::copy_head(&lane.lines, position, head);
            let meta = Meta(head[META]);
            let is_one_line = meta.is_one_line() && (head[PRESENCE] >> 32) as u32 & !HEAD_FIELDS == 0;
            if !is_one_line || meta.topic() >= topics || !lines::is_unchanged(&lane.lines, position) {
                break;
            }
            head[0] = sequence;
            head[META] = meta.with_lane(index).0;
            position += 1;
            sequence += 1;
            count += 1;
            // Before the message is given away: a callback may panic.
            lane.next = Tail { position, sequence };
            self.counts.received += 1;
            sink.take(lane, 0);
        }
        count
    }

    /// Reads the next message of a lane, whatever it is, or goes on behind what cannot be read. False if there
    /// is none, or no room for it.
    #[inline]
    fn read_message<const TICKS: bool>(
        &mut self,
        index: usize,
        sink: &mut impl Sink,
        count: &mut usize,
    ) -> bool {
        let lane = &mut self.lanes[index];
        let Some((head, rest)) = sink.room() else { return false };
        let position = lane.next.position;
        let stamp = lines::stamp(&lane.lines, position);
        if stamp != begins(position) {
            return stamp > begins(position) && self.skip(index, false);
        }
        lines::copy_head(&lane.lines, position, head);
        let meta = Meta(head[META]);
        let Some((lines, words)) = self.segment.layout().extent(TICKS, meta, (head[PRESENCE] >> 32) as u32)
        else {
            let is_whole = lines::is_unchanged(&lane.lines, position);
            return self.skip(index, is_whole);
        };
        lines::copy_rest(&lane.lines, position, lines, rest);
        if !lines::is_unchanged(&lane.lines, position) {
            return self.skip(index, false);
        }
        if TICKS && !lane.has_topic(meta.topic()) {
            return self.skip(index, true);
        }
        head[0] = lane.next.sequence;
        head[META] = meta.with_lane(index).0;
        lane.next = Tail { position: position + lines as u64, sequence: lane.next.sequence + 1 };
        self.counts.received += 1;
        *count += 1;
        sink.take(&self.lanes[index], words);
        true
    }

    /// Goes on behind a message that cannot be read: overwritten, or (with `corrupt`) one that cannot be a
    /// message. False if there is nothing to go on to yet.
    #[cold]
    fn skip(&mut self, index: usize, corrupt: bool) -> bool {
        let layout = *self.segment.layout();
        let gates = layout.policy == Policy::Lossless && self.registration.is_some();
        let lane = &mut self.lanes[index];
        let Some(Resync { next, lost, corrupt }) =
            resync(&lane.record, &lane.lines, lane.next, &layout, corrupt, gates)
        else {
            return false;
        };
        lane.next = next;
        self.counts.lost = self.counts.lost.saturating_add(lost);
        self.counts.corrupt += corrupt;
        self.skipped = true;
        true
    }

    #[inline]
    fn end_poll(&mut self, count: usize) {
        if count > 0 || self.skipped {
            self.skipped = false;
            self.show_counts();
        }
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(CHECK_EVERY) || self.suspicion.take() {
            self.resync_after_corruption();
        }
    }

    /// Finds lanes in which this consumer is stuck on a corrupt line, or beyond the end, and moves it to the
    /// boundary of a message.
    #[cold]
    fn resync_after_corruption(&mut self) {
        let layout = *self.segment.layout();
        for index in 0..self.segment.lanes_used() {
            let lane = &mut self.lanes[index];
            match resync::astray(&lane.record, &lane.lines, lane.next.position, &layout) {
                None => continue,
                Some(Astray::Behind) => {
                    self.skip(index, true);
                }
                Some(Astray::Beyond(tail)) => {
                    lane.next = tail;
                    self.counts.corrupt += 1;
                    self.skipped = true;
                }
            }
            self.show_cursor(index);
        }
    }

    /// Tells lossless producers how far this consumer is in a lane.
    #[inline]
    fn show_cursor(&self, lane: usize) {
        let Some(registration) = &self.registration else { return };
        let cursor = size_of::<ConsumerRecord>() / size_of::<u64>() + lane;
        // Release, pairs with the producer's Acquire load: copies are done before the lines are free.
        registration.record[cursor].store(self.lanes[lane].next.position, Ordering::Release);
    }

    /// Tells monitors what became of the messages.
    #[inline]
    fn show_counts(&self) {
        let Some(Registration { record, .. }) = &self.registration else { return };
        let next = self.lanes.iter().fold(0, |sum: u64, lane| sum.wrapping_add(lane.next.sequence));
        let figures = [
            (word_of!(ConsumerRecord, received), self.counts.received),
            (word_of!(ConsumerRecord, lost), self.counts.lost),
            (word_of!(ConsumerRecord, corrupt), self.counts.corrupt),
            (word_of!(ConsumerRecord, next), next),
        ];
        for (word, value) in figures {
            record[word].store(value, Ordering::Relaxed);
        }
    }

    /// True if a poll would find something.
    #[inline]
    pub fn is_ready(&self) -> bool {
        let layout = self.segment.layout();
        let used = lanes_used(&self.lanes_used, layout);
        let is_ready = |lane: &Lane| is_lane_ready(&lane.record, &lane.lines, lane.next.position, layout);
        self.lanes[..used].iter().any(is_ready)
    }

    /// Waits until there is a message, at most `timeout`. True if there is one.
    pub fn wait(&self, strategy: WaitStrategy, timeout: Duration) -> bool {
        self.wait_or(strategy, timeout, || false)
    }

    /// Waits as [`wait`](Self::wait) does, and ends as well once `also` holds. The thread that makes it hold calls
    /// [`Sleepers::wake`](crate::Sleepers::wake) afterwards.
    pub fn wait_or(&self, strategy: WaitStrategy, timeout: Duration, also: impl Fn() -> bool) -> bool {
        let stuck = || self.suspicion.raise_if_stuck(&self.segment, self.line_positions());
        wait::wait_until(self.segment.futex(), strategy, timeout, || also() || self.is_ready(), stuck)
    }

    /// Waits for this consumer without borrowing it.
    pub fn waiter(&self) -> Waiter {
        Waiter {
            segment: self.segment.clone(),
            positions: self.line_positions().collect(),
            suspicion: self.suspicion.clone(),
        }
    }

    /// Where a doorbell says that this consumer must look whether it is stuck.
    pub(crate) const fn suspicion(&self) -> &Suspicion {
        &self.suspicion
    }

    /// Messages read.
    pub const fn received(&self) -> u64 {
        self.counts.received
    }

    /// Messages overwritten before they were read.
    pub const fn lost(&self) -> u64 {
        self.counts.lost
    }

    /// Messages skipped because what was found in their place cannot be a message.
    pub const fn corrupt(&self) -> u64 {
        self.counts.corrupt
    }

    /// What became of the messages.
    pub const fn counts(&self) -> MessageCounts {
        self.counts
    }

    /// Messages published in all lanes and not yet read.
    pub fn lag(&self) -> u64 {
        let layout = self.segment.layout();
        let lag = |lane: &Lane| {
            let (end, _) = tail::end(&lane.record, &lane.lines, layout);
            let is_end = end.position >= lane.next.position
                && tail::is_plausible(lane.next, end, layout.longest)
                && tail::is_confirmed(&lane.lines, end.position);
            // What was recorded may be made up; the messages from here on are not.
            let end = if is_end { end } else { tail::follow(&lane.lines, layout, lane.next).0 };
            end.sequence - lane.next.sequence
        };
        self.lanes[..self.segment.lanes_used()].iter().map(lag).fold(0, u64::saturating_add)
    }

    /// Next sequence of each lane.
    pub fn positions(&self) -> Vec<u64> {
        self.lanes.iter().map(|lane| lane.next.sequence).collect()
    }

    /// Where the next message of each lane begins, in lines.
    pub fn line_positions(&self) -> impl Iterator<Item = u64> {
        self.lanes.iter().map(|lane| lane.next.position)
    }

    /// Exchange and symbol behind a topic's number in a lane; `None` of a number that no tick can carry.
    pub fn topic_name(&self, lane: usize, topic: u32) -> Option<TopicName> {
        let lane = self.lanes.get(lane)?;
        // What the polls have seen counts, and not the length as it is now: another process may change it.
        let length = u64::from(lane.topics).max(topics::length(&lane.record));
        let entry = lane.table.get(topic as usize).filter(|_| u64::from(topic) < length)?;
        TopicName::from_words(read_name(entry))
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

    /// The segment it reads.
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // In a child that was made by `fork`, the record is the parent's.
        if let Some(registration) = self.registration.as_ref().filter(|held| held.owned.is_ours()) {
            let at = self.segment.layout().consumer_word(registration.consumer);
            // Release, pairs with the Acquire in `slowest_cursor`: the last copies are done.
            self.segment.region[at + word_of!(ConsumerRecord, gates)].store(0, Ordering::Release);
        }
    }
}

impl Lane {
    /// True if the topic table has a name for this number.
    #[inline]
    fn has_topic(&mut self, topic: u32) -> bool {
        topic < self.topics && !self.nameless || self.look_up(topic)
    }

    /// Looks at what was added to the table.
    #[cold]
    fn look_up(&mut self, topic: u32) -> bool {
        let has_name = |number: u32| TopicName::from_words(read_name(&self.table[number as usize])).is_some();
        if topic >= self.topics {
            let length = topics::length(&self.record).min(self.table.len() as u64) as u32;
            self.nameless |= !(self.topics..length).all(has_name);
            self.topics = self.topics.max(length);
        }
        topic < self.topics && (!self.nameless || has_name(topic))
    }
}
