//! A lane for JavaScript: it writes messages into a buffer that both sides share and makes one call.

use std::cell::RefCell;
use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::{Float64Array, Function};
use napi_derive::napi;
use openalgo_shm_ring::Producer;
use openalgo_shm_ring::layout::Kind;
use openalgo_shm_ring::message::TopicNumber;

use crate::bare;
use crate::error::{Result, argument, closed, convert};
use crate::ring::NativeRing;

struct State {
    producer: Option<Producer>,
    scratch: Float64Array,
    /// Numbers of the scratch from one message to the next.
    stride: usize,
}

/// The owner of a lane.
#[napi]
pub struct NativePublisher {
    state: Rc<RefCell<State>>,
}

#[napi]
impl NativePublisher {
    /// Takes a lane. `scratch` holds a message every `stride` numbers; both sides keep it. On a ring of ticks a
    /// message is a tick's image with its topic's number in the low half of word 1; on the others it is the
    /// number of its words, then the words.
    #[napi(constructor, catch_unwind)]
    pub fn new(ring: &NativeRing, name: String, scratch: Float64Array, stride: u32) -> Result<Self> {
        let producer = ring.ring()?.producer(&name).map_err(convert)?;
        let stride = stride as usize;
        if stride == 0 || scratch.len() < stride {
            return Err(argument(format!("scratch has {} numbers, a message {stride}", scratch.len())));
        }
        let state = State { producer: Some(producer), scratch, stride };
        Ok(Self { state: Rc::new(RefCell::new(state)) })
    }

    /// A function that publishes the first `n` messages of the scratch (1 without argument). Returns how many a
    /// full lossless ring took; nothing if all were published.
    #[napi(catch_unwind, ts_return_type = "(count?: number) => number | undefined")]
    pub fn commit<'env>(&self, env: &'env Env) -> Result<Function<'env, u32, u32>> {
        let ticks = match &self.state.borrow().producer {
            Some(producer) => producer.segment().layout().kind == Kind::Ticks,
            None => return Err(closed()),
        };
        bare::function(env, &self.state, if ticks { commit_ticks } else { commit_words })
    }

    /// The number of a topic in the lane's table, where it is written if it is new.
    #[napi(catch_unwind)]
    pub fn topic(&self, exchange: String, symbol: String) -> Result<u32> {
        let mut state = self.state.borrow_mut();
        let producer = state.producer.as_mut().ok_or_else(closed)?;
        producer.topic(&exchange, &symbol).map(TopicNumber::get).map_err(convert)
    }

    #[napi(getter)]
    pub fn lane(&self) -> Result<u32> {
        self.state.borrow().producer.as_ref().map(|producer| producer.lane() as u32).ok_or_else(closed)
    }

    /// Gives the lane back.
    #[napi]
    pub fn close(&self) {
        self.state.borrow_mut().producer = None;
    }
}

fn commit_ticks(state: &mut State, count: u32) -> Result<Option<u32>> {
    let State { producer, scratch, stride } = state;
    let producer = producer.as_mut().ok_or_else(closed)?;
    let words = bare::words(scratch);
    let topic = |image: &[u64]| TopicNumber::new(image[1] as u32);
    if count <= 1 {
        let image = &words[..*stride];
        return producer
            .publish_to(topic(image), image)
            .map(|all| if all { None } else { Some(0) })
            .map_err(convert);
    }
    let images = messages(words, *stride, count)?.map(|image| (topic(image), image));
    producer.publish_batch_to(images).map(|published| refused(published, count)).map_err(convert)
}

fn commit_words(state: &mut State, count: u32) -> Result<Option<u32>> {
    let State { producer, scratch, stride } = state;
    let producer = producer.as_mut().ok_or_else(closed)?;
    let count = count.max(1);
    let messages = messages(bare::words(scratch), *stride, count)?.map(|message| {
        let length = f64::from_bits(message[0]) as usize;
        &message[1..][..length.min(message.len() - 1)]
    });
    producer.publish_batch(messages).map(|published| refused(published, count)).map_err(convert)
}

/// How many were published, if not all.
fn refused(published: usize, count: u32) -> Option<u32> {
    let published = published as u32;
    (published < count).then_some(published)
}

fn messages(words: &[u64], stride: usize, count: u32) -> Result<impl Iterator<Item = &[u64]>> {
    match words.get(..stride * count as usize) {
        Some(words) => Ok(words.chunks_exact(stride)),
        None => Err(argument(format!("{count} messages do not fit the scratch buffer"))),
    }
}
