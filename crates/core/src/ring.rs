//! `LockFreeRingBuffer`: one segment, and the way to its producers and consumers.

use crate::clock;
use crate::consumer::{Consumer, ConsumerOptions};
use crate::error::{Error, ErrorCode, Result};
use crate::layout::{
    FORMAT_VERSION, Header, Kind, LaneRecord, Layout, MAGIC, MAX_CONSUMERS, MAX_LANES, Policy, layout_hash,
    tick_stride, word_of,
};
use crate::monitor::RingStats;
use crate::ownership::{self, Place};
use crate::producer::Producer;
use crate::region::Region;
use crate::shm::{self, Mapping, NameLock};
use crate::sync::{AtomicU64, Ordering};
use crate::wait;

/// Default name of the ring of ticks.
pub const DEFAULT_NAME: &str = "ws_proxy_buffer";
/// Default bytes of slots in one lane.
pub const DEFAULT_BUFFER_SIZE: usize = 1 << 20;
/// Default depth levels a side.
pub const DEFAULT_DEPTH_LEVELS: usize = 5;
/// Default number of lanes.
pub const DEFAULT_LANES: usize = 8;
/// Default number of consumer records.
pub const DEFAULT_CONSUMERS: usize = 64;

/// What a ring is made with.
///
/// ```
/// use openalgo_shm_core::{RingConfig, layout::Policy};
///
/// let config = RingConfig::mpmc().buffer_size(4 << 20).depth_levels(20);
/// assert_eq!(config.layout()?.policy, Policy::Overwrite);
/// # Ok::<(), openalgo_shm_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingConfig {
    kind: Kind,
    lanes: usize,
    consumers: usize,
    buffer_size: usize,
    stride: Option<usize>,
    depth_levels: usize,
    policy: Policy,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self::mpmc()
    }
}

impl RingConfig {
    /// Many producers, any number of consumers, overwriting: market data. The default.
    pub const fn mpmc() -> Self {
        Self {
            kind: Kind::Ticks,
            lanes: DEFAULT_LANES,
            consumers: DEFAULT_CONSUMERS,
            buffer_size: DEFAULT_BUFFER_SIZE,
            stride: None,
            depth_levels: DEFAULT_DEPTH_LEVELS,
            policy: Policy::Overwrite,
        }
    }

    /// One producer, one registered consumer, lossless.
    pub const fn spsc() -> Self {
        Self { lanes: 1, consumers: 1, policy: Policy::Lossless, ..Self::mpmc() }
    }

    /// A ring of messages other than ticks, with slots of `stride` bytes (a multiple of 64).
    pub const fn of_kind(self, kind: Kind, stride: usize) -> Self {
        Self { kind, stride: Some(stride), depth_levels: 0, ..self }
    }

    /// Number of lanes: producers at the same time, 1 to 64.
    pub const fn lanes(self, lanes: usize) -> Self {
        Self { lanes, ..self }
    }

    /// Number of consumers that can register, 1 to 256.
    pub const fn consumers(self, consumers: usize) -> Self {
        Self { consumers, ..self }
    }

    /// Bytes of slots in one lane, up to 4 GiB. As many slots as fit, rounded down to a power of two.
    pub const fn buffer_size(self, bytes: usize) -> Self {
        Self { buffer_size: bytes, ..self }
    }

    /// Depth levels a side, 0 to 200.
    pub const fn depth_levels(self, levels: usize) -> Self {
        Self { depth_levels: levels, ..self }
    }

    /// What a full lane does.
    pub const fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The layout that follows.
    ///
    /// # Errors
    /// `ERR_INVALID_OPTION`, with the range that was expected.
    pub fn layout(&self) -> Result<Layout> {
        let option = |what, found, least, most| {
            Err(Error::new(
                ErrorCode::InvalidOption,
                format!("{what} {found} is out of range: expected {least} to {most}"),
            ))
        };
        if self.depth_levels > crate::layout::MAX_DEPTH_LEVELS {
            return option("depth levels", self.depth_levels, 0, crate::layout::MAX_DEPTH_LEVELS);
        }
        if !(1..=MAX_LANES).contains(&self.lanes) {
            return option("lanes", self.lanes, 1, MAX_LANES);
        }
        if !(1..=MAX_CONSUMERS).contains(&self.consumers) {
            return option("consumers", self.consumers, 1, MAX_CONSUMERS);
        }
        let stride = self.stride.unwrap_or(tick_stride(self.depth_levels));
        Layout::new(
            self.kind,
            self.lanes,
            self.consumers,
            self.buffer_size,
            stride,
            self.depth_levels,
            self.policy,
        )
    }
}

