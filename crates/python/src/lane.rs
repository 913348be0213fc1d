//! A publisher's lane, shared by the handles on it and by threads.
//!
//! The lock is held only where no code of Python's can run: a thread that has the interpreter may wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use openalgo_shm_dialect::{Reader, Strictness};
use openalgo_shm_ring::message::{Mode, TickImage, TopicNumber};
use openalgo_shm_ring::{Error, LockFreeRingBuffer, Producer, RingConfig, clock};
use pyo3::prelude::*;

use crate::error::{closed, convert};
use crate::fork::Origin;

/// How often a lane looks whether its ring was created anew, ns.
const FOLLOW_INTERVAL_NS: u64 = 1_000_000_000;

/// What a lane is made with.
pub struct LaneOptions {
    pub ring: String,
    pub config: RingConfig,
    pub owner: String,
    pub strictness: Strictness,
    pub utc_offset: i32,
    /// Go over to the ring that has the name, when this one was removed.
    pub follows: bool,
}

/// A publisher's lane.
pub struct Lane {
    options: LaneOptions,
    inner: Mutex<Inner>,
}

struct Inner {
    open: Option<Open>,
    /// Grows with every ring that was opened: numbers of topics are those of one ring.
    generation: u64,
    #[expect(clippy::vec_box, reason = "half a kilobyte would be moved twice a tick")]
    scratches: Vec<Box<Scratch>>,
    /// For ticks that are written while the lock is held.
    image: TickImage,
    counts: Counts,
}

struct Open {
    ring: LockFreeRingBuffer,
    producer: Producer,
    origin: Origin,
    looked_ns: u64,
}

/// What a thread needs to read a tick.
pub struct Scratch {
    pub reader: Reader,
    pub image: TickImage,
}

impl Scratch {
    fn new(options: &LaneOptions) -> Self {
        Self { reader: Reader::new(options.strictness, options.utc_offset), image: TickImage::new() }
    }
}

impl Inner {
    fn levels(&self) -> Option<usize> {
        self.open.as_ref().map(|open| open.ring.layout().depth_levels)
    }
}

/// What became of the ticks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub published: u64,
    pub rejected: u64,
    pub invalid: u64,
    pub books_cut: u64,
}

/// The lane as a publish sees it.
pub struct Held<'a>(MutexGuard<'a, Inner>);

impl Lane {
    pub fn new(options: LaneOptions) -> Self {
        let inner = Inner {
            open: None,
            generation: 0,
            scratches: Vec::new(),
            image: TickImage::new(),
            counts: Counts::default(),
        };
        Self { options, inner: Mutex::new(inner) }
    }

    pub const fn options(&self) -> &LaneOptions {
        &self.options
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the ring and takes a lane; does nothing if it has one.
    pub fn start(&self, py: Python<'_>) -> PyResult<()> {
        // Opening may wait for another process that has the ring's name.
        py.detach(|| {
            let mut inner = self.lock();
            if inner.open.as_ref().is_none_or(|open| !open.origin.is_here()) {
                inner.open = Some(self.open()?);
                inner.generation += 1;
            }
            Ok(())
        })
        .map_err(convert)
    }

    fn open(&self) -> Result<Open, Error> {
        let ring = LockFreeRingBuffer::create_or_attach(&self.options.ring, self.options.config)?;
        let producer = ring.producer(&self.options.owner)?;
        Ok(Open { ring, producer, origin: Origin::here(), looked_ns: clock::monotonic_ns() })
    }

    /// Gives the lane back.
    pub fn stop(&self) {
        self.lock().open = None;
    }

    /// True if it has a ring, be it the parent process's.
    pub fn is_open(&self) -> bool {
        self.lock().open.is_some()
    }

    pub fn is_running(&self) -> bool {
        self.lock().open.as_ref().is_some_and(|open| open.origin.is_here())
    }

    /// What is needed to read a tick, to be given back with [`give_back`](Self::give_back), and the levels a side that
    /// the ring has room for.
    ///
    /// # Errors
    /// `ERR_CLOSED`.
    pub fn scratch(&self) -> PyResult<(Box<Scratch>, usize)> {
        let mut inner = self.lock();
        let Some(levels) = inner.levels() else {
            drop(inner);
            return Err(closed("publisher"));
        };
        let scratch = inner.scratches.pop();
        drop(inner);
        Ok((scratch.unwrap_or_else(|| Box::new(Scratch::new(&self.options))), levels))
    }

    pub fn give_back(&self, scratch: Box<Scratch>) {
        self.lock().scratches.push(scratch);
    }

    /// The lane, for publishing.
    ///
    /// # Errors
    /// `ERR_CLOSED` if it is not running, or is the parent process's.
    pub fn hold(&self) -> PyResult<Held<'_>> {
        let mut inner = self.lock();
        let origin = inner.open.as_ref().map(|open| open.origin);
        if !origin.is_some_and(Origin::is_here) {
            drop(inner);
            origin.map_or(Ok(()), Origin::check)?;
            return Err(closed("publisher"));
        }
        if self.options.follows {
            self.follow(&mut inner);
        }
        Ok(Held(inner))
    }

