//! The control plane's handle on delivery.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use foldhash::fast::RandomState;
use openalgo_shm_frames::encode::Format;
use openalgo_shm_frames::{Topic, TopicTable};
use openalgo_shm_ring::message::Mode;
use openalgo_shm_ring::{ConsumerOptions, Error, ErrorCode, LockFreeRingBuffer, Result, Start};

use crate::client::ClientFigures;
use crate::commands::{Command, Inbox, lock};
use crate::events::{Events, Outbox};
use crate::figures::{SharedFigures, ThreadFigures};
use crate::latency::Latencies;
use crate::options::DeliveryOptions;
use crate::sink::Sink;
use crate::subscription::Change;
use crate::thread::{Shared, spawn};

/// The thread that is asked for last values: all have the same, but one that was started again.
const ASKED: usize = 0;

/// Number of a client, never given twice.
pub type ClientId = u32;

/// Number of something that was asked for and comes as an event.
pub type Request = u32;

/// Delivers a ring's ticks to clients, in threads of its own.
///
/// Every method returns after a push to a queue: none waits for a thread, and none for a socket.
pub struct Delivery {
    threads: Vec<Thread>,
    table: TopicTable,
    outbox: Arc<Outbox>,
    clients: HashMap<ClientId, Attached, RandomState>,
    /// Commands that are gathered, by thread; `None` while each goes at once.
    gathered: RefCell<Option<Vec<Vec<Command>>>>,
    last_client: ClientId,
    last_request: Request,
    /// Last values that were asked for and have not come.
    pending_queries: HashSet<Request, RandomState>,
}

struct Thread {
    shared: Arc<Shared>,
    handle: Option<JoinHandle<()>>,
    clients: usize,
}

struct Attached {
    thread: usize,
    figures: Arc<ClientFigures>,
}

/// A thread as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadState {
    /// What it has done.
    pub figures: ThreadFigures,
    /// Clients that it serves.
    pub clients: usize,
    /// False from a panic until it was started again.
    pub is_running: bool,
}