/// A ring in shared memory that many producers write and many consumers read, without a lock. A handle is
/// cheap to clone; the memory is unmapped with the last handle, producer or consumer.
///
/// ```
/// use openalgo_shm_core::message::{Field, MarketDataMessage, Mode};
/// use openalgo_shm_core::{ConsumerOptions, LockFreeRingBuffer, RingConfig};
///
/// let ring = LockFreeRingBuffer::on_heap(RingConfig::mpmc())?;
/// let mut producer = ring.producer("doc")?;
/// let mut consumer = ring.consumer(ConsumerOptions::new("reader"))?;
///
/// let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Ltp)?;
/// tick.set(Field::Ltp, 3500.5);
/// producer.publish(tick.as_words())?;
///
/// let mut prices = Vec::new();
/// consumer.poll(64, |tick| prices.push(tick.field(Field::Ltp)));
/// assert_eq!(prices, [Some(3500.5)]);
/// # Ok::<(), openalgo_shm_core::Error>(())
/// ```
#[derive(Clone)]
pub struct LockFreeRingBuffer {
    pub(crate) region: Region,
    pub(crate) layout: Layout,
    slots: Slots,
}

/// Where the slots lie, worked out once: it is needed for every message.
#[derive(Clone, Copy)]
struct Slots {
    first_word: usize,
    lane_words: usize,
    slot_words: usize,
    index_mask: usize,
}

impl LockFreeRingBuffer {
    fn new(region: Region, layout: Layout) -> Self {
        let slots = Slots {
            first_word: layout.lane_slots_word(0),
            lane_words: layout.capacity * layout.slot_words(),
            slot_words: layout.slot_words(),
            index_mask: layout.capacity - 1,
        };
        Self { region, layout, slots }
    }

    /// A ring in this process's own memory, for tests and models.
    ///
    /// # Errors
    /// `ERR_INVALID_OPTION`.
    pub fn on_heap(config: RingConfig) -> Result<Self> {
        let layout = config.layout()?;
        let region = Region::heap(layout.total_bytes() / 8);
        write_header(&region, &layout);
        Ok(Self::new(region, layout))
    }

    /// Creates the ring, or attaches to one of the same layout.
    ///
    /// # Errors
    /// `ERR_SHM_MISMATCH` if a ring of that name has another layout; `ERR_INVALID_OPTION`, `ERR_SHM_NAME`,
    /// `ERR_SHM_FULL`, `ERR_SHM_PERMISSION`, `ERR_SHM_LAYOUT`, `ERR_SHM_VERSION`, `ERR_SHM_BUSY`.
    pub fn create(name: &str, config: RingConfig) -> Result<Self> {
        let ring = Self::create_or_attach(name, config)?;
        let wanted = config.layout()?;
        if ring.layout != wanted {
            return Err(Error::new(
                ErrorCode::ShmMismatch,
                format!(
                    "ring '{name}' exists with other options ({}), asked for were ({}): use the same, another name, or remove it with `openalgo-shm cleanup --ring {name}` when nobody uses it",
                    describe(&ring.layout),
                    describe(&wanted)
                ),
            ));
        }
        Ok(ring)
    }

    /// Attaches to the ring of that name, whatever its options are, or creates it with these.
    ///
    /// # Errors
    /// As [`create`](Self::create), and `ERR_SHM_MISMATCH` only if it carries another kind of messages.
    pub fn create_or_attach(name: &str, config: RingConfig) -> Result<Self> {
        let layout = config.layout()?;
        let _lock = NameLock::acquire(name)?;
        match Mapping::open(name) {
            Ok(mapping) => {
                let region = Region::Shared(mapping.into());
                if !is_unfinished(&region) {
                    return Self::attach(region, Some(layout.kind));
                }
                // Its creator died before it wrote the magic word: nobody creates now, for we hold the lock.
                shm::unlink(name)?;
            }
            // It died before it gave the segment a size.
            Err(error) if error.code() == ErrorCode::ShmLayout => {
                shm::unlink(name)?;
            }
            Err(error) if error.code() == ErrorCode::ShmNotFound => {}
            Err(error) => return Err(error),
        }
        let mapping = Mapping::create(name, layout.total_bytes())?;
        if let Err(error) = reserve(&mapping, &layout) {
            shm::unlink(name)?;
            return Err(error);
        }
        let region = Region::Shared(mapping.into());
        write_header(&region, &layout);
        Ok(Self::new(region, layout))
    }