    /// Goes over to a ring that was created anew. If it cannot be joined yet, the next look tries again.
    fn follow(&self, inner: &mut Inner) {
        let Some(open) = &mut inner.open else { return };
        let now = open.producer.now();
        if now.saturating_sub(open.looked_ns) < FOLLOW_INTERVAL_NS {
            return;
        }
        open.looked_ns = now;
        if open.ring.is_current() {
            return;
        }
        if let Ok(successor) = self.open() {
            inner.open = Some(successor);
            inner.generation += 1;
        }
    }

    /// False while it publishes to a ring whose name was removed or leads to a newer one.
    pub fn is_current(&self) -> bool {
        self.lock().open.as_ref().is_none_or(|open| open.ring.is_current())
    }

    pub fn counts(&self) -> Counts {
        self.lock().counts
    }

    pub fn count_invalid(&self) {
        self.lock().counts.invalid += 1;
    }

    pub fn count_cut(&self) {
        self.lock().counts.books_cut += 1;
    }

    /// Index of the lane, and the average duration of a publish in ns.
    pub fn figures(&self) -> Option<(usize, f64)> {
        let inner = self.lock();
        let open = inner.open.as_ref().filter(|open| open.origin.is_here())?;
        let lane = open.producer.lane();
        let stats = open.ring.stats();
        let own = stats.lanes.into_iter().find(|other| other.lane == lane);
        Some((lane, own.map_or(0.0, |own| own.avg_latency_ns)))
    }

    /// Keys that no field answers to, then keys whose values could not be read.
    pub fn tallies(&self) -> [Vec<(String, u64)>; 2] {
        let inner = self.lock();
        let readers = || inner.scratches.iter().map(|scratch| &scratch.reader);
        let sum = |tallies: Vec<&openalgo_shm_dialect::Tally>| {
            let mut sum: Vec<(String, u64)> = Vec::new();
            for (key, count) in tallies.into_iter().flat_map(openalgo_shm_dialect::Tally::iter) {
                match sum.iter_mut().find(|(known, _)| known == key) {
                    Some((_, total)) => *total += count,
                    None => sum.push((key.to_owned(), count)),
                }
            }
            sum
        };
        [sum(readers().map(Reader::unknown).collect()), sum(readers().map(Reader::unreadable).collect())]
    }
}

impl Held<'_> {
    /// Gives back what [`Lane::scratch`] gave.
    pub fn give_back(&mut self, scratch: Box<Scratch>) {
        self.0.scratches.push(scratch);
    }

    /// Grows with every ring that was opened.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }

    /// The number of a topic in the lane's table.
    pub fn topic(&mut self, exchange: &str, symbol: &str) -> Result<TopicNumber, Error> {
        producer_of(&mut self.0.open).topic(exchange, symbol)
    }

    /// Publishes a tick that `fill` writes; it must not run code of Python's. False if a lossless ring is full.
    #[inline]
    pub fn publish_with(
        &mut self,
        topic: TopicNumber,
        mode: Mode,
        fill: impl FnOnce(&mut TickImage),
    ) -> Result<bool, Error> {
        let Inner { open, image, counts, .. } = &mut *self.0;
        image.clear();
        fill(image);
        counts.note(producer_of(open).publish_to(topic, image.finish(mode)))
    }

    /// Publishes. False if a lossless ring is full.
    #[inline]
    pub fn publish(&mut self, topic: TopicNumber, image: &mut TickImage, mode: Mode) -> Result<bool, Error> {
        let Inner { open, counts, .. } = &mut *self.0;
        counts.note(producer_of(open).publish_to(topic, image.finish(mode)))
    }
}

impl Counts {
    #[inline]
    fn note(&mut self, outcome: Result<bool, Error>) -> Result<bool, Error> {
        match outcome {
            Ok(true) => self.published += 1,
            Ok(false) => self.rejected += 1,
            Err(_) => {}
        }
        outcome
    }
}

fn producer_of(open: &mut Option<Open>) -> &mut Producer {
    &mut open.as_mut().expect("hold checks that it is open").producer
}
