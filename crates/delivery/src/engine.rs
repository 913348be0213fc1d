//! The state of a thread, and what its commands do to it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};
use openalgo_shm_frames::encode::Format;
use openalgo_shm_frames::{Entry, TickEncoder, Topic, TopicTable};
use openalgo_shm_ring::message::Mode;
use openalgo_shm_ring::{Consumer, MessageCounts, clock};
use slab::Slab;

use crate::audiences::{Audiences, Changed, Merged, NewSubscription};
use crate::batch::{Frame, FrameKey};
use crate::client::{After, Client, Phase, Sums};
use crate::commands::Command;
use crate::delivery::ClientId;
use crate::demand::{Demand, variant_of};
use crate::events::{Events, Handed};
use crate::figures::ThreadFigures;
use crate::latency::Latencies;
use crate::notice;
use crate::pacing::Timers;
use crate::pause::Pause;
#[cfg(unix)]
use crate::sink::Blocked;
use crate::sink::Sink;
use crate::snapshots::Wanted;
use crate::subscription::{Change, MODES, Subscription, WILDCARD};
use crate::thread::Shared;

/// Bytes of the frames of a turn, unless the ring's ticks are very long.
const ARENA_BYTES: usize = 1 << 20;
/// Steps of commands in a turn, about 50 ns each: ticks wait no longer for them, but for one command that is longer.
const STEPS: usize = 4_000;
/// Steps of what is a system call.
const SYSTEM_CALL: usize = 100;
/// Bytes that are sent in the time of a step.
const BYTES_A_STEP: usize = 64;
/// Last values that are sent in a turn.
const SNAPSHOTS: usize = 256;
/// Bytes that a client may leave untaken before it gets no more last values.
const SNAPSHOT_MARK: usize = 256 * 1024;
/// What it counts as to look at a stretch of topics, whatever is found there.
const LOOK_AT_A_STRETCH: usize = 16;
/// Longest time until a client whose subscriptions do not change is moved to others that want the same.
const LAST_MERGE_AFTER_NS: u64 = 60_000_000_000;

pub(crate) struct Engine {
    pub shared: Arc<Shared>,
    pub encoder: TickEncoder,
    pub arena: Vec<u8>,
    pub entries: Vec<Entry>,
    pub kept: Vec<OnceLock<Frame>>,
    pub clients: Slab<Client>,
    slots: HashMap<ClientId, usize, RandomState>,
    pub audiences: Audiences,
    pub demand: Demand,
    pub timers: Timers,
    /// Audiences that have a batch in this turn.
    pub touched: Vec<usize>,
    #[cfg(unix)]
    pub blocked: Blocked,
    /// Clients with something that they have not taken.
    pub behind: IndexSet<usize, RandomState>,
    /// Those among them that take again, the first to be served first.
    pub ready: VecDeque<usize>,
    /// Clients with last values to get.
    snapshotting: VecDeque<usize>,
    /// Clients that may be moved to an audience of equals, and when.
    merging: IndexMap<usize, u64, RandomState>,
    pub pause: Pause,
    pub latencies: Latencies,
    pub sums: Sums,
    pub batches: u64,
    /// Batches when the latencies were last shown.
    pub shown_batches: u64,
    /// When full sockets are looked at again, and how long after that.
    pub retry_at_ns: u64,
    pub retry_after_ns: u64,
    pub chores_at_ns: u64,
    pub is_full: bool,
    /// Of the engines before this one.
    before: ThreadFigures,
    /// Events of this turn.
    pub events: Events,
    pub now_ns: u64,
}

impl Engine {
    /// # Errors
    /// Of the system, when it has no descriptor left to wait for sockets with.
    pub fn new(shared: Arc<Shared>, consumer: Consumer, table: TopicTable) -> io::Result<Self> {
        let mut encoder = TickEncoder::new(consumer, table);
        encoder.limit_carried_age(shared.options.carried_max_age.as_nanos().try_into().unwrap_or(u64::MAX));
        Ok(Self {
            arena: arena_for(&encoder),
            encoder,
            entries: Vec::new(),
            kept: Vec::new(),
            clients: Slab::new(),
            slots: HashMap::default(),
            audiences: Audiences::default(),
            demand: Demand::default(),
            timers: Timers::default(),
            touched: Vec::new(),
            #[cfg(unix)]
            blocked: Blocked::new()?,
            behind: IndexSet::default(),
            ready: VecDeque::new(),
            snapshotting: VecDeque::new(),
            merging: IndexMap::default(),
            pause: Pause::new(shared.options.wait),
            latencies: Latencies::default(),
            sums: Sums::default(),
            batches: 0,
            shown_batches: 0,
            retry_at_ns: 0,
            retry_after_ns: 0,
            chores_at_ns: 0,
            is_full: false,
            before: ThreadFigures::default(),
            events: Events::default(),
            now_ns: clock::monotonic_ns(),
            shared,
        })
    }

