//! One turn of a thread: commands, then all ticks that have gathered, one write a client, then what is due.

use std::sync::OnceLock;
use std::time::Duration;

use openalgo_shm_frames::Entry;
use openalgo_shm_frames::encode::Format;
use openalgo_shm_ring::clock;
use openalgo_shm_ring::message::Mode;

use crate::audience::Audience;
use crate::batch::{Arena, Frame, FrameKey};
use crate::client::After;
use crate::commands::lock;
use crate::engine::Engine;
use crate::events::Handed;
use crate::figures::ThreadFigures;
use crate::pacing::{Timer, Timers};
use crate::subscription::Subscription;

/// How soon a full socket is looked at again. The time doubles while none takes anything.
pub(crate) const FIRST_RETRY_NS: u64 = 1_000_000;
const LAST_RETRY_NS: u64 = 16_000_000;
/// Time between looks at what need not be exact.
const CHORES_NS: u64 = 100_000_000;
/// Longest sleep.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Frames that were held back and are given to clients in one turn.
const HELD_FRAMES: usize = 4_000;
/// Bytes that clients which take again after they were behind get in one turn, all together.
const CATCH_UP_BYTES: usize = 1 << 20;
/// What each of them costs beside, as bytes.
const CATCH_UP_STEP_BYTES: usize = 8 << 10;
/// Timers that may be of no use any more before they are looked through.
const IDLE_TIMERS: usize = 4_096;
/// Most latencies recorded of one turn, evenly spread over its frames.
const LATENCIES: usize = 32;

impl Engine {
    /// One turn. Waits if there was nothing to do.
    pub fn turn(&mut self) {
        self.now_ns = clock::monotonic_ns();
        let mut is_busy = self.take_commands();
        is_busy |= self.deliver_ticks();
        is_busy |= self.send_due();
        self.retry();
        is_busy |= self.catch_up();
        is_busy |= self.send_snapshots();
        if self.now_ns >= self.chores_at_ns {
            self.do_chores();
        }
        self.tell();
        self.show_figures();
        if !is_busy {
            self.wait();
        }
    }

    /// Takes what is in the ring and gives each client what it wants. True if there was anything.
    fn deliver_ticks(&mut self) -> bool {
        self.entries.clear();
        let drained = self.encoder.drain(&mut self.arena, &mut self.entries);
        self.is_full = drained.is_full;
        if drained.ticks == 0 {
            return false;
        }
        self.batches += 1;
        // Also where nobody wants it: the rhythm of the ring is what is learned.
        self.pause.learn(self.entries.first().map_or(self.now_ns, |entry| entry.publish_ns));
        if self.entries.is_empty() {
            return true;
        }
        self.kept.clear();
        self.kept.resize_with(self.entries.len(), OnceLock::new);
        self.route();
        self.send_batches();
        self.record_latencies();
        true
    }

    fn route(&mut self) {
        let mut first = 0;
        while first < self.entries.len() {
            let end = first + length_of_tick(&self.entries[first..]);
            self.route_tick(first..end);
            first = end;
        }
    }

    fn route_tick(&mut self, tick: std::ops::Range<usize>) {
        let topic = self.entries[tick.start].topic;
        let Self { audiences, entries, kept, arena, encoder, timers, touched, now_ns, .. } = self;
        let arena = Arena { bytes: arena, entries, kept };
        let mut router = Router { arena, tick, timers, touched, now_ns: *now_ns };
        let (named, wild, all) = audiences.interested(topic);
        for (&place, &subscription) in named {
            if !wild.contains(&place)
                && let Some(audience) = all.get_mut(place)
            {
                router.offer(place, audience, subscription);
            }
        }
        if wild.is_empty() {
            return;
        }
        let exchange = encoder.topic(topic).map_or("", |topic| topic.exchange());
        for &place in wild {
            let Some(audience) = all.get_mut(place) else { continue };
            let wanted = audience.wanted(topic, exchange);
            if !wanted.is_empty() {
                router.offer(place, audience, wanted);
            }
        }
    }

    fn send_batches(&mut self) {
        for place in std::mem::take(&mut self.touched) {
            self.send_batch(place);
        }
    }

