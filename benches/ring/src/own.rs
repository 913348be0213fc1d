//! The ring itself.

use openalgo_shm_core::clock::monotonic_ns;
use openalgo_shm_core::layout::Policy;
use openalgo_shm_core::message::{DepthLevel, Field, MarketDataMessage, Mode};
use openalgo_shm_core::{Consumer, ConsumerOptions, LockFreeRingBuffer, Producer, RingConfig};

use crate::link::{Duplex, Link, Place, Sink, Source, Stream};

/// What a tick carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Ltp,
    Quote,
    Depth5,
    Depth20,
}

impl Shape {
    pub const ALL: [(Self, &'static str); 4] =
        [(Self::Ltp, "LTP"), (Self::Quote, "quote"), (Self::Depth5, "depth 5"), (Self::Depth20, "depth 20")];

    /// Levels that the ring must be made for; 5 is the default.
    pub const fn levels(self) -> usize {
        if matches!(self, Self::Depth20) { 20 } else { 5 }
    }

    /// A tick as it goes into a slot.
    pub fn message(self) -> Vec<u64> {
        let mode = match self {
            Self::Ltp => Mode::Ltp,
            Self::Quote => Mode::Quote,
            Self::Depth5 | Self::Depth20 => Mode::Depth,
        };
        let mut tick = MarketDataMessage::<20>::new("NSE", "RELIANCE", mode).expect("a valid name");
        tick.set(Field::Ltp, 2875.35).set(Field::Volume, 8_412_311.0);
        tick.set(Field::Ltt, 1_663_660_800_000.0).set(Field::Timestamp, 1_663_660_800_123.0);
        if self != Self::Ltp {
            for field in &Field::ALL[Field::Open as usize..=Field::TotalSellQuantity as usize] {
                tick.set(*field, 2870.05);
            }
        }
        if mode == Mode::Depth {
            let side = vec![DepthLevel { price: 2875.3, quantity: 150.0, orders: 3.0 }; self.levels()];
            tick.set_depth(&side, &side).expect("it fits");
        }
        tick.as_words().to_vec()
    }
}

/// How the source publishes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `publish` or `publish_batch`: the publish time is read from the clock, once a call.
    Publish,
    /// `write` with a given time, then `flush`: no clock.
    Write,
}

/// A ring that is removed at the end.
pub struct Ring {
    ring: LockFreeRingBuffer,
    pub shape: Shape,
    pub how: How,
}

impl Ring {
    pub fn new(config: RingConfig, shape: Shape, how: How) -> Self {
        let name = format!("bench-{}-{}", std::process::id(), monotonic_ns());
        let ring = LockFreeRingBuffer::create(&name, config.depth_levels(shape.levels())).expect("a ring");
        Self { ring, shape, how }
    }

    /// The default ring: 8 lanes, overwriting, 1 MiB a lane.
    pub fn overwrite(shape: Shape, how: How, bytes: usize) -> Self {
        Self::new(RingConfig::mpmc().buffer_size(bytes), shape, how)
    }

    /// One lane, lossless.
    pub fn lossless(shape: Shape, how: How, bytes: usize) -> Self {
        Self::new(RingConfig::spsc().policy(Policy::Lossless).buffer_size(bytes), shape, how)
    }

    pub fn capacity(&self) -> usize {
        self.ring.layout().capacity
    }

    fn open(&self) -> LockFreeRingBuffer {
        LockFreeRingBuffer::open(self.ring.name()).expect("it exists")
    }

    pub fn producer(&self, name: &str) -> RingSource {
        let producer = self.open().producer(name).expect("a free lane");
        RingSource { producer, message: self.shape.message(), how: self.how }
    }

    pub fn consumer(&self, name: &str) -> RingSink {
        RingSink {
            consumer: self.open().consumer(ConsumerOptions::new(name)).expect("room to register"),
            sum: 0.0,
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let _ = self.ring.unlink_own();
    }
}

pub struct RingSource {
    pub producer: Producer,
    pub message: Vec<u64>,
    how: How,
}

impl RingSource {
    #[inline]
    fn put_one(&mut self, now: u64) {
        loop {
            let accepted = match self.how {
                How::Publish => self.producer.publish(&self.message),
                How::Write => self.producer.write(&self.message, now),
            };
            if accepted.expect("it fits") {
                break;
            }
            std::hint::spin_loop();
        }
    }
}

impl Source for RingSource {
    #[inline]
    fn put(&mut self, first: u64, count: usize) {
        if count == 1 {
            self.put_one(first);
            if self.how == How::Write {
                self.producer.flush();
            }
            return;
        }
        let mut left = count;
        while left > 0 {
            let Self { producer, message, .. } = self;
            let batch = std::iter::repeat_n(message.as_slice(), left);
            left -= producer.publish_batch(batch).expect("they fit");
        }
    }
}

pub struct RingSink {
    pub consumer: Consumer,
    /// Something is done with every message, so that it really is read.
    sum: f64,
}

impl Sink for RingSink {
    #[inline]
    fn take(&mut self) -> (u64, u64) {
        let sum = &mut self.sum;
        let count = self.consumer.poll(256, |tick| *sum += tick.field(Field::Ltp).unwrap_or(0.0));
        if count == 0 {
            std::hint::spin_loop();
        }
        std::hint::black_box(&self.sum);
        (count as u64, self.consumer.lost())
    }
}

impl Stream for Ring {
    type Source = RingSource;
    type Sink = RingSink;
    const PLACE: Place = Place::Processes;

    fn source(&self) -> RingSource {
        self.producer("source")
    }

    fn sink(&self) -> RingSink {
        self.consumer("sink")
    }
}

/// Two rings: there and back.
pub struct RingPair {
    there: Ring,
    back: Ring,
}

impl RingPair {
    pub fn new(make: impl Fn() -> Ring) -> Self {
        Self { there: make(), back: make() }
    }
}

pub struct RingSide {
    out: RingSource,
    r#in: RingSink,
    received: u64,
}

impl Link for RingPair {
    type Side = RingSide;
    const PLACE: Place = Place::Processes;

    fn open(&self, first: bool) -> RingSide {
        let (out, r#in) = if first { (&self.there, &self.back) } else { (&self.back, &self.there) };
        RingSide { out: out.source(), r#in: r#in.sink(), received: 0 }
    }
}

impl Duplex for RingSide {
    #[inline]
    fn send(&mut self, number: u64) {
        self.out.put(number, 1);
    }

    #[inline]
    fn receive(&mut self) -> u64 {
        while self.r#in.consumer.poll(1, |tick| {
            std::hint::black_box(tick.field(Field::Ltp));
        }) == 0
        {}
        self.received += 1;
        self.received
    }
}
