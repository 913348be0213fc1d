//! A thread: it takes turns until it is stopped, and is started anew when it has panicked.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openalgo_shm_frames::TopicTable;
use openalgo_shm_ring::{Consumer, ConsumerOptions, Error, ErrorCode, LockFreeRingBuffer, Result};

use crate::commands::{Inbox, lock};
use crate::engine::Engine;
use crate::events::Outbox;
use crate::figures::{SharedFigures, ThreadFigures};
use crate::latency::Latencies;
use crate::options::DeliveryOptions;

/// A thread is started again at once, and one that has panicked again sooner than this after a wait.
const LONG_LIFE: Duration = Duration::from_secs(10);
/// The wait before the second start; twice as long before each further one.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LAST_DELAY: Duration = Duration::from_secs(5);

/// What a thread shares with the control plane.
pub(crate) struct Shared {
    /// From 0.
    pub number: usize,
    /// Name of its consumers.
    pub name: String,
    pub options: DeliveryOptions,
    pub table: TopicTable,
    pub inbox: Inbox,
    pub outbox: Arc<Outbox>,
    pub figures: SharedFigures,
    pub latencies: Mutex<Latencies>,
    /// Where it reads, for the case that it has to begin anew.
    pub ring: Mutex<LockFreeRingBuffer>,
    /// False from a panic until it was started again. For monitors, so every access is relaxed.
    pub is_running: AtomicBool,
}

impl Shared {
    /// A consumer of the ring for this thread.
    pub fn consumer(
        &self,
        ring: &LockFreeRingBuffer,
        options: impl Fn(ConsumerOptions) -> ConsumerOptions,
    ) -> Result<Consumer> {
        ring.consumer(options(ConsumerOptions::new(self.name.clone())))
    }
}

/// Starts a thread.
///
/// # Errors
/// `ERR_SHM_SYSTEM` when the system has no thread or descriptor left.
pub(crate) fn spawn(shared: &Arc<Shared>, consumer: Consumer) -> Result<JoinHandle<()>> {
    let engine = engine(shared, consumer)?;
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name(format!("delivery-{}", shared.number + 1))
        .spawn(move || run(&shared, engine))
        .map_err(|error| Error::new(ErrorCode::ShmSystem, format!("no thread for delivery: {error}")))
}

fn engine(shared: &Arc<Shared>, consumer: Consumer) -> Result<Engine> {
    Engine::new(Arc::clone(shared), consumer, shared.table.clone()).map_err(|error| {
        Error::new(ErrorCode::ShmSystem, format!("delivery cannot wait for sockets: {error}"))
    })
}

fn run(shared: &Arc<Shared>, mut engine: Engine) {
    let mut delay = Duration::ZERO;
    loop {
        let start = Instant::now();
        // The engine is dropped after a panic, whatever state it is in.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            while !shared.inbox.is_stopped() {
                engine.turn();
            }
        }));
        let Err(panic) = outcome else { return };
        shared.is_running.store(false, Ordering::Relaxed);
        // Its duplicates of the clients' sockets close, and its place in the ring becomes free. JavaScript ends the
        // connections.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(engine)));
        let figures = shared.figures.read().counted();
        shared.figures.show(figures.plus(ThreadFigures { restarts: 1, ..ThreadFigures::default() }));
        shared.outbox.add(|events| {
            events.restarted.push(shared.number);
            events.panics.push(message_of(panic.as_ref()));
        });
        delay = if start.elapsed() >= LONG_LIFE { Duration::ZERO } else { delay };
        match begin_anew(shared, &mut delay) {
            Some(anew) => {
                engine = anew;
                shared.is_running.store(true, Ordering::Relaxed);
            }
            None => return,
        }
    }
}

/// Another engine as soon as the ring has a place for it. `None` once the thread is to end.
fn begin_anew(shared: &Arc<Shared>, delay: &mut Duration) -> Option<Engine> {
    loop {
        sleep(shared, *delay);
        *delay = (2 * *delay).clamp(FIRST_DELAY, LAST_DELAY);
        if shared.inbox.is_stopped() {
            return None;
        }
        // A panic here is one more failure.
        let made = catch_unwind(AssertUnwindSafe(|| {
            let ring = lock(&shared.ring).clone();
            let consumer = shared.consumer(&ring, |options| options)?;
            Ok::<_, Error>(engine(shared, consumer)?.following(shared.figures.read()))
        }));
        if let Ok(Ok(engine)) = made {
            return Some(engine);
        }
    }
}

fn sleep(shared: &Shared, time: Duration) {
    const STEP: Duration = Duration::from_millis(10);
    let start = Instant::now();
    while start.elapsed() < time && !shared.inbox.is_stopped() {
        std::thread::sleep(STEP.min(time));
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panicked".to_owned())
}
