//! What the control plane tells a thread, in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openalgo_shm_frames::Topic;
use openalgo_shm_frames::encode::Format;
use openalgo_shm_ring::message::Mode;
use openalgo_shm_ring::{Consumer, Segment, Sleepers};

use crate::batch::Frame;
use crate::client::ClientFigures;
use crate::delivery::{ClientId, Request};
use crate::sink::Sink;
use crate::subscription::Change;

pub(crate) enum Command {
    Attach {
        id: ClientId,
        sink: Sink,
        format: Format,
        figures: Arc<ClientFigures>,
    },
    Detach(ClientId),
    /// Whole frames.
    Send {
        id: ClientId,
        bytes: Frame,
    },
    Change {
        id: ClientId,
        changes: Vec<Change>,
    },
    /// Ends all subscriptions.
    Release(ClientId),
    /// Last values of what it has subscribed to, not older than this.
    Snapshots {
        id: ClientId,
        wanted: Vec<(Arc<Topic>, Mode)>,
        oldest_ns: Option<u64>,
    },
    /// No new ticks; tell when nothing is left.
    Finish {
        id: ClientId,
        request: Request,
    },
    /// Tell when all bytes that wait now have been taken.
    TellWhenFlushed {
        id: ClientId,
        request: Request,
    },
    /// The control plane has passed on so many bytes.
    Acknowledge {
        id: ClientId,
        bytes: usize,
    },
    /// The last value of a topic in the first of these modes that has one.
    Ask {
        query: u32,
        topic: Arc<Topic>,
        modes: Vec<Mode>,
    },
    /// Go on with a newer segment.
    Reattach(Box<Consumer>),
    /// Commands between which no tick may come.
    Group(Vec<Self>),
    /// For tests of what follows a panic.
    Panic,
}

/// The queue of a thread's commands. The lock is held for as long as it takes to move a command.
pub(crate) struct Inbox {
    commands: Mutex<VecDeque<Command>>,
    /// Whether there are commands, without the lock.
    is_filled: AtomicBool,
    is_stopped: AtomicBool,
    /// Where the thread sleeps.
    sleepers: Mutex<Sleepers>,
}

impl Inbox {
    pub fn new(segment: &Segment) -> Self {
        Self {
            commands: Mutex::default(),
            is_filled: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            sleepers: Mutex::new(Sleepers::of(segment)),
        }
    }

    pub fn push(&self, command: Command) {
        {
            let mut commands = lock(&self.commands);
            commands.push_back(command);
            // Relaxed, as below: the lock orders the commands, and `wake` the flag before the look at the sleepers.
            self.is_filled.store(true, Ordering::Relaxed);
        }
        self.wake();
    }

    pub fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        self.wake();
    }

    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Whether there is anything for the thread to do but ticks.
    pub fn is_filled(&self) -> bool {
        self.is_filled.load(Ordering::Relaxed) || self.is_stopped()
    }

    /// The thread sleeps on another segment from now on.
    pub fn sleep_on(&self, segment: &Segment) {
        // It still sleeps on the old one.
        self.wake();
        *lock(&self.sleepers) = Sleepers::of(segment);
    }

    pub fn take(&self) -> Option<Command> {
        if !self.is_filled.load(Ordering::Relaxed) {
            return None;
        }
        let mut commands = lock(&self.commands);
        let command = commands.pop_front();
        self.is_filled.store(!commands.is_empty(), Ordering::Relaxed);
        command
    }

    fn wake(&self) {
        lock(&self.sleepers).wake();
    }
}

/// What the lock guards is whole after every step, so a panic elsewhere does not matter.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
