//! What the threads tell the control plane, all that has gathered at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::batch::Frame;
use crate::commands::lock;
use crate::delivery::{ClientId, Request};

/// Frames for clients that the thread cannot write to.
#[derive(Debug, PartialEq, Eq)]
pub struct Handed {
    /// Those that get them.
    pub clients: Vec<ClientId>,
    /// Whole frames.
    pub frames: Frame,
}

/// All that has happened since it was asked the last time.
#[derive(Debug, Default)]
pub struct Events {
    /// Requests that are fulfilled: what was there has been taken, or the client is gone.
    pub fulfilled: Vec<Request>,
    /// Clients whose connection has failed, or whose thread has.
    pub failed: Vec<ClientId>,
    /// Clients that have taken nothing for the timeout, each once.
    pub stuck: Vec<ClientId>,
    /// In the order in which the frames are to be sent.
    pub handed: Vec<Handed>,
    /// Last values that were asked for: a whole frame, or `None` where there is no tick.
    pub answers: Vec<(u32, Option<Vec<u8>>)>,
    /// What the threads that panicked had to say. Their clients are among the failed ones.
    pub panics: Vec<String>,
    pub(crate) restarted: Vec<usize>,
}

/// Gathers events, and calls once for any number of them.
pub(crate) struct Outbox {
    events: Mutex<Events>,
    is_called: AtomicBool,
    call: Box<dyn Fn() + Send + Sync>,
}

impl Outbox {
    pub fn new(call: impl Fn() + Send + Sync + 'static) -> Self {
        Self { events: Mutex::default(), is_called: AtomicBool::new(false), call: Box::new(call) }
    }

    /// Adds events, and calls unless a call is on its way.
    pub fn add(&self, add: impl FnOnce(&mut Events)) {
        add(&mut self.lock());
        // AcqRel, pairs with the store in `take`: a call that is on its way sees what was added before.
        if !self.is_called.swap(true, Ordering::AcqRel) {
            (self.call)();
        }
    }

    pub fn take(&self) -> Events {
        // Before the events are taken: what is added later calls again.
        self.is_called.store(false, Ordering::Release);
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        lock(&self.events)
    }
}
