//! Delivery for JavaScript: commands go down, events come up.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Buffer, Function, Uint32Array};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use openalgo_shm_delivery as delivery;
use openalgo_shm_delivery::{
    Change, ClientId, Delivery, DeliveryOptions, Format, LATENCY_BOUNDS_NS, Latencies,
};
use openalgo_shm_frames::Topic;
use openalgo_shm_ring::message::{Mode, TopicName};

use crate::error::{Result, argument, closed, convert, native};
use crate::ring::{NativeRing, strategy};
use crate::subscriber::NativeTopic;

/// Numbers of a change: topic, mode, interval in ms (-1 ends the subscription).
const CHANGE: usize = 3;
/// Numbers of a last value that is asked for: topic, mode.
const PAIR: usize = 2;

/// How delivery is set up.
#[napi(object)]
pub struct NativeDeliveryOptions {
    pub name: String,
    pub threads: u32,
    /// spin, adaptive or sleep
    pub wait: String,
    pub high_water_mark: f64,
    pub slow_client_timeout_ms: f64,
    pub carried_max_age_ms: f64,
}

/// Frames for clients that the native side cannot write to.
#[napi(object)]
pub struct NativeHanded {
    pub clients: Uint32Array,
    pub frames: Buffer,
}

/// A last value that was asked for.
#[napi(object)]
pub struct NativeSnapshot {
    pub query: u32,
    pub frame: Option<Buffer>,
}

/// All that has happened since the last call.
#[napi(object)]
pub struct NativeDeliveryEvents {
    /// Requests.
    pub fulfilled: Vec<u32>,
    pub failed: Vec<u32>,
    pub stuck: Vec<u32>,
    pub handed: Vec<NativeHanded>,
    pub snapshots: Vec<NativeSnapshot>,
    pub panics: Vec<String>,
}

/// What a client has got.
#[napi(object)]
pub struct NativeClientFigures {
    pub id: u32,
    /// From 0.
    pub thread: u32,
    pub sent: f64,
    pub conflated: f64,
    pub backlog: f64,
    pub is_conflated: bool,
}

/// Figures of one thread.
#[napi(object)]
pub struct NativeThreadFigures {
    pub name: String,
    pub clients: u32,
    pub received: f64,
    pub lost: f64,
    pub corrupt: f64,
    pub lag: f64,
    pub dropped: f64,
    pub batches: f64,
    pub sent: f64,
    pub conflated: f64,
    pub conflated_clients: u32,
    pub audiences: u32,
    pub restarts: u32,
    pub is_running: bool,
}

