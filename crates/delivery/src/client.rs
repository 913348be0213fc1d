//! One client: what goes out to it, and in which order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use openalgo_shm_frames::encode::Format;

use crate::backlog::Backlog;
use crate::batch::{Arena, Batch, Frame, FrameKey};
use crate::conflation::Conflation;
use crate::delivery::{ClientId, Request};
use crate::sink::Sink;
use crate::snapshots::SnapshotJob;

/// What a client has got, shared with the control plane. All are counts alone, so every access is relaxed.
#[derive(Debug, Default)]
pub struct ClientFigures {
    /// Bytes in commands that the thread has not carried out yet.
    pub(crate) queued: AtomicUsize,
    /// Bytes that the thread has and the client has not taken.
    pub(crate) unsent: AtomicUsize,
    sent: AtomicU64,
    conflated: AtomicU64,
    is_conflated: AtomicBool,
}

impl ClientFigures {
    /// Bytes handed over and not taken by the system yet.
    pub fn backlog(&self) -> usize {
        self.queued.load(Ordering::Relaxed) + self.unsent.load(Ordering::Relaxed)
    }

    /// Ticks handed to its connection.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ticks that newer ones took the place of.
    pub fn conflated(&self) -> u64 {
        self.conflated.load(Ordering::Relaxed)
    }

    /// Whether it is behind and gets only the newest tick of each topic and mode.
    pub fn is_conflated(&self) -> bool {
        self.is_conflated.load(Ordering::Relaxed)
    }
}

/// What the clients of a thread have got together since its start, and how many are behind now.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sums {
    pub sent: u64,
    pub conflated: u64,
    pub conflated_clients: usize,
}

/// How long the subscriptions of a client that is alone with them must stay as they are until it is moved to others
/// that want the same; doubled each time that it leaves these again.
const FIRST_MERGE_AFTER_NS: u64 = 1_000_000_000;

/// Whether anything may still be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// No new ticks: what is kept goes out.
    Finishing,
    /// A close frame was queued: nothing follows it.
    Closed,
    /// The socket has failed.
    Failed,
}

pub(crate) struct Client {
    pub id: ClientId,
    pub format: Format,
    pub audience: Option<usize>,
    pub sink: Sink,
    pub phase: Phase,
    pub backlog: Backlog,
    pub conflation: Option<Box<Conflation>>,
    pub snapshots: Option<Box<SnapshotJob>>,
    pub figures: Arc<ClientFigures>,
    /// Bytes that were taken since the start: by the system, or passed on by the control plane.
    taken: u64,
    /// What the control plane asked to be told: its request, once so many bytes were taken.
    awaited: VecDeque<(u64, Request)>,
    /// It asked to be told once nothing at all is left.
    pub finish: Option<Request>,
    /// It is in the queue of those that get last values.
    pub is_queued_for_snapshots: bool,
    /// It is in the queue of those that take again.
    pub is_ready: bool,
    /// When the client's socket was writable last, or it had nothing to take. The kernel says so once a third of its
    /// buffer is free.
    pub progress_ns: u64,
    /// It was reported as stuck.
    pub is_reported: bool,
    /// How long its subscriptions must stay as they are until it is moved to an audience of equals.
    pub merge_after_ns: u64,
}

/// What the caller has to do for a client after something was written to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Nothing,
    /// Its socket is full: to be tried again.
    Wait,
    /// The connection is gone.
    Fail,
    /// Hand these frames to the control plane for it.
    Hand,
}

impl Client {
    pub fn new(id: ClientId, sink: Sink, format: Format, figures: Arc<ClientFigures>, now_ns: u64) -> Self {
        Self {
            id,
            format,
            audience: None,
            sink,
            phase: Phase::Open,
            backlog: Backlog::default(),
            conflation: None,
            snapshots: None,
            figures,
            taken: 0,
            awaited: VecDeque::new(),
            finish: None,
            is_queued_for_snapshots: false,
            is_ready: false,
            progress_ns: now_ns,
            is_reported: false,
            merge_after_ns: FIRST_MERGE_AFTER_NS,
        }
    }

