//! A consumer for JavaScript: batches are copied into a buffer that both sides share.

use std::cell::RefCell;
use std::rc::Rc;

use napi::Env;
use napi::bindgen_prelude::{Float64Array, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use openalgo_shm_core::monitor::PublisherNames;
use openalgo_shm_core::{Consumer, ConsumerOptions, Doorbell, LockFreeRingBuffer, Start};

use crate::bare;
use crate::error::{Result, closed, convert, native};
use crate::ring::{NativeRing, strategy};

struct State {
    consumer: Option<Consumer>,
    doorbell: Option<Doorbell>,
    buffer: Float64Array,
    names: PublisherNames,
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
    /// Joins the ring. `buffer` holds whole slots; a poll never reads more than fit. Without `register`
    /// it registers if it can.
    #[napi(constructor, catch_unwind)]
    pub fn new(
        ring: &NativeRing,
        name: String,
        oldest: bool,
        register: Option<bool>,
        buffer: Float64Array,
    ) -> Result<Self> {
        let consumer = ring.ring()?.consumer(options(name, oldest, register)).map_err(convert)?;
        let state =
            State { consumer: Some(consumer), doorbell: None, buffer, names: PublisherNames::default() };
        Ok(Self { state: Rc::new(RefCell::new(state)) })
    }

    /// A function that reads up to `max` messages into the buffer and returns how many.
    #[napi(catch_unwind, ts_return_type = "(max: number) => number")]
    pub fn poll_into<'env>(&self, env: &'env Env) -> Result<Function<'env, u32, u32>> {
        bare::function(env, &self.state, poll_into)
    }

    /// Calls back on the event loop once there is something to read; silent until `arm` is called again.
    #[napi(catch_unwind)]
    pub fn on_ready(&self, wait: String, callback: Function<'_, (), ()>) -> Result<()> {
        let mut state = self.state.borrow_mut();
        let consumer = state.consumer.as_ref().ok_or_else(closed)?;
        let doorbell = doorbell(consumer.ring(), &wait, callback)?;
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
        let publisher = state.names.of(consumer.ring(), lane as usize);
        Ok(state.names.name(publisher).to_owned())
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> Result<NativeSubscriberStats> {
        let state = self.state.borrow();
        Ok(stats(state.consumer.as_ref().ok_or_else(closed)?))
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

fn poll_into(state: &mut State, max: u32) -> Result<u32> {
    let consumer = state.consumer.as_mut().ok_or_else(closed)?;
    Ok(consumer.poll_into(bare::words(&mut state.buffer), max as usize) as u32)
}

pub fn options(name: String, oldest: bool, register: Option<bool>) -> ConsumerOptions {
    let options = ConsumerOptions::new(name).from(if oldest { Start::Oldest } else { Start::Newest });
    match register {
        Some(register) => options.register(register),
        None => options,
    }
}

pub fn stats(consumer: &Consumer) -> NativeSubscriberStats {
    NativeSubscriberStats {
        messages_received: consumer.received() as f64,
        messages_lost: consumer.lost() as f64,
        messages_corrupt: consumer.corrupt() as f64,
        lag: consumer.lag() as f64,
        registered: consumer.is_registered(),
    }
}

/// A doorbell that calls a JavaScript function on its event loop, with at most one call on its way.
pub fn doorbell(ring: &LockFreeRingBuffer, wait: &str, callback: Function<'_, (), ()>) -> Result<Doorbell> {
    let bell = callback.build_threadsafe_function().max_queue_size::<1>().build().map_err(native)?;
    Doorbell::new(ring, strategy(wait)?, move || {
        bell.call((), ThreadsafeFunctionCallMode::NonBlocking);
    })
    .map_err(convert)
}