    fn send_batch(&mut self, place: usize) {
        let mark = self.shared.options.high_water_mark;
        let mut later: Vec<(usize, After)> = Vec::new();
        let mut joined: Option<Frame> = None;
        let mut handed = Vec::new();
        {
            let Self { audiences, clients, entries, kept, arena, sums, .. } = self;
            let Some(audience) = audiences.get_mut(place) else { return };
            let arena = Arena { bytes: arena, entries, kept };
            for &slot in &audience.members {
                let Some(client) = clients.get_mut(slot) else { continue };
                let had = client.unsent() > 0 || client.conflation.is_some();
                match client.deliver(&audience.batch, &arena, &mut joined, mark, sums) {
                    After::Nothing if had => {}
                    After::Nothing if client.conflation.is_none() => {}
                    After::Hand => {
                        handed.push(client.id);
                        later.push((slot, After::Hand));
                    }
                    after => later.push((slot, after)),
                }
            }
            if !handed.is_empty() {
                let frames = joined.take().unwrap_or_else(|| audience.batch.join(arena.bytes));
                self.events.handed.push(Handed { clients: handed, frames });
            }
            audience.batch.clear();
        }
        for (slot, after) in later {
            self.follow_up(slot, after, &[]);
        }
    }

    /// Sends what was held back and may go by now: to each client all of it at once. True if there is more.
    fn send_due(&mut self) -> bool {
        let mut left = HELD_FRAMES;
        while left > 0 {
            let Some(Timer { due_ns, audience: place, serial }) = self.timers.take_due(self.now_ns) else {
                return false;
            };
            left = left.saturating_sub(1 + self.send_held(place, serial, due_ns, left));
        }
        self.timers.next_due_ns().is_some_and(|due_ns| due_ns <= self.now_ns)
    }

    /// The timer of an audience is due. Returns how many frames were given to clients.
    fn send_held(&mut self, place: usize, serial: u64, due_ns: u64, most: usize) -> usize {
        let now_ns = self.now_ns;
        let Some(audience) = self.audiences.get_mut(place) else { return 0 };
        if audience.serial != serial || audience.timer_ns != due_ns {
            return 0;
        }
        let members: Vec<usize> = audience.members.iter().copied().collect();
        let mut frames = audience.pacing.take_due(now_ns, most.div_ceil(members.len().max(1)));
        audience.timer_ns = u64::MAX;
        if let Some(timer) = audience.earlier_timer(place) {
            self.timers.set(timer);
        }
        if let Some(&first) = members.first() {
            // The same for all of them.
            frames.retain(|&(key, _)| self.wants(first, key));
        }
        if frames.is_empty() {
            return 0;
        }
        members.iter().for_each(|&slot| self.deliver_kept(slot, &frames));
        frames.len() * members.len()
    }

    /// Looks which sockets were full and are not any more.
    #[cfg(unix)]
    fn retry(&mut self) {
        if self.behind.is_empty() || self.now_ns < self.retry_at_ns {
            return;
        }
        let writable: Vec<usize> = self.blocked.writable().collect();
        self.retry_after_ns =
            if writable.is_empty() { (2 * self.retry_after_ns).min(LAST_RETRY_NS) } else { FIRST_RETRY_NS };
        self.retry_at_ns = self.now_ns + self.retry_after_ns;
        for slot in writable {
            let Some(client) = self.clients.get_mut(slot) else { continue };
            client.note_progress(self.now_ns);
            self.note_ready(slot);
        }
    }

    #[cfg(not(unix))]
    fn retry(&mut self) {}

    /// Sends some of what waits for clients that take again. True if there is more to do now.
    fn catch_up(&mut self) -> bool {
        let mut left = CATCH_UP_BYTES;
        while left > 0
            && let Some(slot) = self.ready.pop_front()
        {
            // Its place may be another's by now.
            if !self.clients.get_mut(slot).is_some_and(|client| std::mem::take(&mut client.is_ready)) {
                continue;
            }
            #[cfg(unix)]
            {
                let before = self.clients[slot].unsent();
                let after = self.clients[slot].flush();
                left = left.saturating_sub(before - self.clients[slot].unsent());
                self.follow_up(slot, after, &[]);
            }
            left = left.saturating_sub(self.settle(slot) + CATCH_UP_STEP_BYTES);
        }
        !self.ready.is_empty()
    }

    fn do_chores(&mut self) {
        self.chores_at_ns = self.now_ns + CHORES_NS;
        self.report_stuck();
        self.merge();
        self.forget_idle_timers();
        // Some 100 KB, which a silent market need not cost.
        if self.shown_batches != self.batches {
            self.shown_batches = self.batches;
            self.latencies.read.clone_from(self.encoder.latency());
            lock(&self.shared.latencies).clone_from(&self.latencies);
        }
    }

    fn forget_idle_timers(&mut self) {
        if self.timers.len() > IDLE_TIMERS + 2 * self.audiences.len() {
            let Self { timers, audiences, .. } = self;
            timers.retain(|timer| {
                let audience = audiences.get(timer.audience);
                audience.is_some_and(|own| own.serial == timer.serial && own.timer_ns == timer.due_ns)
            });
        }
    }