impl Delivery {
    /// Starts the threads, each a consumer of the ring. `call` is called, on any of them, once for any number of
    /// events that [`take_events`](Self::take_events) gives.
    ///
    /// # Errors
    /// `ERR_INVALID_OPTION` without a thread, `ERR_NO_FREE_CONSUMER`, `ERR_INVALID_SYMBOL` for the name,
    /// `ERR_SHM_SYSTEM`.
    pub fn new(
        ring: &LockFreeRingBuffer,
        options: &DeliveryOptions,
        call: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self> {
        if options.threads == 0 {
            return Err(Error::new(ErrorCode::InvalidOption, "threads is 0: expected 1 or more".to_owned()));
        }
        let (table, outbox) = (TopicTable::default(), Arc::new(Outbox::new(call)));
        let shared: Vec<Arc<Shared>> = (0..options.threads)
            .map(|number| {
                let name = match options.threads {
                    1 => options.name.clone(),
                    _ => format!("{}-{}", options.name, number + 1),
                };
                Arc::new(Shared {
                    number,
                    name,
                    options: options.clone(),
                    table: table.clone(),
                    inbox: Inbox::new(ring.segment()),
                    outbox: Arc::clone(&outbox),
                    figures: SharedFigures::default(),
                    latencies: Mutex::default(),
                    ring: Mutex::new(ring.clone()),
                    is_running: AtomicBool::new(true),
                })
            })
            .collect();
        // All consumers before the first thread: if there is no room for one, none has begun.
        let consumers = shared.iter().map(|shared| shared.consumer(ring, |options| options));
        let consumers = consumers.collect::<Result<Vec<_>>>()?;
        let mut delivery = Self {
            threads: Vec::new(),
            table,
            outbox,
            clients: HashMap::default(),
            gathered: RefCell::new(None),
            last_client: 0,
            last_request: 0,
            pending_queries: HashSet::default(),
        };
        for (shared, consumer) in shared.into_iter().zip(consumers) {
            let handle = Some(spawn(&shared, consumer)?);
            delivery.threads.push(Thread { shared, handle, clients: 0 });
        }
        Ok(delivery)
    }

    /// The topics that have ticked or are wanted.
    pub const fn topics(&self) -> &TopicTable {
        &self.table
    }

    /// Attaches a client whose bytes all go to this socket from now on, through a descriptor of our own. Nothing else
    /// may write to it.
    ///
    /// # Errors
    /// Of the system, for a number that is no open socket, or when there are no descriptors left.
    #[cfg(unix)]
    pub fn attach(&mut self, descriptor: std::os::fd::RawFd, format: Format) -> std::io::Result<ClientId> {
        let socket = crate::sink::Socket::duplicate(descriptor)?;
        Ok(self.add(Sink::Socket(socket), format))
    }

    /// Attaches a client whose frames come as [`Events::handed`]: what was passed on of them is to be acknowledged.
    pub fn attach_handed(&mut self, format: Format) -> ClientId {
        self.add(Sink::Handed { in_flight: 0 }, format)
    }

    fn add(&mut self, sink: Sink, format: Format) -> ClientId {
        // One that has failed and does not run again yet is the last choice.
        let rank = |thread: &Thread| (!thread.shared.is_running.load(Ordering::Relaxed), thread.clients);
        let least = self.threads.iter().enumerate().min_by_key(|(_, thread)| rank(thread));
        let thread = least.map_or(0, |(number, _)| number);
        self.last_client += 1;
        let (id, figures) = (self.last_client, Arc::<ClientFigures>::default());
        self.threads[thread].clients += 1;
        self.push_to(thread, Command::Attach { id, sink, format, figures: Arc::clone(&figures) });
        self.clients.insert(id, Attached { thread, figures });
        id
    }

    /// Ends all that a client wants; its descriptor is closed, and nothing more is said of it.
    pub fn detach(&mut self, id: ClientId) {
        let Some(Attached { thread, .. }) = self.clients.remove(&id) else { return };
        self.threads[thread].clients -= 1;
        self.push_to(thread, Command::Detach(id));
    }

    /// Sends whole frames, behind all that is on its way. After a close frame nothing else goes out. For a client that
    /// was attached with a socket.
    pub fn send(&self, id: ClientId, frames: &[u8]) {
        let Some(Attached { thread, figures }) = self.clients.get(&id) else { return };
        figures.queued.fetch_add(frames.len(), Ordering::Relaxed);
        self.push_to(*thread, Command::Send { id, bytes: frames.into() });
    }

    /// Changes what a client wants.
    pub fn change(&self, id: ClientId, changes: Vec<Change>) {
        self.push(id, Command::Change { id, changes });
    }

    /// Ends all that a client wants.
    pub fn release(&self, id: ClientId) {
        self.push(id, Command::Release(id));
    }

    /// Sends the last values of what a client has subscribed to: of topics, and of wildcards those of all topics that
    /// match. Values older than `oldest_ns` are left out.
    pub fn send_snapshots(&self, id: ClientId, wanted: Vec<(Arc<Topic>, Mode)>, oldest_ns: Option<u64>) {
        self.push(id, Command::Snapshots { id, wanted, oldest_ns });
    }

    /// No tick goes to the client any more but what is on its way or kept. The request that is returned is fulfilled
    /// once nothing is left; `None` for an unknown client.
    pub fn finish(&mut self, id: ClientId) -> Option<Request> {
        let request = self.next_request();
        self.push(id, Command::Finish { id, request }).then_some(request)
    }

    /// The request that is returned is fulfilled once all has been taken that was said before; `None` for an unknown
    /// client.
    pub fn tell_when_flushed(&mut self, id: ClientId) -> Option<Request> {
        let request = self.next_request();
        self.push(id, Command::TellWhenFlushed { id, request }).then_some(request)
    }

    /// So many bytes of a client's frames were passed on.
    pub fn acknowledge(&self, id: ClientId, bytes: usize) {
        self.push(id, Command::Acknowledge { id, bytes });
    }

    /// Asks for the last value of a topic, in the first of these modes that has one. It comes among
    /// [`Events::answers`] with the number that is returned.
    pub fn ask_snapshot(&mut self, topic: Arc<Topic>, modes: Vec<Mode>) -> Request {
        let query = self.next_request();
        self.pending_queries.insert(query);
        self.push_to(ASKED, Command::Ask { query, topic, modes });
        query
    }

    /// Gathers all that is said from now on until [`release_gathered`](Self::release_gathered): no tick comes in
    /// between, so that an answer is before the first tick that it announces.
    pub fn gather(&self) {
        self.gathered.borrow_mut().get_or_insert_with(|| self.threads.iter().map(|_| Vec::new()).collect());
    }

    /// Gives what was gathered to the threads.
    pub fn release_gathered(&self) {
        let gathered = self.gathered.take();
        for (thread, commands) in self.threads.iter().zip(gathered.into_iter().flatten()) {
            if !commands.is_empty() {
                thread.shared.inbox.push(Command::Group(commands));
            }
        }
    }

    /// What a client has got.
    pub fn figures_of(&self, id: ClientId) -> Option<&ClientFigures> {
        self.clients.get(&id).map(|client| &*client.figures)
    }

    /// The clients with the most untaken bytes, then the most conflated ticks, then the most ticks.
    pub fn furthest_behind(&self, most: usize) -> Vec<ClientId> {
        let rank = |figures: &ClientFigures| (figures.backlog(), figures.conflated(), figures.sent());
        let mut ranked: Vec<_> =
            self.clients.iter().map(|(&id, at)| (Reverse(rank(&at.figures)), id)).collect();
        if ranked.len() > most && most > 0 {
            ranked.select_nth_unstable(most - 1);
            ranked.truncate(most);
        }
        ranked.sort_unstable();
        ranked.into_iter().take(most).map(|(_, id)| id).collect()
    }

    /// The thread that serves a client, from 0.
    pub fn thread_of(&self, id: ClientId) -> Option<usize> {
        self.clients.get(&id).map(|client| client.thread)
    }

    /// Goes on with a newer segment of the same name, from its oldest message on.
    ///
    /// # Errors
    /// As [`new`](Self::new); nothing has changed then.
    pub fn reattach(&mut self, ring: &LockFreeRingBuffer) -> Result<()> {
        let consumer = |thread: &Thread| {
            thread.shared.consumer(ring, |options: ConsumerOptions| options.from(Start::Oldest))
        };
        let consumers = self.threads.iter().map(consumer).collect::<Result<Vec<_>>>()?;
        for (thread, consumer) in self.threads.iter().zip(consumers) {
            *lock(&thread.shared.ring) = ring.clone();
            thread.shared.inbox.push(Command::Reattach(Box::new(consumer)));
            thread.shared.inbox.sleep_on(ring.segment());
        }
        Ok(())
    }

    /// All that has happened since the last call.
    pub fn take_events(&mut self) -> Events {
        let mut events = self.outbox.take();
        for (query, _) in &events.answers {
            self.pending_queries.remove(query);
        }
        if events.restarted.contains(&ASKED) {
            events.answers.extend(self.pending_queries.drain().map(|query| (query, None)));
        }
        for thread in std::mem::take(&mut events.restarted) {
            // Those that were attached since lose their connection, too: which ones these are is not known.
            let lost: Vec<ClientId> =
                self.clients.iter().filter(|(_, at)| at.thread == thread).map(|(&id, _)| id).collect();
            lost.iter().for_each(|&id| self.detach(id));
            events.failed.extend(lost);
        }
        events
    }

    /// Each thread as it is now.
    pub fn threads(&self) -> impl ExactSizeIterator<Item = ThreadState> {
        self.threads.iter().map(|thread| ThreadState {
            figures: thread.shared.figures.read(),
            clients: thread.clients,
            is_running: thread.shared.is_running.load(Ordering::Relaxed),
        })
    }

    /// Whether any thread runs: else nobody would serve a new client.
    pub fn is_running(&self) -> bool {
        self.threads.iter().any(|thread| thread.shared.is_running.load(Ordering::Relaxed))
    }

    /// Names of the threads' consumers in the ring.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.threads.iter().map(|thread| thread.shared.name.as_str())
    }

