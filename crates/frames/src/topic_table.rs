//! The numbers of topics, shared by all threads of a process.
//!
//! A topic that has ticked keeps its number for good. One that was only asked for has it as long as there is an
//! [`Arc`] of it: names that nobody trades leave nothing behind, and take no place of a topic that ticks.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use foldhash::fast::RandomState;
use openalgo_shm_ring::message::TopicName;

/// Most topics whose ticks are encoded; ticks of further ones are counted and dropped. As many again may be asked
/// for before they tick. All brokers' symbols together are about 150,000.
pub const MAX_TOPICS: usize = 262_144;

/// A topic and its number. While there is an [`Arc`] of it, no other topic of its table has this number.
pub struct Topic {
    number: u32,
    has_ticked: AtomicBool,
    name: TopicName,
    /// The exchange, then the symbol.
    text: Box<str>,
    exchange_bytes: usize,
    names: Weak<Mutex<Names>>,
}

impl Topic {
    /// The number of the topic in its table.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The exchange.
    pub fn exchange(&self) -> &str {
        &self.text[..self.exchange_bytes]
    }

    /// The symbol.
    pub fn symbol(&self) -> &str {
        &self.text[self.exchange_bytes..]
    }

    /// Exchange and symbol.
    pub const fn name(&self) -> &TopicName {
        &self.name
    }

    /// True once any thread read a tick of the topic. It stays true.
    pub fn has_ticked(&self) -> bool {
        // Relaxed: no other memory is read because of it.
        self.has_ticked.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} = {}", self.name, self.number)
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // The table holds topics that have ticked: it is gone before them.
        if *self.has_ticked.get_mut() {
            return;
        }
        let Some(names) = self.names.upgrade() else { return };
        let mut names = lock(&names);
        names.asked -= 1;
        names.numbers.free(self.number);
        // The name may have been asked for again since the last `Arc` was dropped, and belong to a newer topic.
        if let Some(Known::Asked(topic)) = names.index.get(&self.name)
            && std::ptr::eq(topic.as_ptr(), self)
        {
            names.index.remove(&self.name);
        }
    }
}

/// One number space for the topics of a process. Clones share it. All methods lock a mutex: for about 0.1 µs
/// if the topic is known, 0.4 µs if it is made or its last [`Arc`] dropped, and for ms when the index of many names
/// grows.
///
/// ```
/// use openalgo_shm_frames::TopicTable;
/// use openalgo_shm_ring::message::TopicName;
///
/// let (table, name) = (TopicTable::new(), TopicName::new("NSE", "RELIANCE")?);
/// let topic = table.ask(&name).expect("room for a topic");
/// assert_eq!((topic.number(), topic.symbol()), (0, "RELIANCE"));
/// drop(topic);
/// assert!(table.find(&name).is_none()); // it never ticked, and nobody wants it any more
/// # Ok::<(), openalgo_shm_ring::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct TopicTable {
    names: Arc<Mutex<Names>>,
}

#[derive(Default)]
struct Names {
    index: HashMap<TopicName, Known, RandomState>,
    numbers: Numbers,
    /// In the order of their first ticks.
    ticked: Vec<Arc<Topic>>,
    /// Topics that exist and never ticked.
    asked: usize,
}

enum Known {
    Ticked(Arc<Topic>),
    /// Dead from the drop of the last `Arc` until that drop has the lock.
    Asked(Weak<Topic>),
}

impl TopicTable {
    /// A table without topics.
    pub fn new() -> Self {
        Self::default()
    }

    /// The topic that somebody is about to want. Keep the [`Arc`] as long as it is wanted. `None` when
    /// [`MAX_TOPICS`] topics exist that never ticked.
    pub fn ask(&self, name: &TopicName) -> Option<Arc<Topic>> {
        let mut names = self.lock();
        if let Some(topic) = names.find(name) {
            return Some(topic);
        }
        if names.asked == MAX_TOPICS {
            return None;
        }
        names.asked += 1;
        let topic = self.new_topic(&mut names, name);
        names.index.insert(*name, Known::Asked(Arc::downgrade(&topic)));
        Some(topic)
    }

    /// The topic, if it has ticked or somebody wants it.
    pub fn find(&self, name: &TopicName) -> Option<Arc<Topic>> {
        self.lock().find(name)
    }

    /// The topic of a tick. It keeps its number for good. `None` when [`MAX_TOPICS`] others have ticked.
    pub fn intern_ticked(&self, name: &TopicName) -> Option<Arc<Topic>> {
        let mut names = self.lock();
        let known = names.find(name);
        if known.as_ref().is_some_and(|topic| topic.has_ticked()) {
            return known;
        }
        if names.ticked.len() == MAX_TOPICS {
            // Before `known`, which may have become the last `Arc` of the topic: its drop locks.
            drop(names);
            return None;
        }
        let topic = match known {
            Some(topic) => {
                names.asked -= 1;
                topic
            }
            None => self.new_topic(&mut names, name),
        };
        // Relaxed: see `has_ticked`. The lock orders it against `find` of other threads.
        topic.has_ticked.store(true, Ordering::Relaxed);
        names.ticked.push(topic.clone());
        names.index.insert(*name, Known::Ticked(topic.clone()));
        Some(topic)
    }

    /// Topics that have ticked, in the order of their first ticks: at most `most`, without the first `from`. The
    /// order never changes. Locks for about 10 ns a topic.
    pub fn ticked(&self, from: usize, most: usize) -> Vec<Arc<Topic>> {
        let room = most.min(self.ticked_count().saturating_sub(from));
        let mut topics = Vec::with_capacity(room);
        topics.extend(self.lock().ticked.iter().skip(from).take(room).cloned());
        topics
    }

    /// Number of topics that have ticked. It only grows.
    pub fn ticked_count(&self) -> usize {
        self.lock().ticked.len()
    }

    fn lock(&self) -> MutexGuard<'_, Names> {
        lock(&self.names)
    }

    fn new_topic(&self, names: &mut Names, name: &TopicName) -> Arc<Topic> {
        let exchange = name.exchange();
        Arc::new(Topic {
            number: names.numbers.take(),
            has_ticked: AtomicBool::new(false),
            name: *name,
            exchange_bytes: exchange.len(),
            text: (exchange + &name.symbol()).into(),
            names: Arc::downgrade(&self.names),
        })
    }
}

impl fmt::Debug for TopicTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.lock();
        f.debug_struct("TopicTable")
            .field("ticked", &names.ticked.len())
            .field("asked", &names.asked)
            .finish()
    }
}

impl Names {
    fn find(&self, name: &TopicName) -> Option<Arc<Topic>> {
        match self.index.get(name)? {
            Known::Ticked(topic) => Some(topic.clone()),
            Known::Asked(topic) => topic.upgrade(),
        }
    }
}

/// The names are right after each step, also if a thread panics behind it.
fn lock(names: &Mutex<Names>) -> MutexGuard<'_, Names> {
    names.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the lowest free number first.
#[derive(Default)]
struct Numbers {
    /// One more than the highest in use.
    end: u32,
    /// Free ones below `end`.
    free: BTreeSet<u32>,
}

impl Numbers {
    fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        })
    }

    fn free(&mut self, number: u32) {
        self.free.insert(number);
        while self.end > 0 && self.free.remove(&(self.end - 1)) {
            self.end -= 1;
        }
    }
}
