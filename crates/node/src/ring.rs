//! The segment: create, attach, look, remove.

use std::time::Duration;

use napi_derive::napi;
use openalgo_shm_ring as ring;
use openalgo_shm_ring::layout::{FORMAT_VERSION, Kind, LINE, Policy};
use openalgo_shm_ring::message::Field;
use openalgo_shm_ring::{LockFreeRingBuffer, RingConfig, WaitStrategy};

use crate::error::{Result, argument, closed, convert};

/// What a ring is made with; every number is checked by the ring.
#[napi(object)]
pub struct NativeRingOptions {
    pub name: String,
    /// ticks, interest or events
    pub kind: String,
    pub lanes: u32,
    pub consumers: u32,
    pub buffer_size: f64,
    pub topics: u32,
    pub depth_levels: u32,
    /// overwrite or lossless
    pub policy: String,
    /// ms to wait for another process that creates or removes the same name
    pub wait_ms: u32,
}

#[napi(object)]
pub struct NativeRingInfo {
    pub name: String,
    /// ticks, interest or events
    pub kind: String,
    pub lanes: u32,
    pub consumers: u32,
    pub capacity: u32,
    pub stride: u32,
    pub longest: u32,
    pub topics: u32,
    pub depth_levels: u32,
    pub policy: String,
    pub bytes: f64,
}

#[napi(object)]
pub struct NativeLaneStats {
    pub lane: u32,
    pub publisher: String,
    pub pid: u32,
    pub alive: bool,
    pub started_ms: f64,
    pub messages_published: f64,
    pub messages_rejected: f64,
    pub lines_published: f64,
    pub topics: u32,
    pub topics_refused: f64,
    pub avg_latency_ns: f64,
    pub last_publish_ns: f64,
}

#[napi(object)]
pub struct NativeConsumerStats {
    pub consumer: u32,
    pub name: String,
    pub pid: u32,
    pub started_ms: f64,
    pub messages_received: f64,
    pub messages_lost: f64,
    pub messages_corrupt: f64,
    pub lag: f64,
}

#[napi(object)]
pub struct NativeRingStats {
    pub info: NativeRingInfo,
    pub created_ms: f64,
    pub current: bool,
    pub lanes: Vec<NativeLaneStats>,
    pub consumers: Vec<NativeConsumerStats>,
}

#[napi(object)]
pub struct NativeSegment {
    pub name: String,
    pub bytes: f64,
    pub in_use: bool,
    pub version: u32,
}

fn config(options: &NativeRingOptions) -> Result<RingConfig> {
    let policy = match options.policy.as_str() {
        "overwrite" => Policy::Overwrite,
        "lossless" => Policy::Lossless,
        other => return Err(argument(format!("policy '{other}': expected overwrite or lossless"))),
    };
    let config = RingConfig::mpmc()
        .lanes(options.lanes as usize)
        .consumers(options.consumers as usize)
        .buffer_size(options.buffer_size as usize)
        .topics(options.topics as usize)
        .depth_levels(options.depth_levels as usize)
        .policy(policy);
    match options.kind.as_str() {
        "ticks" => Ok(config),
        "interest" => Ok(config.of_kind(Kind::Interest, ring::interest::WORDS)),
        "events" => Ok(config.of_kind(Kind::Events, ring::event::MAX_WORDS)),
        other => Err(argument(format!("kind '{other}': expected ticks, interest or events"))),
    }
}

const KINDS: [(&str, Kind); 3] =
    [("ticks", Kind::Ticks), ("interest", Kind::Interest), ("events", Kind::Events)];

fn kind_name(kind: Kind) -> &'static str {
    KINDS.into_iter().find(|(_, other)| *other == kind).map_or("", |(name, _)| name)
}

pub fn strategy(name: &str) -> Result<WaitStrategy> {
    match name {
        "spin" => Ok(WaitStrategy::Spin),
        "adaptive" => Ok(WaitStrategy::Adaptive),
        "sleep" => Ok(WaitStrategy::Sleep),
        other => Err(argument(format!("wait '{other}': expected spin, adaptive or sleep"))),
    }
}

/// How long a call waits for another process that creates or removes the same name, ms: the event loop stands still
/// meanwhile. Creating takes a fraction of a millisecond.
const NAME_WAIT_MS: u32 = 100;

fn patiently<T>(wait_ms: u32, call: impl FnOnce() -> ring::Result<T>) -> Result<T> {
    ring::waiting_at_most(Duration::from_millis(wait_ms.into()), call).map_err(convert)
}

/// A handle on a ring.
#[napi]
pub struct NativeRing {
    ring: Option<LockFreeRingBuffer>,
}

#[napi]
impl NativeRing {
    /// Creates the ring or attaches to one of the same layout.
    #[napi(factory, catch_unwind)]
    pub fn create(options: NativeRingOptions) -> Result<Self> {
        let config = config(&options)?;
        let ring = patiently(options.wait_ms, || LockFreeRingBuffer::create(&options.name, config))?;
        Ok(Self { ring: Some(ring) })
    }