    /// The same, as the successor of others that have panicked.
    pub fn following(mut self, before: ThreadFigures) -> Self {
        self.before = before;
        self
    }

    pub const fn before(&self) -> &ThreadFigures {
        &self.before
    }

    /// Messages of all segments.
    pub fn counts(&self) -> MessageCounts {
        self.encoder.counts()
    }

    /// Carries out commands until there are none or they have taken their share of the turn. True if there were any.
    pub fn take_commands(&mut self) -> bool {
        let mut steps = 0;
        while steps < STEPS {
            let Some(command) = self.shared.inbox.take() else { return steps > 0 };
            steps += 1 + self.carry_out(command);
        }
        true
    }

    fn carry_out(&mut self, command: Command) -> usize {
        match command {
            Command::Attach { id, sink, format, figures } => {
                let client = Client::new(id, sink, format, figures, self.now_ns);
                self.slots.insert(id, self.clients.insert(client));
            }
            Command::Detach(id) => return SYSTEM_CALL + self.detach(id),
            Command::Send { id, bytes } => {
                let steps = SYSTEM_CALL + bytes.len() / BYTES_A_STEP;
                self.send(id, bytes);
                return steps;
            }
            Command::Change { id, changes } => return self.change(id, changes),
            Command::Release(id) => return self.release(id),
            Command::Snapshots { id, wanted, oldest_ns } => {
                if let Some(&slot) = self.slots.get(&id) {
                    let count = wanted.len();
                    if self.clients[slot].phase == Phase::Open {
                        self.clients[slot].snapshots.get_or_insert_default().add(wanted, oldest_ns);
                        self.queue_for_snapshots(slot);
                    }
                    return count / 8;
                }
            }
            Command::Finish { id, request } => match self.slots.get(&id) {
                Some(&slot) => {
                    let client = &mut self.clients[slot];
                    client.snapshots = None;
                    if client.phase == Phase::Open {
                        client.phase = Phase::Finishing;
                    }
                    client.finish = Some(request);
                    return self.settle(slot) / BYTES_A_STEP;
                }
                None => self.events.fulfilled.push(request),
            },
            Command::TellWhenFlushed { id, request } => match self.slots.get(&id) {
                Some(&slot) => {
                    self.clients[slot].await_flush(request);
                    self.tell_fulfilled(slot);
                }
                None => self.events.fulfilled.push(request),
            },
            Command::Acknowledge { id, bytes } => return self.acknowledge(id, bytes),
            Command::Ask { query, topic, modes } => self.answer(query, &topic, &modes),
            Command::Reattach(consumer) => {
                self.encoder.reattach(*consumer);
                self.arena = arena_for(&self.encoder);
            }
            Command::Group(commands) => {
                return commands.into_iter().map(|command| 1 + self.carry_out(command)).sum();
            }
            Command::Panic => panic!("asked to panic, by a test"),
        }
        0
    }

    fn detach(&mut self, id: ClientId) -> usize {
        let steps = self.release(id);
        let Some(slot) = self.slots.remove(&id) else { return 0 };
        #[cfg_attr(not(unix), allow(unused_mut))]
        let mut client = self.clients.remove(slot);
        client.end_ticks(&mut self.sums);
        self.behind.swap_remove(&slot);
        self.merging.swap_remove(&slot);
        self.events.fulfilled.extend(client.awaited_requests());
        #[cfg(unix)]
        if let Sink::Socket(socket) = &mut client.sink {
            self.blocked.forget(socket);
        }
        steps
    }

    fn send(&mut self, id: ClientId, bytes: Frame) {
        let Some(&slot) = self.slots.get(&id) else { return };
        let client = &mut self.clients[slot];
        client.figures.queued.fetch_sub(bytes.len(), std::sync::atomic::Ordering::Relaxed);
        let closes = notice::holds_close(&bytes);
        let after = client.write(&[bytes]);
        if closes && client.phase != Phase::Failed {
            client.phase = Phase::Closed;
            client.end_ticks(&mut self.sums);
        }
        self.follow_up(slot, after, &[]);
    }

    fn acknowledge(&mut self, id: ClientId, bytes: usize) -> usize {
        let Some(&slot) = self.slots.get(&id) else { return 0 };
        let client = &mut self.clients[slot];
        client.acknowledge(bytes);
        client.note_progress(self.now_ns);
        self.settle(slot) / BYTES_A_STEP
    }