    /// Attaches to an existing ring.
    ///
    /// # Errors
    /// `ERR_SHM_NOT_FOUND`, `ERR_SHM_NAME`, `ERR_SHM_PERMISSION`, `ERR_SHM_LAYOUT`, `ERR_SHM_VERSION`, `ERR_SHM_BUSY`.
    pub fn open(name: &str) -> Result<Self> {
        let _lock = NameLock::acquire(name)?;
        Self::attach(Region::Shared(Mapping::open(name)?.into()), None)
    }

    fn attach(region: Region, kind: Option<Kind>) -> Result<Self> {
        let name = region.mapping().map_or("(heap)", |mapping| mapping.name()).to_owned();
        let layout = read_header(&region)
            .map_err(|error| Error::new(error.code(), format!("'{name}': {}", error.message())))?;
        if kind.is_some_and(|kind| kind != layout.kind) {
            return Err(Error::new(
                ErrorCode::ShmMismatch,
                format!("ring '{name}' carries {:?}, asked for was {kind:?}: use another name", layout.kind),
            ));
        }
        Ok(Self::new(region, layout))
    }

    /// Removes a name; who has the segment mapped keeps it. True if there was one.
    ///
    /// # Errors
    /// `ERR_SHM_NAME`, `ERR_SHM_PERMISSION`, `ERR_SHM_BUSY`.
    pub fn unlink(name: &str) -> Result<bool> {
        let _lock = NameLock::acquire(name)?;
        shm::unlink(name)
    }

    /// Removes this ring's name if it still leads to this very segment; a successor's stays. True if removed.
    ///
    /// # Errors
    /// `ERR_SHM_PERMISSION`, `ERR_SHM_BUSY`.
    pub fn unlink_own(&self) -> Result<bool> {
        self.unlink_own_if(|_| true)
    }

    /// Removes this ring's name unless a lane or a consumer record of it has a living owner. True if removed.
    ///
    /// # Errors
    /// As [`unlink_own`](Self::unlink_own).
    pub fn unlink_unused(&self) -> Result<bool> {
        self.unlink_own_if(|ring| !ring.is_in_use())
    }

    /// Removes a name unless a living process owns a place of what it leads to. A segment of another version, a
    /// corrupt one and what a dead creator left are removed too; what was never made by this library is not.
    ///
    /// # Errors
    /// `ERR_SHM_NAME`, `ERR_SHM_PERMISSION`, `ERR_SHM_BUSY`, and `ERR_SHM_LAYOUT` for what somebody else made.
    pub fn unlink_if_unused(name: &str) -> Result<bool> {
        // One lock around the look and the removal: in between, the name could become another's.
        let _lock = NameLock::acquire(name)?;
        let region = match Mapping::open(name) {
            Ok(mapping) => Region::Shared(mapping.into()),
            Err(error) if error.code() == ErrorCode::ShmNotFound => return Ok(false),
            // Its creator died before it gave it a size.
            Err(error) if error.code() == ErrorCode::ShmLayout => return shm::unlink(name),
            Err(error) => return Err(error),
        };
        let in_use = match read_header(&region) {
            Ok(layout) => Self::new(region, layout).is_in_use(),
            Err(_) if is_unfinished(&region) => false,
            Err(_) if is_ours(&region) => ownership::is_any_owned(&region),
            Err(error) => return Err(error),
        };
        if in_use { Ok(false) } else { shm::unlink(name) }
    }

    fn unlink_own_if(&self, condition: impl FnOnce(&Self) -> bool) -> Result<bool> {
        let Some(mapping) = self.region.mapping() else { return Ok(false) };
        let _lock = NameLock::acquire(mapping.name())?;
        if mapping.is_current() && condition(self) { shm::unlink(mapping.name()) } else { Ok(false) }
    }

    /// False once the name was removed or leads to a newer segment: time to attach anew.
    pub fn is_current(&self) -> bool {
        self.region.mapping().is_none_or(|mapping| mapping.is_current())
    }

    /// The name, or "(heap)".
    pub fn name(&self) -> &str {
        self.region.mapping().map_or("(heap)", |mapping| mapping.name())
    }

    /// The shape of the segment.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Takes a free lane: the one that `name` had before, else one never used, else any. A lane whose
    /// owner died is free at once.
    ///
    /// # Errors
    /// `ERR_NO_FREE_LANE` with the names of the owners, `ERR_INVALID_SYMBOL` for the name, `ERR_SHM_FULL`.
    pub fn producer(&self, name: &str) -> Result<Producer> {
        Producer::take_lane(self, name)
    }