    /// Attaches to the ring as it is, or creates it.
    #[napi(factory, catch_unwind)]
    pub fn create_or_attach(options: NativeRingOptions) -> Result<Self> {
        let config = config(&options)?;
        let ring =
            patiently(options.wait_ms, || LockFreeRingBuffer::create_or_attach(&options.name, config))?;
        Ok(Self { ring: Some(ring) })
    }

    /// Attaches to an existing ring.
    #[napi(factory, catch_unwind)]
    pub fn open(name: String) -> Result<Self> {
        Ok(Self { ring: Some(patiently(NAME_WAIT_MS, || LockFreeRingBuffer::open(&name))?) })
    }

    #[napi(catch_unwind)]
    pub fn info(&self) -> Result<NativeRingInfo> {
        self.ring().map(info)
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> Result<NativeRingStats> {
        self.ring().map(stats)
    }

    /// False once the name was removed or leads to a newer segment.
    #[napi(catch_unwind)]
    pub fn is_current(&self) -> Result<bool> {
        self.ring().map(LockFreeRingBuffer::is_current)
    }

    /// Removes the name if it still leads to this segment.
    #[napi(catch_unwind)]
    pub fn unlink(&self) -> Result<bool> {
        let ring = self.ring()?;
        patiently(NAME_WAIT_MS, || ring.unlink_own())
    }

    #[napi]
    pub fn close(&mut self) {
        self.ring = None;
    }

    pub(crate) fn ring(&self) -> Result<&LockFreeRingBuffer> {
        self.ring.as_ref().ok_or_else(closed)
    }
}

pub fn info(ring: &LockFreeRingBuffer) -> NativeRingInfo {
    let layout = ring.layout();
    NativeRingInfo {
        name: ring.name().to_owned(),
        lanes: layout.lanes as u32,
        consumers: layout.consumers as u32,
        kind: kind_name(layout.kind).to_owned(),
        capacity: layout.capacity as u32,
        stride: LINE as u32,
        longest: layout.longest as u32,
        topics: layout.topics as u32,
        depth_levels: layout.depth_levels as u32,
        policy: layout.policy.as_str().to_owned(),
        bytes: layout.total_bytes() as f64,
    }
}

pub fn stats(ring: &LockFreeRingBuffer) -> NativeRingStats {
    let stats = ring.stats();
    NativeRingStats {
        info: info(ring),
        created_ms: milliseconds(stats.created_ns),
        current: stats.current,
        lanes: stats
            .lanes
            .into_iter()
            .map(|lane| NativeLaneStats {
                lane: lane.lane as u32,
                publisher: lane.publisher,
                pid: lane.pid,
                alive: lane.alive,
                started_ms: milliseconds(lane.started_ns),
                messages_published: lane.messages_published as f64,
                messages_rejected: lane.messages_rejected as f64,
                lines_published: lane.lines_published as f64,
                topics: lane.topics as u32,
                topics_refused: lane.topics_refused as f64,
                avg_latency_ns: lane.avg_latency_ns,
                last_publish_ns: lane.last_publish_ns as f64,
            })
            .collect(),
        consumers: stats
            .consumers
            .into_iter()
            .map(|consumer| NativeConsumerStats {
                consumer: consumer.consumer as u32,
                name: consumer.name,
                pid: consumer.pid,
                started_ms: milliseconds(consumer.started_ns),
                messages_received: consumer.messages_received as f64,
                messages_lost: consumer.messages_lost as f64,
                messages_corrupt: consumer.messages_corrupt as f64,
                lag: consumer.lag as f64,
            })
            .collect(),
    }
}

fn milliseconds(ns: u64) -> f64 {
    (ns / 1_000_000) as f64
}

/// Checks a ring's name.
#[napi(catch_unwind)]
pub fn check_ring_name(name: String) -> Result<()> {
    ring::check_name(&name).map_err(convert)
}

/// Removes a name, even of a segment in use. True if there was one.
#[napi(catch_unwind)]
pub fn unlink_ring(name: String) -> Result<bool> {
    patiently(NAME_WAIT_MS, || LockFreeRingBuffer::unlink(&name))
}

/// The rings on this machine that this user may open.
#[napi(catch_unwind)]
pub fn find_segments() -> Vec<NativeSegment> {
    ring::waiting_at_most(Duration::from_millis(NAME_WAIT_MS.into()), ring::find::find_segments)
        .into_iter()
        .map(|found| NativeSegment {
            name: found.name,
            bytes: found.bytes as f64,
            in_use: found.in_use,
            version: u32::try_from(found.version).unwrap_or(u32::MAX),
        })
        .collect()
}

/// Removes a ring that no living process holds. True if it was removed.
#[napi(catch_unwind)]
pub fn remove_if_unused(name: String) -> Result<bool> {
    patiently(NAME_WAIT_MS, || ring::find::remove_if_unused(&name))
}

/// Version of the segment format that this build makes and reads.
#[napi]
pub fn format_version() -> u32 {
    FORMAT_VERSION as u32
}

/// Names of the numeric fields on the wire, in the order of their presence bits.
#[napi]
pub fn field_names() -> Vec<String> {
    Field::NAMES.iter().map(|name| (*name).to_owned()).collect()
}

/// Nanoseconds of the clock that stamps messages.
#[napi]
pub fn monotonic_ns() -> f64 {
    ring::clock::monotonic_ns() as f64
}