    fn change(&mut self, id: ClientId, changes: Vec<Change>) -> usize {
        let Some(&slot) = self.slots.get(&id) else { return 0 };
        let audience = self.clients[slot].audience;
        let named = |number| match audience.and_then(|audience| self.audiences.get(audience)) {
            Some(audience) => audience.named(number),
            None => Subscription::default(),
        };
        let mut after: IndexMap<u32, NewSubscription, RandomState> = IndexMap::default();
        for Change { topic, mode, interval_ms } in changes {
            let number = topic.number();
            let (_, subscription) = after.entry(number).or_insert_with(|| (topic, named(number)));
            subscription.set(mode, interval_ms);
        }
        let after: Vec<NewSubscription> = after.into_values().collect();
        self.apply(slot, &after)
    }

    fn release(&mut self, id: ClientId) -> usize {
        let Some(&slot) = self.slots.get(&id) else { return 0 };
        let client = &mut self.clients[slot];
        client.snapshots = None;
        if let Some(kept) = &mut client.conflation {
            kept.retain(|_| false);
        }
        self.merging.swap_remove(&slot);
        let Some(place) = client.audience.take() else { return 0 };
        let format = client.format;
        let Some(audience) = self.audiences.get(place) else { return 0 };
        let left: Vec<(u32, Subscription)> = audience
            .topics()
            .chain(audience.wildcards().iter().map(|wild| (wild.topic.number(), wild.subscription)))
            .collect();
        for (number, before) in &left {
            if let Some(topic) = self.demand.topic(*number).cloned() {
                self.demand.change(&mut self.encoder, &topic, format, *before, Subscription::default());
            }
        }
        2 * left.len() + self.audiences.remove(slot, place)
    }

    fn apply(&mut self, slot: usize, after: &[NewSubscription]) -> usize {
        let client = &self.clients[slot];
        let (from, format) = (client.audience, client.format);
        for (topic, after) in after {
            let audience = from.and_then(|from| self.audiences.get(from));
            let before = audience.map_or(Subscription::default(), |from| from.named(topic.number()));
            self.demand.change(&mut self.encoder, topic, format, before, *after);
        }
        let was_shared =
            from.and_then(|from| self.audiences.get(from)).is_some_and(|from| from.members.len() > 1);
        let changed = self.audiences.change(slot, from, format, after);
        let steps = changed.steps + after.len();
        self.moved(slot, changed, was_shared);
        steps + self.forget_unwanted(slot, after)
    }

    /// What is kept for a client that is behind and was left now does not come, whatever it wants later. Returns the
    /// steps that it took.
    fn forget_unwanted(&mut self, slot: usize, changed: &[NewSubscription]) -> usize {
        let Some(mut kept) = self.clients[slot].conflation.take() else { return 0 };
        let steps = if changed.iter().any(|(topic, _)| topic.symbol() == WILDCARD) {
            kept.retain(|key| self.wants(slot, key))
        } else {
            let keys = changed
                .iter()
                .flat_map(|(topic, _)| MODES.map(|mode| FrameKey::new(topic.number(), mode as u8)));
            keys.filter(|&key| !self.wants(slot, key)).map(|key| kept.forget(key)).count()
        };
        // Also where nothing is left: the client is told what it missed.
        self.clients[slot].conflation = Some(kept);
        steps
    }

    /// A client has another audience, or others subscriptions in its own.
    fn moved(&mut self, slot: usize, changed: Changed, was_shared: bool) {
        let Changed { audience, freed, .. } = changed;
        self.clients[slot].audience = audience;
        let Some(place) = audience else {
            self.merging.swap_remove(&slot);
            return;
        };
        let Some(now) = self.audiences.get_mut(place) else { return };
        let is_alone = now.members.len() == 1;
        // A copy has no timer yet.
        if let Some(timer) = now.earlier_timer(place) {
            self.timers.set(timer);
        }
        let client = &mut self.clients[slot];
        if is_alone {
            if was_shared {
                client.merge_after_ns = (2 * client.merge_after_ns).min(LAST_MERGE_AFTER_NS);
            }
            self.merging.insert(slot, self.now_ns + client.merge_after_ns);
        } else {
            self.merging.swap_remove(&slot);
        }
        let freed: Vec<(FrameKey, Frame)> =
            freed.into_iter().filter(|&(key, _)| self.wants(slot, key)).collect();
        if !freed.is_empty() {
            self.deliver_kept(slot, &freed);
        }
    }