    /// Latencies of a thread, at most 0.1 s old.
    pub fn latencies_of(&self, thread: usize) -> Latencies {
        lock(&self.threads[thread].shared.latencies).clone()
    }

    /// Latencies of all threads together.
    pub fn latencies(&self) -> Latencies {
        let mut all = Latencies::default();
        self.threads.iter().for_each(|thread| all.add(&lock(&thread.shared.latencies)));
        all
    }

    /// Makes a thread panic, for tests of what follows.
    #[doc(hidden)]
    pub fn panic(&self, thread: usize) {
        self.push_to(thread, Command::Panic);
    }

    /// From 1.
    const fn next_request(&mut self) -> Request {
        self.last_request = match self.last_request.checked_add(1) {
            Some(next) => next,
            None => 1,
        };
        self.last_request
    }

    /// False for an unknown client.
    fn push(&self, id: ClientId, command: Command) -> bool {
        let Some(Attached { thread, .. }) = self.clients.get(&id) else { return false };
        self.push_to(*thread, command);
        true
    }

    fn push_to(&self, thread: usize, command: Command) {
        match &mut *self.gathered.borrow_mut() {
            Some(gathered) => gathered[thread].push(command),
            None => self.threads[thread].shared.inbox.push(command),
        }
    }
}

impl Drop for Delivery {
    /// Ends the threads after their turns, and with them the descriptors of all clients.
    fn drop(&mut self) {
        self.threads.iter().for_each(|thread| thread.shared.inbox.stop());
        for thread in &mut self.threads {
            if let Some(handle) = thread.handle.take() {
                let _ = handle.join();
            }
        }
    }
}
