//! A thread that waits for messages on behalf of a caller that cannot block, such as an event loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::consumer::{Consumer, Suspicion, wait_beyond};
use crate::error::{Error, ErrorCode, Result};
use crate::segment::Segment;
use crate::wait::{WaitStrategy, wake};

/// Rings once for any number of messages: armed with a consumer's position, it rings as soon as there is
/// something beyond it, and is silent until it is armed again. So at most one ring is ever on its way.
pub struct Doorbell {
    segment: Segment,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    closed: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    armed: bool,
    position: Vec<u64>,
    suspicion: Suspicion,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doorbell {
    /// Starts the thread; `ring_bell` is called on it.
    ///
    /// # Errors
    /// `ERR_SHM_SYSTEM` when no thread can be started.
    pub fn new(
        segment: &Segment,
        strategy: WaitStrategy,
        ring_bell: impl Fn() + Send + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            closed: AtomicBool::new(false),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let thread = std::thread::Builder::new()
            .name("ring-doorbell".into())
            .spawn({
                let (segment, shared) = (segment.clone(), Arc::clone(&shared));
                move || run(&segment, &shared, strategy, &ring_bell)
            })
            .map_err(|error| {
                Error::new(ErrorCode::ShmSystem, format!("no thread for the doorbell: {error}"))
            })?;
        Ok(Self { segment: segment.clone(), shared, thread: Some(thread) })
    }

    /// Rings once when there is something beyond the consumer's position, at once if there is already.
    pub fn arm(&self, consumer: &Consumer) {
        let mut state = self.shared.lock();
        state.position.clear();
        state.position.extend(consumer.line_positions());
        state.suspicion = consumer.suspicion().clone();
        state.armed = true;
        self.shared.changed.notify_one();
    }
}

fn run(segment: &Segment, shared: &Shared, strategy: WaitStrategy, ring_bell: &dyn Fn()) {
    // Relaxed: a flag alone; the mutex and the futex order what else matters.
    let closed = || shared.closed.load(Ordering::Relaxed);
    let mut position = Vec::new();
    while !closed() {
        let mut state = shared.lock();
        while !state.armed && !closed() {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.armed = false;
        std::mem::swap(&mut position, &mut state.position);
        let suspicion = state.suspicion.clone();
        drop(state);
        wait_beyond(segment, &position, &suspicion, strategy, Duration::MAX, closed);
        if !closed() {
            ring_bell();
        }
    }
}

impl Drop for Doorbell {
    fn drop(&mut self) {
        {
            let _state = self.shared.lock();
            self.shared.closed.store(true, Ordering::Relaxed);
        }
        self.shared.changed.notify_one();
        wake(self.segment.futex());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