    /// Remembers to tell when all bytes that are there now have been taken.
    pub fn await_flush(&mut self, request: Request) {
        self.awaited.push_back((self.taken + self.unsent() as u64, request));
    }

    /// The requests that are fulfilled now.
    pub fn fulfilled(&mut self) -> Vec<Request> {
        let mut fulfilled = Vec::new();
        let all = self.phase == Phase::Failed;
        while self.awaited.front().is_some_and(|&(mark, _)| all || mark <= self.taken) {
            fulfilled.extend(self.awaited.pop_front().map(|(_, request)| request));
        }
        if all || self.is_drained() {
            fulfilled.extend(self.finish.take());
        }
        fulfilled
    }

    /// All requests that were not fulfilled: nothing will come of them.
    pub fn awaited_requests(&mut self) -> Vec<Request> {
        let awaited = std::mem::take(&mut self.awaited).into_iter().map(|(_, request)| request);
        awaited.chain(self.finish.take()).collect()
    }

    /// So many bytes were passed on.
    pub fn acknowledge(&mut self, bytes: usize) {
        if let Sink::Handed { in_flight } = &mut self.sink {
            let bytes = bytes.min(*in_flight);
            *in_flight -= bytes;
            self.taken += bytes as u64;
        }
        self.show_unsent();
    }

    /// It takes what it is sent: it is not stuck.
    pub const fn note_progress(&mut self, now_ns: u64) {
        self.progress_ns = now_ns;
        self.is_reported = false;
    }

    /// Bytes that it has not taken.
    pub fn unsent(&self) -> usize {
        match &self.sink {
            #[cfg(unix)]
            Sink::Socket(_) => self.backlog.byte_length(),
            Sink::Handed { in_flight } => *in_flight,
        }
    }

    /// Nothing is left for it.
    pub fn is_drained(&self) -> bool {
        self.unsent() == 0 && self.conflation.is_none() && self.snapshots.is_none()
    }

    /// Gives it a batch of ticks, or keeps the newest of it while the client is behind.
    pub fn deliver(
        &mut self,
        batch: &Batch,
        arena: &Arena<'_>,
        joined: &mut Option<Frame>,
        mark: usize,
        sums: &mut Sums,
    ) -> After {
        if self.phase != Phase::Open {
            return After::Nothing;
        }
        let unsent = self.unsent();
        // A batch may exceed the mark when nothing is before it: it exists anyway, and is shared.
        let is_behind = unsent > 0 && unsent + batch.byte_length() > mark;
        if self.conflation.is_some() || is_behind {
            let frames = batch.entries().iter().map(|&entry| (arena.key(entry), arena.frame(entry)));
            self.keep(frames, sums);
            return After::Nothing;
        }
        self.count(batch.len() as u64, sums);
        match &mut self.sink {
            #[cfg(unix)]
            Sink::Socket(socket) => {
                if unsent > 0 {
                    self.backlog.push(joined.get_or_insert_with(|| batch.join(arena.bytes)).clone(), 0);
                    self.show_unsent();
                    return After::Nothing;
                }
                let mut runs = batch.runs(arena.bytes);
                let sent = match (runs.len(), &joined) {
                    (1, _) => socket.send(runs.next().unwrap_or_default()),
                    (_, Some(joined)) => socket.send(joined),
                    (2..=MOST_RUNS, None) => {
                        let mut pieces = [std::io::IoSlice::new(&[]); MOST_RUNS];
                        let count = runs.len();
                        for (piece, run) in pieces.iter_mut().zip(runs) {
                            *piece = std::io::IoSlice::new(run);
                        }
                        socket.send_pieces(&pieces[..count])
                    }
                    _ => socket.send(joined.get_or_insert_with(|| batch.join(arena.bytes))),
                };
                self.taken += *sent.as_ref().unwrap_or(&0) as u64;
                match sent {
                    Ok(sent) if sent == batch.byte_length() => After::Nothing,
                    Ok(sent) => {
                        let joined = joined.get_or_insert_with(|| batch.join(arena.bytes));
                        self.backlog.push(Arc::clone(joined), sent);
                        self.show_unsent();
                        After::Wait
                    }
                    Err(_) => self.fail(),
                }
            }
            Sink::Handed { in_flight } => {
                *in_flight += batch.byte_length();
                self.show_unsent();
                After::Hand
            }
        }
    }

