//! A publisher's lane, shared by the handles on it and by threads.
//!
//! The lock is held only where no code of Python's can run: a thread that has the interpreter may wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use openalgo_shm_dialect::{Reader, Strictness, Tally};
use openalgo_shm_ring::message::{Mode, TickImage, TopicNumber};
use openalgo_shm_ring::{Error, LockFreeRingBuffer, Producer, RingConfig, clock};
use pyo3::prelude::*;

use crate::error::{closed, convert};
use crate::fork::Origin;

/// How often a lane looks whether its ring was created anew, ns.
const FOLLOW_INTERVAL_NS: u64 = 1_000_000_000;

/// What a lane is made with.
#[derive(Clone)]
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
    /// A child made by `fork` must not even look at the lock: a thread of the parent may have held it.
    origin: Origin,
    /// Held while the ring is opened, which may wait for another process, by threads without the interpreter.
    starting: Mutex<()>,
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
    /// Keys that no field answers to, and those whose values could not be read.
    tallies: [Tally; 2],
    /// Opens the ring that has the name now.
    successor: Option<JoinHandle<Result<Open, Error>>>,
}

struct Open {
    ring: LockFreeRingBuffer,
    producer: Producer,
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
            tallies: Default::default(),
            successor: None,
        };
        Self { options, origin: Origin::here(), starting: Mutex::new(()), inner: Mutex::new(inner) }
    }

    pub const fn options(&self) -> &LaneOptions {
        &self.options
    }

    /// # Errors
    /// `ERR_CLOSED` in a child of the process that made this.
    fn lock(&self) -> PyResult<MutexGuard<'_, Inner>> {
        self.origin.check()?;
        Ok(self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens the ring and takes a lane; does nothing if it has one.
    pub fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.origin.check()?;
        // Opening may wait for another process that has the ring's name.
        py.detach(|| {
            let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
            let locked = || self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            if locked().open.is_none() {
                let open = self.options.open()?;
                locked().put(open);
            }
            Ok(())
        })
        .map_err(convert)
    }

    /// Gives the lane back. In a child made by `fork` there is none to give.
    pub fn stop(&self) {
        if let Ok(mut inner) = self.lock() {
            inner.open = None;
        }
    }

    pub fn is_open(&self) -> bool {
        self.lock().is_ok_and(|inner| inner.open.is_some())
    }

    /// What is needed to read a tick, to be given back with [`give_back`](Self::give_back), and the levels a side that
    /// the ring has room for.
    ///
    /// # Errors
    /// `ERR_CLOSED`.
    pub fn scratch(&self) -> PyResult<(Box<Scratch>, usize)> {
        let mut inner = self.lock()?;
        let Some(levels) = inner.open.as_ref().map(|open| open.ring.layout().depth_levels) else {
            drop(inner);
            return Err(closed("publisher"));
        };
        let scratch = inner.scratches.pop();
        drop(inner);
        Ok((scratch.unwrap_or_else(|| Box::new(Scratch::new(&self.options))), levels))
    }

    pub fn give_back(&self, scratch: Box<Scratch>) {
        if let Ok(mut inner) = self.lock() {
            inner.give_back(scratch);
        }
    }

    /// The lane, for publishing.
    ///
    /// # Errors
    /// `ERR_CLOSED` if it is not running, or is the parent process's.
    pub fn hold(&self) -> PyResult<Held<'_>> {
        let mut inner = self.lock()?;
        if inner.open.is_none() {
            drop(inner);
            return Err(closed("publisher"));
        }
        if self.options.follows {
            self.follow(&mut inner);
        }
        Ok(Held(inner))
    }

    /// Goes over to a ring that was created anew. A thread opens it, for that may wait, and a publish never does. If it
    /// cannot be joined yet, the next look tries again.
    fn follow(&self, inner: &mut Inner) {
        let Some(open) = &mut inner.open else { return };
        let now = open.producer.now();
        if let Some(successor) = inner.successor.take_if(|successor| successor.is_finished()) {
            open.looked_ns = now;
            if let Ok(Ok(successor)) = successor.join() {
                inner.put(successor);
            }
            return;
        }
        if now.saturating_sub(open.looked_ns) < FOLLOW_INTERVAL_NS || inner.successor.is_some() {
            return;
        }
        open.looked_ns = now;
        if !open.ring.is_current() {
            let options = self.options.clone();
            inner.successor = std::thread::Builder::new().spawn(move || options.open()).ok();
        }
    }

    /// False while it publishes to a ring whose name was removed or leads to a newer one.
    pub fn is_current(&self) -> PyResult<bool> {
        Ok(self.lock()?.open.as_ref().is_none_or(|open| open.ring.is_current()))
    }

    pub fn counts(&self) -> PyResult<Counts> {
        Ok(self.lock()?.counts)
    }

    pub fn count_invalid(&self) {
        if let Ok(mut inner) = self.lock() {
            inner.counts.invalid += 1;
        }
    }

    pub fn count_cut(&self) {
        if let Ok(mut inner) = self.lock() {
            inner.counts.books_cut += 1;
        }
    }

    /// The ring that it publishes to, and the index of its lane there.
    pub fn ring(&self) -> PyResult<Option<(LockFreeRingBuffer, usize)>> {
        let inner = self.lock()?;
        Ok(inner.open.as_ref().map(|open| (open.ring.clone(), open.producer.lane())))
    }

    /// Keys that no field answers to, then keys whose values could not be read.
    pub fn tallies(&self) -> PyResult<[Tally; 2]> {
        Ok(self.lock()?.tallies.clone())
    }
}

impl LaneOptions {
    fn open(&self) -> Result<Open, Error> {
        let ring = LockFreeRingBuffer::create_or_attach(&self.ring, self.config)?;
        let producer = ring.producer(&self.owner)?;
        Ok(Open { ring, producer, looked_ns: clock::monotonic_ns() })
    }
}

impl Inner {
    fn put(&mut self, open: Open) {
        self.open = Some(open);
        self.generation += 1;
    }

    fn give_back(&mut self, mut scratch: Box<Scratch>) {
        for (own, read) in self.tallies.iter_mut().zip(scratch.reader.tallies()) {
            own.absorb(read);
        }
        self.scratches.push(scratch);
    }
}

impl Held<'_> {
    /// Gives back what [`Lane::scratch`] gave.
    pub fn give_back(&mut self, scratch: Box<Scratch>) {
        self.0.give_back(scratch);
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
