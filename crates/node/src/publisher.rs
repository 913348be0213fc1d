//! A lane for JavaScript: it writes ticks into a buffer that both sides share and makes one call.

use std::cell::RefCell;
use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::{Float64Array, Function};
use napi_derive::napi;
use openalgo_shm_core::Producer;
use openalgo_shm_core::extent::Extent;
use openalgo_shm_core::layout::Kind;
use openalgo_shm_core::message::extent_of;

use crate::bare;
use crate::error::{Result, argument, closed, convert};
use crate::ring::NativeRing;

struct State {
    producer: Option<Producer>,
    scratch: Float64Array,
    slot_words: usize,
    ticks: bool,
}

/// The owner of a lane.
#[napi]
pub struct NativePublisher {
    state: Rc<RefCell<State>>,
}

#[napi]
impl NativePublisher {
    /// Takes a lane. `scratch` holds whole slots (stride / 8 numbers each); both sides keep it.
    #[napi(constructor, catch_unwind)]
    pub fn new(ring: &NativeRing, name: String, scratch: Float64Array) -> Result<Self> {
        let producer = ring.ring()?.producer(&name).map_err(convert)?;
        let layout = *producer.ring().layout();
        if scratch.len() < layout.slot_words() {
            return Err(argument(format!(
                "scratch has {} numbers, a slot {}",
                scratch.len(),
                layout.slot_words()
            )));
        }
        Ok(Self {
            state: Rc::new(RefCell::new(State {
                producer: Some(producer),
                scratch,
                slot_words: layout.slot_words(),
                ticks: layout.kind == Kind::Ticks,
            })),
        })
    }

    /// A function that publishes the first `n` slots of the scratch (1 without argument) and returns how many a full lossless ring took.
    #[napi(catch_unwind, ts_return_type = "(count?: number) => number")]
    pub fn commit<'env>(&self, env: &'env Env) -> Result<Function<'env, u32, u32>> {
        bare::function(env, &self.state, commit)
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

fn commit(state: &mut State, count: u32) -> Result<u32> {
    let State { producer, scratch, slot_words, ticks } = state;
    let producer = producer.as_mut().ok_or_else(closed)?;
    let words = bare::words(scratch);
    if count <= 1 {
        let slot = &mut words[..*slot_words];
        prepare(slot, *ticks);
        return producer.publish(slot).map(u32::from).map_err(convert);
    }
    let slots = count as usize * *slot_words;
    if slots > words.len() {
        return Err(argument(format!("{count} messages do not fit the scratch buffer")));
    }
    words[..slots].chunks_exact_mut(*slot_words).for_each(|slot| prepare(slot, *ticks));
    let slots = words[..slots].chunks_exact(*slot_words);
    producer.publish_batch(slots).map(|published| published as u32).map_err(convert)
}

/// Fills in the words that JavaScript leaves to us: what is in use. Other kinds than ticks give their
/// length in words as a plain number in word 1.
#[inline]
fn prepare(slot: &mut [u64], ticks: bool) {
    slot[1] = if ticks {
        extent_of(slot[3]).to_word()
    } else {
        Extent::prefix(f64::from_bits(slot[1]) as usize).to_word()
    };
}