    /// A new consumer.
    ///
    /// # Errors
    /// `ERR_NO_FREE_CONSUMER` when it must register and all records are taken, `ERR_INVALID_SYMBOL` for the name.
    pub fn consumer(&self, options: ConsumerOptions) -> Result<Consumer> {
        Consumer::new(self, options)
    }

    /// A picture of the lanes and consumers now; costs microseconds and disturbs nobody.
    pub fn stats(&self) -> RingStats {
        RingStats::read(self)
    }

    /// True if any lane or consumer record has a living owner.
    pub fn is_in_use(&self) -> bool {
        let owned = |place| ownership::is_owned(&self.region, self.heap_owner_word(place), place);
        (0..self.layout.lanes).any(|lane| owned(Place::Lane(lane)))
            || (0..self.layout.consumers).any(|consumer| owned(Place::Consumer(consumer)))
    }

    /// Wakes every sleeping consumer, so that it looks whether it was closed.
    pub(crate) fn wake_now(&self) {
        wait::wake(&self.region, self.layout.futex_word());
    }

    pub(crate) fn heap_owner_word(&self, place: Place) -> usize {
        match place {
            Place::Lane(lane) => self.layout.lane_word(lane) + word_of!(LaneRecord, heap_owner),
            Place::Consumer(consumer) => {
                self.layout.consumer_word(consumer) + word_of!(crate::layout::ConsumerRecord, heap_owner)
            }
        }
    }

    /// Lanes that ever had an owner.
    #[inline]
    pub(crate) fn lanes_used(&self) -> usize {
        // Relaxed: it only spares looks at lanes that nobody ever took; the stamps carry the messages.
        (self.region[word_of!(Header, lanes_used)].load(Ordering::Relaxed) as usize).min(self.layout.lanes)
    }

    #[inline]
    pub(crate) fn slot(&self, lane: usize, sequence: u64) -> &[AtomicU64] {
        let Slots { first_word, lane_words, slot_words, index_mask } = self.slots;
        let start = first_word + lane * lane_words + (sequence as usize & index_mask) * slot_words;
        &self.region[start..start + slot_words]
    }
}

/// True of a segment of any version, sound or not.
fn is_ours(region: &Region) -> bool {
    region.bytes() >= size_of::<Header>() && region[word_of!(Header, magic)].load(Ordering::Relaxed) == MAGIC
}

/// True of a segment whose creator died before the magic word, never of somebody else's file: words of
/// the header are ours or not yet written.
fn is_unfinished(region: &Region) -> bool {
    let bytes = region.bytes() as u64;
    let unwritten_or = |index: usize, ours| [0, ours].contains(&region[index].load(Ordering::Relaxed));
    bytes >= size_of::<Header>() as u64
        && unwritten_or(word_of!(Header, magic), 0)
        && unwritten_or(word_of!(Header, version), FORMAT_VERSION)
        && unwritten_or(word_of!(Header, layout_hash), layout_hash())
        && unwritten_or(word_of!(Header, total_bytes), bytes)
}

/// Takes memory for all but the slots, and for the first slot of every lane: consumers may look at it
/// while the lane's first owner still takes memory for the others.
fn reserve(mapping: &Mapping, layout: &Layout) -> Result<()> {
    mapping.reserve(0, layout.slots_offset())?;
    (0..layout.lanes).try_for_each(|lane| mapping.reserve(layout.lane_slots_word(lane) * 8, layout.stride))
}

pub(crate) fn write_header(region: &Region, layout: &Layout) {
    for (word, value) in layout.header_words(clock::wall_ns()) {
        // Release, pairs with the Acquire loads in `read_header`: the magic word comes last.
        region[word].store(value, Ordering::Release);
    }
}

pub(crate) fn read_header(region: &Region) -> Result<Layout> {
    let bytes = region.bytes();
    if bytes < size_of::<Header>() {
        return Err(Error::new(
            ErrorCode::ShmLayout,
            format!("it has {bytes} bytes, a header alone has {}", size_of::<Header>()),
        ));
    }
    // Acquire, pairs with the Release store of the magic word in `write_header`.
    Layout::from_header(|word| region[word].load(Ordering::Acquire), bytes)
}

fn describe(layout: &Layout) -> String {
    format!(
        "{} lanes of {} slots, {} depth levels, {}, {} consumers",
        layout.lanes,
        layout.capacity,
        layout.depth_levels,
        layout.policy.as_str(),
        layout.consumers
    )
}