    /// Moves clients whose subscriptions have not changed for a while to audiences of equals.
    pub fn merge(&mut self) {
        let mut steps = 0;
        let due: Vec<usize> = (self.merging.iter())
            .filter(|&(_, &at_ns)| at_ns <= self.now_ns)
            .map(|(&slot, _)| slot)
            .collect();
        for slot in due {
            if steps > STEPS {
                return;
            }
            self.merging.swap_remove(&slot);
            let Some(from) = self.clients[slot].audience else { continue };
            match self.audiences.merge(slot, from) {
                Merged::Into(changed) => {
                    steps += changed.steps;
                    self.moved(slot, changed, false);
                }
                Merged::Later { steps: looked_at } => {
                    steps += looked_at;
                    let client = &mut self.clients[slot];
                    client.merge_after_ns = (2 * client.merge_after_ns).min(LAST_MERGE_AFTER_NS);
                    self.merging.insert(slot, self.now_ns + client.merge_after_ns);
                }
                Merged::Not => {}
            }
        }
    }

    /// Whether a client wants what a kept frame holds.
    pub fn wants(&self, slot: usize, key: FrameKey) -> bool {
        let audience = self.clients[slot].audience.and_then(|audience| self.audiences.get(audience));
        let Some((audience, mode)) = audience.zip(Mode::from_u8(key.mode())) else { return false };
        let topic = self.encoder.topic(key.topic());
        let exchange = topic.map_or("", |topic| topic.exchange());
        audience.wanted(key.topic(), exchange).has(mode)
    }

    pub fn deliver_kept(&mut self, slot: usize, frames: &[(FrameKey, Frame)]) {
        let mark = self.shared.options.high_water_mark;
        let after = self.clients[slot].deliver_kept(frames, mark, &mut self.sums);
        let frames: Vec<Frame> = frames.iter().map(|(_, frame)| Arc::clone(frame)).collect();
        self.follow_up(slot, after, &frames);
    }

    /// Does what has to be done after something was written to a client; `frames` are what was written.
    pub fn follow_up(&mut self, slot: usize, after: After, frames: &[Frame]) {
        let client = &mut self.clients[slot];
        match after {
            After::Nothing => {}
            #[cfg(unix)]
            After::Wait => {
                if let Sink::Socket(socket) = &mut client.sink
                    && self.blocked.watch(socket, slot).is_err()
                {
                    self.fail(slot);
                    return;
                }
                self.hurry();
            }
            #[cfg(not(unix))]
            After::Wait => {}
            After::Fail => {
                self.fail(slot);
                return;
            }
            After::Hand if frames.is_empty() => {}
            After::Hand => {
                let frames: Frame =
                    if let [frame] = frames { Arc::clone(frame) } else { frames.concat().into() };
                self.events.handed.push(Handed { clients: vec![client.id], frames });
            }
        }
        self.note_behind(slot);
    }

    /// Remembers whether a client has something to take.
    pub fn note_behind(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        if client.unsent() == 0 && client.conflation.is_none() {
            self.behind.swap_remove(&slot);
            client.is_reported = false;
        } else if self.behind.insert(slot) {
            client.progress_ns = self.now_ns;
        }
    }

    /// The next look at full sockets comes soon.
    pub fn hurry(&mut self) {
        self.retry_after_ns = crate::turn::FIRST_RETRY_NS;
        self.retry_at_ns = self.retry_at_ns.min(self.now_ns + self.retry_after_ns);
    }

    pub fn fail(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        client.fail();
        client.end_ticks(&mut self.sums);
        self.events.failed.push(client.id);
        #[cfg(unix)]
        if let Sink::Socket(socket) = &mut client.sink {
            self.blocked.forget(socket);
        }
        self.behind.swap_remove(&slot);
        self.tell_fulfilled(slot);
    }

    /// Sends a part of what was kept for a client that has nothing more to take, and tells when nothing is left.
    /// Returns the bytes of that part.
    pub fn settle(&mut self, slot: usize) -> usize {
        let frames = self.caught_up(slot);
        let bytes = frames.iter().map(|frame| frame.len()).sum();
        if !frames.is_empty() {
            let after = self.clients[slot].write(&frames);
            self.follow_up(slot, after, &frames);
        }
        let client = &mut self.clients[slot];
        if client.unsent() == 0 && client.conflation.is_some() {
            client.note_progress(self.now_ns);
            self.note_ready(slot);
        }
        self.note_behind(slot);
        self.queue_for_snapshots(slot);
        self.tell_fulfilled(slot);
        bytes
    }