/// Percentiles in ns.
#[napi(object)]
pub struct NativePercentiles {
    pub count: f64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Latencies of one thread, or of all.
#[napi(object)]
pub struct NativeLatencies {
    pub read: NativePercentiles,
    pub delivery: NativePercentiles,
    pub bounds_ns: Vec<f64>,
    pub counts: Vec<f64>,
    pub sum_ns: f64,
}

/// The threads that bring a ring's ticks to clients.
#[napi]
pub struct NativeDelivery {
    delivery: Option<Delivery>,
    /// Topics that JavaScript has the numbers of, and how many times it has asked for each.
    held: HashMap<u32, (Arc<Topic>, u32)>,
}

#[napi]
impl NativeDelivery {
    /// Starts the threads. `on_events` is called on the event loop once for any number of events; it is to call
    /// `take_events`.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        ring: &NativeRing,
        options: NativeDeliveryOptions,
        on_events: Function<'_, (), ()>,
    ) -> Result<Self> {
        let options = DeliveryOptions {
            name: options.name,
            threads: options.threads as usize,
            wait: strategy(&options.wait)?,
            high_water_mark: options.high_water_mark as usize,
            slow_client_timeout: Duration::from_millis(options.slow_client_timeout_ms as u64),
            carried_max_age: Duration::from_millis(options.carried_max_age_ms as u64),
        };
        let call = on_events
            .build_threadsafe_function()
            .weak::<true>()
            .max_queue_size::<1>()
            .build()
            .map_err(native)?;
        let delivery = Delivery::new(ring.ring()?, &options, move || {
            call.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        Ok(Self { delivery: Some(delivery.map_err(convert)?), held: HashMap::new() })
    }

    /// Number of a topic that is about to be wanted: its own until it has been let go as often as it was asked for.
    /// -1 when there are too many.
    #[napi(catch_unwind)]
    pub fn hold_topic(&mut self, exchange: String, symbol: String) -> Result<i32> {
        let name = TopicName::new(&exchange, &symbol).map_err(convert)?;
        let Some(topic) = self.open()?.topics().ask(&name) else { return Ok(-1) };
        let number = topic.number();
        self.held.entry(number).or_insert((topic, 0)).1 += 1;
        Ok(number as i32)
    }

    /// Holds a topic once more whose number is held already.
    #[napi(catch_unwind)]
    pub fn hold_again(&mut self, topic: u32) {
        if let Some((_, holders)) = self.held.get_mut(&topic) {
            *holders += 1;
        }
    }

    /// Lets go of a topic's number. After the last time it may become another's, unless the topic has ticked.
    #[napi(catch_unwind)]
    pub fn release_topic(&mut self, topic: u32) {
        let Some((_, holders)) = self.held.get_mut(&topic) else { return };
        *holders -= 1;
        if *holders == 0 {
            self.held.remove(&topic);
        }
    }

    /// Number of a topic that has ticked or is wanted; -1 of another.
    #[napi(catch_unwind)]
    pub fn find_topic(&mut self, exchange: String, symbol: String) -> Result<i32> {
        let Ok(name) = TopicName::new(&exchange, &symbol) else { return Ok(-1) };
        let topic = self.open()?.topics().find(&name);
        Ok(topic.map_or(-1, |topic| topic.number() as i32))
    }

    /// Name of a topic whose number is held.
    #[napi(catch_unwind)]
    pub fn topic_name(&self, topic: u32) -> Option<NativeTopic> {
        self.held.get(&topic).map(|(topic, _)| name_of(topic))
    }

    /// Whether a topic whose number is held has ever ticked.
    #[napi(catch_unwind)]
    pub fn has_ticked(&self, topic: u32) -> bool {
        self.held.get(&topic).is_some_and(|(topic, _)| topic.has_ticked())
    }

    /// Number of topics that have ticked.
    #[napi(catch_unwind)]
    pub fn ticked_count(&mut self) -> Result<u32> {
        Ok(self.open()?.topics().ticked_count() as u32)
    }

    /// Topics that have ticked, in the order of their first ticks: at most `most`, without the first `from`.
    #[napi(catch_unwind)]
    pub fn ticked(&mut self, from: u32, most: u32) -> Result<Vec<NativeTopic>> {
        let topics = self.open()?.topics().ticked(from as usize, most as usize);
        Ok(topics.iter().map(|topic| name_of(topic)).collect())
    }

    /// Attaches a client whose bytes all go to this socket from now on; -1 where that cannot be.
    #[napi(catch_unwind)]
    pub fn attach(&mut self, descriptor: i32, message_pack: bool) -> Result<i64> {
        let delivery = self.open()?;
        #[cfg(unix)]
        return Ok(delivery.attach(descriptor, format(message_pack)).map_or(-1, i64::from));
        #[cfg(not(unix))]
        return Ok(-1);
    }

    /// Attaches a client whose frames are handed to JavaScript.
    #[napi(catch_unwind)]
    pub fn attach_handed(&mut self, message_pack: bool) -> Result<u32> {
        Ok(self.open()?.attach_handed(format(message_pack)))
    }

    /// Ends all of a client. Nothing once this is closed: then all have ended.
    #[napi(catch_unwind)]
    pub fn detach(&mut self, client: u32) {
        if let Some(delivery) = &mut self.delivery {
            delivery.detach(client);
        }
    }

    /// Sends whole frames.
    #[napi(catch_unwind)]
    pub fn send(&mut self, client: u32, frames: &[u8]) -> Result<()> {
        self.open()?.send(client, frames);
        Ok(())
    }

    /// Changes what a client wants: three numbers a change.
    #[napi(catch_unwind)]
    pub fn change(&mut self, client: u32, changes: &[i32]) -> Result<()> {
        let changes = changes.chunks_exact(CHANGE).map(|change| {
            let (topic, mode) = self.pair(change)?;
            Ok(Change { topic, mode, interval_ms: u32::try_from(change[2]).ok() })
        });
        let changes = changes.collect::<Result<Vec<_>>>()?;
        self.open()?.change(client, changes);
        Ok(())
    }

    /// Gathers what is said from now on, so that no tick comes in between.
    #[napi(catch_unwind)]
    pub fn gather(&mut self) -> Result<()> {
        self.open()?.gather();
        Ok(())
    }

    /// Passes on what was gathered.
    #[napi(catch_unwind)]
    pub fn release_gathered(&self) {
        if let Some(delivery) = &self.delivery {
            delivery.release_gathered();
        }
    }

    /// Ends all that a client wants.
    #[napi(catch_unwind)]
    pub fn release(&mut self, client: u32) {
        if let Some(delivery) = &self.delivery {
            delivery.release(client);
        }
    }

    /// Sends last values of what a client wants, two numbers each; of any age without `oldest_ms`.
    #[napi(catch_unwind)]
    pub fn send_snapshots(&mut self, client: u32, wanted: &[i32], oldest_ms: Option<f64>) -> Result<()> {
        let wanted = wanted.chunks_exact(PAIR).map(|pair| self.pair(pair)).collect::<Result<Vec<_>>>()?;
        self.open()?.send_snapshots(client, wanted, oldest_ms.map(|ms| (ms * 1e6) as u64));
        Ok(())
    }

    /// No new tick goes to the client. Returns the request that is fulfilled once nothing is left; 0 for an unknown
    /// client.
    #[napi(catch_unwind)]
    pub fn finish(&mut self, client: u32) -> Result<u32> {
        Ok(self.open()?.finish(client).unwrap_or(0))
    }

    /// Returns the request that is fulfilled once the system has taken all that was queued; 0 for an unknown client.
    #[napi(catch_unwind)]
    pub fn tell_when_flushed(&mut self, client: u32) -> Result<u32> {
        Ok(self.open()?.tell_when_flushed(client).unwrap_or(0))
    }

    /// Whether any thread runs.
    #[napi(catch_unwind)]
    pub fn is_running(&self) -> bool {
        self.delivery.as_ref().is_some_and(Delivery::is_running)
    }

    /// So many bytes of a client's frames were passed on.
    #[napi(catch_unwind)]
    pub fn acknowledge(&mut self, client: u32, bytes: u32) {
        if let Some(delivery) = &self.delivery {
            delivery.acknowledge(client, bytes as usize);
        }
    }

    /// Asks for the last value of a topic in the first of these modes that has one; 0 for an unknown topic.
    #[napi(catch_unwind)]
    pub fn ask_snapshot(&mut self, exchange: String, symbol: String, modes: Vec<u32>) -> Result<u32> {
        let modes = modes.into_iter().map(mode_of).collect::<Result<Vec<_>>>()?;
        let Ok(name) = TopicName::new(&exchange, &symbol) else { return Ok(0) };
        let delivery = self.open()?;
        let topic = delivery.topics().find(&name);
        Ok(topic.map_or(0, |topic| delivery.ask_snapshot(topic, modes)))
    }

    /// Bytes of a client that the system has not taken.
    #[napi(catch_unwind)]
    pub fn backlog(&self, client: u32) -> f64 {
        let delivery = self.delivery.as_ref();
        delivery
            .and_then(|delivery| delivery.figures_of(client))
            .map_or(0.0, |client| client.backlog() as f64)
    }

    /// The clients with the most untaken bytes, then the most conflated ticks, then the most ticks.
    #[napi(catch_unwind)]
    pub fn furthest_behind(&self, most: u32) -> Vec<NativeClientFigures> {
        let Some(delivery) = &self.delivery else { return Vec::new() };
        let clients = delivery.furthest_behind(most as usize);
        clients.into_iter().filter_map(|client| figures_of(delivery, client)).collect()
    }

    /// Takes all that has happened.
    #[napi(catch_unwind)]
    pub fn take_events(&mut self) -> Result<NativeDeliveryEvents> {
        let delivery::Events { fulfilled, failed, stuck, handed, answers, panics, .. } =
            self.open()?.take_events();
        let handed = handed.into_iter().map(|delivery::Handed { clients, frames }| NativeHanded {
            clients: clients.into(),
            frames: frames.to_vec().into(),
        });
        let snapshots = answers
            .into_iter()
            .map(|(query, frame)| NativeSnapshot { query, frame: frame.map(Buffer::from) });
        Ok(NativeDeliveryEvents {
            fulfilled,
            failed,
            stuck,
            handed: handed.collect(),
            snapshots: snapshots.collect(),
            panics,
        })
    }

    /// Figures of each thread.
    #[napi(catch_unwind)]
    pub fn threads(&mut self) -> Result<Vec<NativeThreadFigures>> {
        let delivery = self.open()?;
        let threads = delivery.names().zip(delivery.threads());
        Ok(threads.map(|(name, thread)| thread_figures(name, &thread)).collect())
    }

    /// Latencies of a thread, or of all together.
    #[napi(catch_unwind)]
    pub fn latencies(&mut self, thread: Option<u32>) -> Result<NativeLatencies> {
        let delivery = self.open()?;
        let latencies = match thread {
            Some(thread) if (thread as usize) < delivery.threads().len() => {
                delivery.latencies_of(thread as usize)
            }
            Some(thread) => return Err(argument(format!("there is no thread {thread}"))),
            None => delivery.latencies(),
        };
        Ok(latencies_of(&latencies))
    }

    /// Goes on with a newer segment.
    #[napi(catch_unwind)]
    pub fn reattach(&mut self, ring: &NativeRing) -> Result<()> {
        self.open()?.reattach(ring.ring()?).map_err(convert)
    }

    /// Makes a thread panic: for tests of what follows.
    #[napi(catch_unwind)]
    pub fn panic(&mut self, thread: u32) -> Result<()> {
        self.open()?.panic(thread as usize);
        Ok(())
    }

    /// Ends the threads.
    #[napi(catch_unwind)]
    pub fn close(&mut self) {
        self.delivery = None;
        self.held.clear();
    }

    fn pair(&self, numbers: &[i32]) -> Result<(Arc<Topic>, Mode)> {
        let topic = u32::try_from(numbers[0]).ok().and_then(|number| self.held.get(&number));
        let (topic, _) = topic.ok_or_else(|| argument(format!("topic {} is not held", numbers[0])))?;
        Ok((Arc::clone(topic), mode_of(u32::try_from(numbers[1]).unwrap_or_default())?))
    }

    fn open(&mut self) -> Result<&mut Delivery> {
        self.delivery.as_mut().ok_or_else(closed)
    }
}

const fn format(message_pack: bool) -> Format {
    if message_pack { Format::MessagePack } else { Format::Json }
}

fn mode_of(number: u32) -> Result<Mode> {
    let mode = u8::try_from(number).ok().and_then(Mode::from_u8);
    mode.ok_or_else(|| argument(format!("mode {number}: expected 1, 2 or 3")))
}

fn name_of(topic: &Topic) -> NativeTopic {
    NativeTopic { exchange: topic.exchange().to_owned(), symbol: topic.symbol().to_owned() }
}

fn figures_of(delivery: &Delivery, client: ClientId) -> Option<NativeClientFigures> {
    let (figures, thread) = delivery.figures_of(client).zip(delivery.thread_of(client))?;
    Some(NativeClientFigures {
        id: client,
        thread: thread as u32,
        sent: figures.sent() as f64,
        conflated: figures.conflated() as f64,
        backlog: figures.backlog() as f64,
        is_conflated: figures.is_conflated(),
    })
}

fn thread_figures(name: &str, thread: &delivery::ThreadState) -> NativeThreadFigures {
    let figures = thread.figures;
    NativeThreadFigures {
        name: name.to_owned(),
        clients: thread.clients as u32,
        received: figures.received as f64,
        lost: figures.lost as f64,
        corrupt: figures.corrupt as f64,
        lag: figures.lag as f64,
        dropped: figures.dropped as f64,
        batches: figures.batches as f64,
        sent: figures.sent as f64,
        conflated: figures.conflated as f64,
        conflated_clients: figures.conflated_clients as u32,
        audiences: figures.audiences as u32,
        restarts: figures.restarts as u32,
        is_running: thread.is_running,
    }
}

fn latencies_of(latencies: &Latencies) -> NativeLatencies {
    let percentiles = |all: &hdrhistogram::Histogram<u64>| NativePercentiles {
        count: all.len() as f64,
        p50: all.value_at_quantile(0.5) as f64,
        p99: all.value_at_quantile(0.99) as f64,
        p999: all.value_at_quantile(0.999) as f64,
        max: all.max() as f64,
    };
    NativeLatencies {
        read: percentiles(&latencies.read),
        delivery: percentiles(&latencies.delivery),
        bounds_ns: LATENCY_BOUNDS_NS.map(|bound| bound as f64).to_vec(),
        counts: latencies.buckets.counts.map(|count| count as f64).to_vec(),
        sum_ns: latencies.buckets.sum_ns as f64,
    }
}
