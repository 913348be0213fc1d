//! A consumer for JavaScript: batches are copied into a buffer that both sides share.

use std::cell::RefCell;
use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::{Float64Array, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use openalgo_shm_ring::layout::Kind;
use openalgo_shm_ring::message::{Head, LINE_WORDS};
use openalgo_shm_ring::stats::PublisherNames;
use openalgo_shm_ring::{Consumer, ConsumerOptions, Doorbell, MessageCounts, Segment, Start};

use crate::bare;
use crate::error::{Result, argument, closed, convert, native};
use crate::ring::{NativeRing, strategy};

/// Lane and number of words, before the words of a message that is no tick.
const WORDS_BEFORE: usize = 2;

struct State {
    consumer: Option<Consumer>,
    doorbell: Option<Doorbell>,
    buffer: Float64Array,
    /// Most messages of a poll.
    messages: usize,
    names: PublisherNames,
}

/// Exchange and symbol.
#[napi(object)]
pub struct NativeTopic {
    pub exchange: String,
    pub symbol: String,
}

#[napi(object)]
pub struct NativeSubscriberStats {
    pub messages_received: f64,
    pub messages_lost: f64,
    pub messages_corrupt: f64,
    pub lag: f64,
    pub registered: bool,
}

/// A consumer of a ring.
#[napi]
pub struct NativeSubscriber {
    state: Rc<RefCell<State>>,
}

#[napi]
impl NativeSubscriber {
    /// Joins the ring. A poll reads at most `messages` messages into `buffer`. On a ring of ticks it holds
    /// their heads, eight numbers each, and behind those of all messages what is not in the heads. On the
    /// others it has `messages` equal parts: lane, number of words, words. Without `register` it registers if
    /// it can.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        ring: &NativeRing,
        name: String,
        oldest: bool,
        register: Option<bool>,
        messages: u32,
        buffer: Float64Array,
    ) -> Result<Self> {
        let consumer = ring.ring()?.consumer(options(name, oldest, register)).map_err(convert)?;
        let messages = messages as usize;
        let layout = consumer.segment().layout();
        let needed = match layout.kind {
            Kind::Ticks => messages * LINE_WORDS + layout.longest_rest(),
            _ => messages * WORDS_BEFORE,
        };
        if messages == 0 || buffer.len() < needed {
            return Err(argument(format!("buffer has {} numbers, needed are {needed}", buffer.len())));
        }
        let names = PublisherNames::default();
        let state = State { consumer: Some(consumer), doorbell: None, buffer, messages, names };
        Ok(Self { state: Rc::new(RefCell::new(state)) })
    }

    /// A function that reads up to `max` messages into the buffer and returns how many.
    #[napi(catch_unwind, ts_return_type = "(max: number) => number")]
    pub fn poll_into<'env>(&self, env: &'env Env) -> Result<Function<'env, u32, u32>> {
        let ticks = match &self.state.borrow().consumer {
            Some(consumer) => consumer.segment().layout().kind == Kind::Ticks,
            None => return Err(closed()),
        };
        bare::function(env, &self.state, if ticks { poll_ticks } else { poll_words })
    }

    /// Calls back on the event loop once there is something to read; silent until `arm` is called again.
    #[napi(catch_unwind)]
    pub fn on_ready(&self, wait: String, callback: Function<'_, (), ()>) -> Result<()> {
        let mut state = self.state.borrow_mut();
        let consumer = state.consumer.as_ref().ok_or_else(closed)?;
        let doorbell = doorbell(consumer.segment(), &wait, callback)?;
        doorbell.arm(consumer);
        state.doorbell = Some(doorbell);
        Ok(())
    }

    /// Rings again as soon as there is something to read.
    #[napi(catch_unwind)]
    pub fn arm(&self) -> Result<()> {
        let state = self.state.borrow();
        if let (Some(doorbell), Some(consumer)) = (&state.doorbell, &state.consumer) {
            doorbell.arm(consumer);
        }
        Ok(())
    }

    /// Stops ringing.
    #[napi(catch_unwind)]
    pub fn silence(&self) {
        let doorbell = self.state.borrow_mut().doorbell.take();
        drop(doorbell);
    }

    /// Name of a lane's publisher.
    #[napi(catch_unwind)]
    pub fn publisher_of(&self, lane: u32) -> Result<String> {
        let state = &mut *self.state.borrow_mut();
        let consumer = state.consumer.as_ref().ok_or_else(closed)?;
        let publisher = state.names.of(consumer.segment(), lane as usize);
        Ok(state.names.name(publisher).to_owned())
    }

    /// The name behind a topic's number in a lane.
    #[napi(catch_unwind)]
    pub fn topic_name(&self, lane: u32, topic: u32) -> Result<Option<NativeTopic>> {
        let state = self.state.borrow();
        let consumer = state.consumer.as_ref().ok_or_else(closed)?;
        let name = consumer.topic_name(lane as usize, topic);
        Ok(name.map(|name| NativeTopic { exchange: name.exchange(), symbol: name.symbol() }))
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> Result<NativeSubscriberStats> {
        let state = self.state.borrow();
        let consumer = state.consumer.as_ref().ok_or_else(closed)?;
        Ok(stats(consumer, consumer.counts()))
    }

    /// Leaves the ring.
    #[napi(catch_unwind)]
    pub fn close(&self) {
        let mut state = self.state.borrow_mut();
        let (doorbell, consumer) = (state.doorbell.take(), state.consumer.take());
        drop(state);
        drop((doorbell, consumer));
    }
}