    /// The same for frames that were kept.
    pub fn deliver_kept(&mut self, frames: &[(FrameKey, Frame)], mark: usize, sums: &mut Sums) -> After {
        if self.phase != Phase::Open {
            return After::Nothing;
        }
        let bytes: usize = frames.iter().map(|(_, frame)| frame.len()).sum();
        let unsent = self.unsent();
        if self.conflation.is_some() || unsent > 0 && unsent + bytes > mark {
            self.keep(frames.iter().cloned(), sums);
            return After::Nothing;
        }
        self.count(frames.len() as u64, sums);
        self.write(frames.iter().map(|(_, frame)| frame))
    }

    /// Queues bytes behind those that wait already, and sends what the socket takes.
    pub fn write<'a>(&mut self, pieces: impl IntoIterator<Item = &'a Frame>) -> After {
        if matches!(self.phase, Phase::Closed | Phase::Failed) {
            return After::Nothing;
        }
        match &mut self.sink {
            #[cfg(unix)]
            Sink::Socket(_) => {
                let was_empty = self.backlog.is_empty();
                pieces.into_iter().for_each(|piece| self.backlog.push(Arc::clone(piece), 0));
                // While the socket is full, it is watched already.
                if was_empty { self.flush() } else { self.shown(After::Nothing) }
            }
            Sink::Handed { in_flight } => {
                *in_flight += pieces.into_iter().map(|piece| piece.len()).sum::<usize>();
                self.shown(After::Hand)
            }
        }
    }

    /// Sends what the socket takes of the backlog.
    #[cfg(unix)]
    pub fn flush(&mut self) -> After {
        let Sink::Socket(socket) = &self.sink else { return After::Nothing };
        while !self.backlog.is_empty() {
            match socket.send_pieces(&self.backlog.slices()) {
                Ok(0) => return self.shown(After::Wait),
                Ok(sent) => {
                    self.taken += sent as u64;
                    self.backlog.advance(sent);
                }
                Err(_) => return self.fail(),
            }
        }
        self.shown(After::Nothing)
    }

    /// No tick goes out any more.
    pub fn end_ticks(&mut self, sums: &mut Sums) {
        if self.conflation.take().is_some() {
            self.note_caught_up(sums);
        }
        self.snapshots = None;
    }

    fn keep(&mut self, frames: impl Iterator<Item = (FrameKey, Frame)>, sums: &mut Sums) {
        let conflation = self.conflation.get_or_insert_with(|| {
            sums.conflated_clients += 1;
            self.figures.is_conflated.store(true, Ordering::Relaxed);
            Box::default()
        });
        let before = conflation.replaced();
        for (key, frame) in frames {
            conflation.put(key, frame);
        }
        let replaced = conflation.replaced() - before;
        sums.conflated += replaced;
        self.figures.conflated.fetch_add(replaced, Ordering::Relaxed);
    }

    /// It is not behind any more.
    pub fn note_caught_up(&self, sums: &mut Sums) {
        sums.conflated_clients -= 1;
        self.figures.is_conflated.store(false, Ordering::Relaxed);
    }

    pub fn count(&self, ticks: u64, sums: &mut Sums) {
        sums.sent += ticks;
        self.figures.sent.fetch_add(ticks, Ordering::Relaxed);
    }

    /// Nothing goes out any more, and what waits is dropped.
    pub fn fail(&mut self) -> After {
        self.phase = Phase::Failed;
        self.backlog.clear();
        self.shown(After::Fail)
    }

    fn shown(&self, after: After) -> After {
        self.show_unsent();
        after
    }

    pub fn show_unsent(&self) {
        self.figures.unsent.store(self.unsent(), Ordering::Relaxed);
    }
}

/// Most pieces of a batch that are sent without joining them first.
#[cfg(unix)]
const MOST_RUNS: usize = 64;
