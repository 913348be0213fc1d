//! The proxy's reader: ticks come out as finished WebSocket frames.

use napi::bindgen_prelude::{Buffer, Float64Array, Function, Int32Array, Uint8Array, Uint32Array};
use napi_derive::napi;
use openalgo_shm_frames::{TickEncoder, Variants};
use openalgo_shm_ring::Doorbell;

use crate::error::{Result, argument, closed, convert};
use crate::ring::NativeRing;
use crate::subscriber::{NativeSubscriberStats, NativeTopic, doorbell, options, stats};

/// Percentiles in ns.
#[napi(object)]
pub struct NativeLatency {
    pub count: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
    pub mean: f64,
}

/// An encoder and the buffers that it shares with JavaScript.
#[napi]
pub struct NativeTickEncoder {
    open: Option<Open>,
    arena: Uint8Array,
    entries: Int32Array,
    stamps: Float64Array,
}

struct Open {
    // Dropped first: its thread reads the encoder's ring.
    doorbell: Option<Doorbell>,
    encoder: TickEncoder,
}

#[napi]
impl NativeTickEncoder {
    /// Joins the ring. Frames go to `arena`, four numbers a frame to `entries`, publish times to `stamps`.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        ring: &NativeRing,
        name: String,
        arena: Uint8Array,
        entries: Int32Array,
        stamps: Float64Array,
    ) -> Result<Self> {
        let consumer = ring.ring()?.consumer(options(name, false, None)).map_err(convert)?;
        let encoder = TickEncoder::new(consumer);
        if arena.len() < encoder.longest_tick() {
            return Err(argument(format!(
                "arena has {} bytes, one tick can take {}",
                arena.len(),
                encoder.longest_tick()
            )));
        }
        Ok(Self { open: Some(Open { doorbell: None, encoder }), arena, entries, stamps })
    }

    /// Number of a topic that is about to be wanted; -1 when there are too many.
    #[napi(catch_unwind)]
    pub fn topic(&mut self, exchange: String, symbol: String) -> Result<i32> {
        let topic = self.open()?.encoder.topic(&exchange, &symbol).map_err(convert)?;
        Ok(topic.map_or(-1, |topic| topic as i32))
    }

    #[napi(catch_unwind)]
    pub fn topic_name(&mut self, topic: u32) -> Result<Option<NativeTopic>> {
        let name = self.open()?.encoder.topic_name(topic);
        Ok(name.map(|(exchange, symbol)| NativeTopic {
            exchange: exchange.to_owned(),
            symbol: symbol.to_owned(),
        }))
    }

    /// Number of a topic that has ticked or is wanted; -1 of another.
    #[napi(catch_unwind)]
    pub fn find_topic(&mut self, exchange: String, symbol: String) -> Result<i32> {
        let topic = self.open()?.encoder.find_topic(&exchange, &symbol);
        Ok(topic.map_or(-1, |topic| topic as i32))
    }

    /// Numbers of topics that have ticked, in the order of their first ticks: at most `most`, without the first `from`.
    #[napi(catch_unwind)]
    pub fn ticked(&mut self, from: u32, most: u32) -> Result<Uint32Array> {
        let ticked = self.open()?.encoder.ticked();
        Ok(ticked.iter().skip(from as usize).take(most as usize).copied().collect::<Vec<_>>().into())
    }

    /// Sets the wanted variants of a topic: bit m for mode m as JSON, bit m + 4 for mode m as MessagePack.
    /// With none, a topic that never ticked is forgotten.
    #[napi(catch_unwind)]
    pub fn want(&mut self, topic: u32, variants: u32) -> Result<()> {
        self.open()?.encoder.want(topic, variants as Variants);
        Ok(())
    }

    /// Sets the wanted variants of all topics of an exchange, or of all with "*".
    #[napi(catch_unwind)]
    pub fn want_exchange(&mut self, exchange: String, variants: u32) -> Result<()> {
        self.open()?.encoder.want_exchange(&exchange, variants as Variants);
        Ok(())
    }

    /// Encodes what is in the ring, as far as there is room; returns the number of entries.
    #[napi(catch_unwind)]
    pub fn drain(&mut self) -> Result<u32> {
        let Self { open, arena, entries, stamps } = self;
        let open = open.as_mut().ok_or_else(closed)?;
        // SAFETY: the arrays are kept alive by their references and JavaScript does not run meanwhile.
        let (arena, entries, stamps) = unsafe { (arena.as_mut(), entries.as_mut(), stamps.as_mut()) };
        Ok(open.encoder.drain(arena, entries, stamps) as u32)
    }

    /// The last tick of a topic for a subscriber of this variant (mode, plus 4 for MessagePack), as a frame.
    #[napi(catch_unwind)]
    pub fn snapshot(&mut self, topic: u32, variant: u32) -> Result<Option<Buffer>> {
        let mut frame = Vec::new();
        let variant = u8::try_from(variant).unwrap_or(u8::MAX);
        Ok(self.open()?.encoder.snapshot(topic, variant, &mut frame).then(|| frame.into()))
    }

    /// Calls back on the event loop once there is something to drain; silent until `arm` is called again.
    #[napi(catch_unwind)]
    pub fn on_ready(&mut self, wait: String, callback: Function<'_, (), ()>) -> Result<()> {
        let open = self.open()?;
        let bell = doorbell(open.encoder.consumer().segment(), &wait, callback)?;
        bell.arm(open.encoder.consumer());
        open.doorbell = Some(bell);
        Ok(())
    }

    /// Rings again as soon as there is something to drain.
    #[napi(catch_unwind)]
    pub fn arm(&mut self) -> Result<()> {
        let open = self.open()?;
        if let Some(bell) = &open.doorbell {
            bell.arm(open.encoder.consumer());
        }
        Ok(())
    }

    /// Goes on with a newer segment; `on_ready` must be called again.
    #[napi(catch_unwind)]
    pub fn reattach(&mut self, ring: &NativeRing, name: String) -> Result<()> {
        let consumer = ring.ring()?.consumer(options(name, true, None)).map_err(convert)?;
        let arena = self.arena.len();
        let open = self.open()?;
        open.doorbell = None;
        open.encoder.reattach(consumer);
        let needed = open.encoder.longest_tick();
        if arena < needed {
            return Err(argument(format!(
                "arena has {arena} bytes, one tick of the new ring can take {needed}"
            )));
        }
        Ok(())
    }

    #[napi(catch_unwind)]
    pub fn stats(&mut self) -> Result<NativeSubscriberStats> {
        let encoder = &self.open()?.encoder;
        Ok(stats(encoder.consumer(), encoder.counts()))
    }

    /// Ticks that were read and dropped because there were too many topics.
    #[napi(catch_unwind)]
    pub fn dropped(&mut self) -> Result<f64> {
        Ok(self.open()?.encoder.dropped() as f64)
    }

    /// Time from the publishers' stamps to the read here.
    #[napi(catch_unwind)]
    pub fn latency(&mut self, reset: bool) -> Result<NativeLatency> {
        let latency = self.open()?.encoder.latency(reset);
        Ok(NativeLatency {
            count: latency.count as f64,
            p50: latency.p50 as f64,
            p99: latency.p99 as f64,
            p999: latency.p999 as f64,
            max: latency.max as f64,
            mean: latency.mean,
        })
    }

    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.open = None;
    }

    fn open(&mut self) -> Result<&mut Open> {
        self.open.as_mut().ok_or_else(closed)
    }
}