fn poll_ticks(state: &mut State, max: u32) -> Result<Option<u32>> {
    let consumer = state.consumer.as_mut().ok_or_else(closed)?;
    let (heads, rest) = bare::words(&mut state.buffer).split_at_mut(state.messages * LINE_WORDS);
    let (heads, _): (&mut [Head], _) = heads.as_chunks_mut();
    let max = (max as usize).min(heads.len());
    Ok(Some(consumer.poll_into(&mut heads[..max], rest) as u32))
}

fn poll_words(state: &mut State, max: u32) -> Result<Option<u32>> {
    let consumer = state.consumer.as_mut().ok_or_else(closed)?;
    let words = bare::words(&mut state.buffer);
    let stride = words.len() / state.messages;
    let mut parts = words.chunks_exact_mut(stride);
    let read = consumer.poll_words((max as usize).min(state.messages), |record| {
        let Some(part) = parts.next() else { return };
        part[0] = (record.lane() as f64).to_bits();
        part[1] = (record.len().min(stride - WORDS_BEFORE) as f64).to_bits();
        for (word, value) in part[WORDS_BEFORE..].iter_mut().zip(record.words()) {
            *word = value;
        }
    });
    Ok(Some(read as u32))
}

pub fn options(name: String, oldest: bool, register: Option<bool>) -> ConsumerOptions {
    let options = ConsumerOptions::new(name).from(if oldest { Start::Oldest } else { Start::Newest });
    match register {
        Some(register) => options.register(register),
        None => options,
    }
}

/// `counts` may be those of former segments, too.
pub fn stats(consumer: &Consumer, counts: MessageCounts) -> NativeSubscriberStats {
    NativeSubscriberStats {
        messages_received: counts.received as f64,
        messages_lost: counts.lost as f64,
        messages_corrupt: counts.corrupt as f64,
        lag: consumer.lag() as f64,
        registered: consumer.is_registered(),
    }
}

/// A doorbell that calls a JavaScript function on its event loop, with at most one call on its way.
pub fn doorbell(segment: &Segment, wait: &str, callback: Function<'_, (), ()>) -> Result<Doorbell> {
    let bell = callback.build_threadsafe_function().max_queue_size::<1>().build().map_err(native)?;
    Doorbell::new(segment, strategy(wait)?, move || {
        bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
    })
    .map_err(convert)
}