    fn report_stuck(&mut self) {
        let timeout_ns = self.shared.options.slow_client_timeout.as_nanos() as u64;
        for &slot in &self.behind {
            let client = &mut self.clients[slot];
            if !client.is_reported && self.now_ns.saturating_sub(client.progress_ns) >= timeout_ns {
                client.is_reported = true;
                self.events.stuck.push(client.id);
            }
        }
    }

    fn record_latencies(&mut self) {
        let now_ns = clock::monotonic_ns();
        let step = self.entries.len().div_ceil(LATENCIES);
        for entry in self.entries.iter().step_by(step) {
            self.latencies.record_delivery(now_ns.saturating_sub(entry.publish_ns));
        }
    }

    fn show_figures(&self) {
        let counts = self.counts();
        let now = ThreadFigures {
            received: counts.received,
            lost: counts.lost,
            corrupt: counts.corrupt,
            lag: if self.is_full { self.encoder.consumer().lag() } else { 0 },
            dropped: self.encoder.dropped(),
            batches: self.batches,
            sent: self.sums.sent,
            conflated: self.sums.conflated,
            conflated_clients: self.sums.conflated_clients as u64,
            audiences: self.audiences.len() as u64,
            restarts: 0,
        };
        self.shared.figures.show(now.plus(*self.before()));
    }

    fn wait(&mut self) {
        let now_ns = clock::monotonic_ns();
        let mut until_ns = self.chores_at_ns;
        until_ns = until_ns.min(self.timers.next_due_ns().unwrap_or(u64::MAX));
        if cfg!(unix) && !self.behind.is_empty() {
            until_ns = until_ns.min(self.retry_at_ns);
        }
        let timeout = Duration::from_nanos(until_ns.saturating_sub(now_ns)).min(LONGEST_WAIT);
        let inbox = &self.shared.inbox;
        self.pause.wait(self.encoder.consumer(), now_ns, timeout, || inbox.is_filled());
    }
}

/// Entries of the first tick.
fn length_of_tick(entries: &[Entry]) -> usize {
    1 + entries[1..].iter().take_while(|entry| !entry.is_first).count()
}

/// Offers the frames of one tick to audiences.
struct Router<'a> {
    arena: Arena<'a>,
    tick: std::ops::Range<usize>,
    timers: &'a mut Timers,
    touched: &'a mut Vec<usize>,
    now_ns: u64,
}

impl Router<'_> {
    /// A client gets a tick once, in the highest of its modes; where that one is held back, in the next. An older
    /// price that is held in a lower mode does not follow a newer one.
    #[inline]
    fn offer(&mut self, place: usize, audience: &mut Audience, wanted: Subscription) {
        for number in self.tick.clone() {
            let entry = &self.arena.entries[number];
            let Some(mode) = mode_of(entry.variant, audience.format).filter(|&mode| wanted.has(mode)) else {
                continue;
            };
            let interval_ms = wanted.interval_ms(mode);
            if self.passes(place, audience, FrameKey::new(entry.topic, entry.variant), interval_ms, number) {
                if audience.batch.is_empty() {
                    self.touched.push(place);
                }
                audience.batch.push(number as u32, entry);
                if entry.has_price && !audience.pacing.is_empty() {
                    // Those of another format are other clients'.
                    let lower = self.arena.entries[number + 1..self.tick.end].iter();
                    lower.take_while(|lower| lower.variant / 4 == entry.variant / 4).for_each(|lower| {
                        audience.pacing.drop_held(FrameKey::new(lower.topic, lower.variant));
                    });
                }
                return;
            }
        }
    }

    #[inline]
    fn passes(
        &mut self,
        place: usize,
        audience: &mut Audience,
        key: FrameKey,
        interval_ms: u32,
        number: usize,
    ) -> bool {
        if interval_ms == 0 {
            if !audience.pacing.is_empty() {
                // What was held is older than this.
                audience.pacing.end(key);
            }
            return true;
        }
        if audience.pacing.passes(key, interval_ms, self.now_ns) {
            return true;
        }
        audience.pacing.hold(key, self.arena.frame(number as u32));
        if let Some(timer) = audience.earlier_timer(place) {
            self.timers.set(timer);
        }
        false
    }
}

/// The mode of a variant if it is in this format.
#[inline]
fn mode_of(variant: u8, format: Format) -> Option<Mode> {
    if variant / 4 == format as u8 { Mode::from_u8(variant & 3) } else { None }
}
