//! The ring itself.

use std::marker::PhantomData;

use openalgo_shm_ring::clock::monotonic_ns;
use openalgo_shm_ring::layout::Policy;
use openalgo_shm_ring::message::{DepthLevel, Field, MarketDataMessage, Mode, TopicNumber};
use openalgo_shm_ring::{Consumer, ConsumerOptions, LockFreeRingBuffer, Producer, Result, RingConfig};

use crate::link::{Duplex, Link, Place, Sink, Source, Stream};

const EXCHANGE: &str = "NSE";
const SYMBOL: &str = "RELIANCE";

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

    /// The image of a tick.
    fn image(self) -> Vec<u64> {
        let mode = match self {
            Self::Ltp => Mode::Ltp,
            Self::Quote => Mode::Quote,
            Self::Depth5 | Self::Depth20 => Mode::Depth,
        };
        let mut tick = MarketDataMessage::<20>::new(EXCHANGE, SYMBOL, mode).expect("a valid name");
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

/// How a source publishes: a type of its own each, so that a measurement holds the code of one call and no choice.
pub trait How {
    /// True if a batch goes through `publish_batch_to`.
    const BATCHES: bool = false;
    /// True if a `flush` follows what was written.
    const FLUSHES: bool = false;
    fn put(producer: &mut Producer, topic: TopicNumber, image: &[u64], now: u64) -> Result<bool>;
}

/// `publish_to` or `publish_batch_to`: the publish time is read from the clock, once a call.
pub struct Publish;
/// `write_to` with a given time, then one `flush` a call: no clock.
pub struct Write;
/// `publish`: with the clock, and the topic's number is found by the name in the image.
pub struct PublishNamed;
/// `write`, then `flush`: no clock, by name.
pub struct WriteNamed;

impl How for Publish {
    const BATCHES: bool = true;

    #[inline(always)]
    fn put(producer: &mut Producer, topic: TopicNumber, image: &[u64], _: u64) -> Result<bool> {
        producer.publish_to(topic, image)
    }
}

impl How for Write {
    const FLUSHES: bool = true;

    #[inline(always)]
    fn put(producer: &mut Producer, topic: TopicNumber, image: &[u64], now: u64) -> Result<bool> {
        producer.write_to(topic, image, now)
    }
}

impl How for PublishNamed {
    #[inline(always)]
    fn put(producer: &mut Producer, _: TopicNumber, image: &[u64], _: u64) -> Result<bool> {
        producer.publish(image)
    }
}

impl How for WriteNamed {
    const FLUSHES: bool = true;

    #[inline(always)]
    fn put(producer: &mut Producer, _: TopicNumber, image: &[u64], now: u64) -> Result<bool> {
        producer.write(image, now)
    }
}

/// A ring that is removed at the end.
pub struct Ring<H> {
    ring: LockFreeRingBuffer,
    shape: Shape,
    how: PhantomData<H>,
}

impl<H> Ring<H> {
    fn new(config: RingConfig, shape: Shape) -> Self {
        let name = format!("bench-{}-{}", std::process::id(), monotonic_ns());
        let ring = LockFreeRingBuffer::create(&name, config.depth_levels(shape.levels())).expect("a ring");
        Self { ring, shape, how: PhantomData }
    }

    /// The default ring: 8 lanes, overwriting, 1 MiB a lane.
    pub fn overwrite(shape: Shape, bytes: usize) -> Self {
        Self::new(RingConfig::mpmc().buffer_size(bytes), shape)
    }

    /// One lane, lossless.
    pub fn lossless(shape: Shape, bytes: usize) -> Self {
        Self::new(RingConfig::spsc().policy(Policy::Lossless).buffer_size(bytes), shape)
    }

    pub fn of(lossless: bool, shape: Shape, bytes: usize) -> Self {
        if lossless { Self::lossless(shape, bytes) } else { Self::overwrite(shape, bytes) }
    }

    pub fn capacity(&self) -> usize {
        self.ring.layout().capacity
    }

    fn open(&self) -> LockFreeRingBuffer {
        LockFreeRingBuffer::open(self.ring.name()).expect("it exists")
    }

    pub fn producer(&self, name: &str) -> RingSource<H> {
        let mut producer = self.open().producer(name).expect("a free lane");
        let topic = producer.topic(EXCHANGE, SYMBOL).expect("room for a topic");
        RingSource { producer, topic, image: self.shape.image(), how: PhantomData }
    }

    pub fn consumer(&self, name: &str) -> RingSink {
        RingSink {
            consumer: self.open().consumer(ConsumerOptions::new(name)).expect("room to register"),
            sum: 0.0,
        }
    }
}

impl<H> Drop for Ring<H> {
    fn drop(&mut self) {
        let _ = self.ring.unlink_own();
    }
}

pub struct RingSource<H> {
    producer: Producer,
    topic: TopicNumber,
    image: Vec<u64>,
    how: PhantomData<H>,
}

impl<H: How> Source for RingSource<H> {
    #[inline]
    fn put(&mut self, first: u64, count: usize) {
        let Self { producer, topic, image, .. } = self;
        let image = image.as_slice();
        if H::BATCHES && count > 1 {
            let mut left = count;
            while left > 0 {
                let batch = std::iter::repeat_n((*topic, image), left);
                left -= producer.publish_batch_to(batch).expect("they fit");
            }
            return;
        }
        for now in first..first + count as u64 {
            // A full ring is asked again.
            while !H::put(producer, *topic, image, now).expect("it fits") {
                std::hint::spin_loop();
            }
        }
        if H::FLUSHES {
            producer.flush();
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

impl<H: How + Sync> Stream for Ring<H> {
    type Source = RingSource<H>;
    type Sink = RingSink;
    const PLACE: Place = Place::Processes;

    fn source(&self) -> RingSource<H> {
        self.producer("source")
    }

    fn sink(&self) -> RingSink {
        self.consumer("sink")
    }
}

/// Two rings: there and back.
pub struct RingPair<H> {
    there: Ring<H>,
    back: Ring<H>,
}

impl<H> RingPair<H> {
    pub fn new(make: impl Fn() -> Ring<H>) -> Self {
        Self { there: make(), back: make() }
    }
}

pub struct RingSide<H> {
    out: RingSource<H>,
    r#in: RingSink,
    received: u64,
}

impl<H: How + Sync> Link for RingPair<H> {
    type Side = RingSide<H>;
    const PLACE: Place = Place::Processes;

    fn open(&self, first: bool) -> RingSide<H> {
        let (out, r#in) = if first { (&self.there, &self.back) } else { (&self.back, &self.there) };
        RingSide { out: out.source(), r#in: r#in.sink(), received: 0 }
    }
}

impl<H: How> Duplex for RingSide<H> {
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