    /// A client that takes again has its turn, unless it has one already.
    pub fn note_ready(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.clients[slot].is_ready, true) {
            self.ready.push_back(slot);
        }
    }

    /// Tells what a client's requests waited for, as far as it has come.
    pub fn tell_fulfilled(&mut self, slot: usize) {
        self.events.fulfilled.append(&mut self.clients[slot].fulfilled());
    }

    /// A client with last values to get has its turn, unless it has one already.
    fn queue_for_snapshots(&mut self, slot: usize) {
        let client = &mut self.clients[slot];
        if client.snapshots.is_some() && !std::mem::replace(&mut client.is_queued_for_snapshots, true) {
            self.snapshotting.push_back(slot);
        }
    }

    /// The frames that come next of those that were kept while a client was behind, with the notice at their end;
    /// empty while there are none or it still has bytes to take.
    fn caught_up(&mut self, slot: usize) -> Vec<Frame> {
        if self.clients[slot].unsent() > 0 {
            return Vec::new();
        }
        let Some(mut conflation) = self.clients[slot].conflation.take() else { return Vec::new() };
        let mark = self.shared.options.high_water_mark;
        let mut frames = conflation.take(mark, |key| self.wants(slot, key));
        let client = &mut self.clients[slot];
        client.count(frames.len() as u64, &mut self.sums);
        if !conflation.is_empty() {
            client.conflation = Some(conflation);
            return frames;
        }
        if conflation.replaced() > 0 {
            frames.push(notice::skipped(conflation.replaced(), client.format));
        }
        client.note_caught_up(&mut self.sums);
        frames
    }

    /// Sends some of the last values that clients have asked for. True if there is more to do now.
    pub fn send_snapshots(&mut self) -> bool {
        let mark = SNAPSHOT_MARK.min(self.shared.options.high_water_mark);
        let mut left = SNAPSHOTS;
        // In turn: each client gets a stretch, then the next has its own.
        while left > 0
            && let Some(slot) = self.snapshotting.pop_front()
        {
            // Its place may be another's by now, which is in the queue for itself if it has to be.
            let Some(client) = self.clients.get_mut(slot) else { continue };
            if !std::mem::take(&mut client.is_queued_for_snapshots) {
                continue;
            }
            // Later, when it has taken what it has.
            if client.unsent() > mark || client.conflation.is_some() {
                continue;
            }
            let Some(mut job) = client.snapshots.take() else { continue };
            let next = job.next(&self.shared.table);
            left = left.saturating_sub(next.len().max(LOOK_AT_A_STRETCH));
            self.write_snapshots(slot, &next);
            if job.is_empty() {
                self.settle(slot);
            } else if self.clients[slot].phase == Phase::Open {
                self.clients[slot].snapshots = Some(job);
                self.queue_for_snapshots(slot);
            }
        }
        !self.snapshotting.is_empty()
    }

    fn write_snapshots(&mut self, slot: usize, wanted: &[Wanted]) {
        let format = self.clients[slot].format;
        let mut bytes = Vec::new();
        let mut count = 0;
        for &Wanted { topic, mode, oldest_ns } in wanted {
            if self.wants(slot, FrameKey::new(topic, mode as u8))
                && self.encoder.snapshot(topic, variant_of(mode, format), oldest_ns, &mut bytes)
            {
                count += 1;
            }
        }
        if count == 0 || self.clients[slot].phase != Phase::Open {
            return;
        }
        let frames: [Frame; 1] = [bytes.into()];
        let client = &mut self.clients[slot];
        client.count(count, &mut self.sums);
        let after = client.write(&frames);
        self.follow_up(slot, after, &frames);
    }

    fn answer(&mut self, query: u32, topic: &Topic, modes: &[Mode]) {
        let mut bytes = Vec::new();
        let found = modes.iter().any(|&mode| {
            self.encoder.snapshot(topic.number(), variant_of(mode, Format::Json), None, &mut bytes)
        });
        self.events.answers.push((query, found.then_some(bytes)));
    }

    /// Gives the events of the turn to the control plane.
    pub fn tell(&mut self) {
        let Events { fulfilled, failed, stuck, handed, answers, .. } = &self.events;
        let lists = [fulfilled.len(), failed.len(), stuck.len(), handed.len(), answers.len()];
        if lists.iter().all(|&length| length == 0) {
            return;
        }
        let events = &mut self.events;
        self.shared.outbox.add(|all| {
            all.fulfilled.append(&mut events.fulfilled);
            all.failed.append(&mut events.failed);
            all.stuck.append(&mut events.stuck);
            all.handed.append(&mut events.handed);
            all.answers.append(&mut events.answers);
        });
    }
}

fn arena_for(encoder: &TickEncoder) -> Vec<u8> {
    vec![0; ARENA_BYTES.max(16 * encoder.longest_tick())]
}
