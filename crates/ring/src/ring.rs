//! `LockFreeRingBuffer`: one segment by its name, and the way to its producers and consumers.

use crate::config::RingConfig;
use crate::consumer::{Consumer, ConsumerOptions};
use crate::error::{Error, ErrorCode, Result};
use crate::ownership;
use crate::producer::Producer;
use crate::segment::layout::{Kind, Layout, MAGIC};
use crate::segment::{
    Region, Segment, explained, is_ours, is_unfinished, read_header, reserve_records, write_header,
};
use crate::shm::{self, Mapping, NameLock};
use crate::stats::RingStats;

/// A ring in shared memory that many producers write and many consumers read, without a lock. A handle is
/// cheap to clone; the memory is unmapped with the last handle, producer or consumer.
///
/// ```
/// use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode};
/// use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, RingConfig};
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
/// # Ok::<(), openalgo_shm_ring::Error>(())
/// ```
#[derive(Clone)]
pub struct LockFreeRingBuffer {
    segment: Segment,
}

impl LockFreeRingBuffer {
    /// A ring in this process's own memory, for tests and models.
    ///
    /// # Errors
    /// `ERR_INVALID_OPTION`.
    pub fn on_heap(config: RingConfig) -> Result<Self> {
        Ok(Self { segment: Segment::on_heap(config.layout()?) })
    }

    /// Creates the ring, or attaches to one of the same layout.
    ///
    /// # Errors
    /// `ERR_SHM_MISMATCH` if a ring of that name has another layout; `ERR_INVALID_OPTION`, `ERR_SHM_NAME`,
    /// `ERR_SHM_FULL`, `ERR_SHM_PERMISSION`, `ERR_SHM_LAYOUT`, `ERR_SHM_VERSION`, `ERR_SHM_BUSY`.
    pub fn create(name: &str, config: RingConfig) -> Result<Self> {
        let ring = Self::create_or_attach(name, config)?;
        let wanted = config.layout()?;
        if *ring.layout() != wanted {
            return Err(Error::new(
                ErrorCode::ShmMismatch,
                format!(
                    "ring '{name}' exists with other options ({}), asked for were ({}): use the same, another name, or remove it with `openalgo-shm cleanup --ring {name}` when nobody uses it",
                    describe(ring.layout()),
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
        if let Some(attached) = attach_finished(name, Some(layout.kind)) {
            return Ok(attached);
        }
        let _lock = NameLock::acquire(name)?;
        match Mapping::open(name) {
            Ok(mapping) => {
                let region = Region::Shared(mapping.into());
                if !is_unfinished(&region) {
                    return Ok(Self { segment: Segment::attach(region, Some(layout.kind))? });
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
        if let Err(error) = reserve_records(&mapping, &layout) {
            shm::unlink(name)?;
            return Err(error);
        }
        let region = Region::Shared(mapping.into());
        write_header(&region, &layout);
        Ok(Self { segment: Segment::new(region, layout) })
    }

    /// Attaches to an existing ring. Waits for nobody, unless the ring is being created at this moment.
    ///
    /// # Errors
    /// `ERR_SHM_NOT_FOUND`, `ERR_SHM_NAME`, `ERR_SHM_PERMISSION`, `ERR_SHM_LAYOUT`, `ERR_SHM_VERSION`, `ERR_SHM_BUSY`.
    pub fn open(name: &str) -> Result<Self> {
        if let Some(attached) = attach_finished(name, None) {
            return Ok(attached);
        }
        let _lock = NameLock::acquire(name)?;
        Ok(Self { segment: Segment::attach(Region::Shared(Mapping::open(name)?.into()), None)? })
    }

    /// Removes a name. Processes that have the segment mapped keep their memory. True if there was one.
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
            Ok(layout) => Segment::new(region.clone(), layout).is_in_use(),
            Err(_) if is_unfinished(&region) => false,
            Err(_) if is_ours(&region) => ownership::is_any_owned(&region),
            Err(error) => return Err(explained(&region, &error)),
        };
        if in_use { Ok(false) } else { shm::unlink(name) }
    }

    fn unlink_own_if(&self, condition: impl FnOnce(&Self) -> bool) -> Result<bool> {
        let Some(mapping) = self.segment.region.mapping() else { return Ok(false) };
        let _lock = NameLock::acquire(mapping.name())?;
        if mapping.is_current() && condition(self) { shm::unlink(mapping.name()) } else { Ok(false) }
    }

    /// False once the name was removed or leads to a newer segment: time to attach anew.
    pub fn is_current(&self) -> bool {
        self.segment.is_current()
    }

    /// The name, or "(heap)".
    pub fn name(&self) -> &str {
        self.segment.name()
    }

    /// The shape of the segment.
    pub const fn layout(&self) -> &Layout {
        self.segment.layout()
    }

    /// The segment itself.
    pub const fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Takes a free lane: the one that `name` had before, else one never used, else any. A lane whose
    /// owner died is free at once.
    ///
    /// # Errors
    /// `ERR_NO_FREE_LANE` with the names of the owners, `ERR_INVALID_SYMBOL` for the name, `ERR_SHM_FULL`.
    pub fn producer(&self, name: &str) -> Result<Producer> {
        Producer::take_lane(&self.segment, name)
    }

    /// A new consumer.
    ///
    /// # Errors
    /// `ERR_NO_FREE_CONSUMER` when it must register and all records are taken, `ERR_INVALID_SYMBOL` for the name.
    pub fn consumer(&self, options: ConsumerOptions) -> Result<Consumer> {
        Consumer::new(&self.segment, options)
    }

    /// A picture of the lanes and consumers now; costs microseconds and disturbs nobody.
    pub fn stats(&self) -> RingStats {
        RingStats::read(&self.segment)
    }

    /// True if any lane or consumer record has a living owner.
    pub fn is_in_use(&self) -> bool {
        self.segment.is_in_use()
    }
}

/// Attaches to a segment that is finished, without the lock of its name: the magic word is written last, so who sees
/// it sees all of the header. `None` where there is no such segment, and for every fault: the name may be given to
/// another segment at this moment, so that only the lock tells. Elsewhere than on Linux a segment cannot be looked at
/// before it is mapped.
fn attach_finished(name: &str, kind: Option<Kind>) -> Option<LockFreeRingBuffer> {
    if !cfg!(target_os = "linux") || shm::check_name(name).is_err() || !shm::begins_with(name, MAGIC) {
        return None;
    }
    let region = Region::Shared(Mapping::open(name).ok()?.into());
    Some(LockFreeRingBuffer { segment: Segment::attach(region, kind).ok()? })
}

fn describe(layout: &Layout) -> String {
    format!(
        "{} lanes of {} lines, {} topics, {} depth levels, {}, {} consumers",
        layout.lanes,
        layout.capacity,
        layout.topics,
        layout.depth_levels,
        layout.policy.as_str(),
        layout.consumers
    )
}
