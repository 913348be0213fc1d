//! A segment: its memory, its shape, and the way to its parts.

pub mod layout;
pub(crate) mod lines;
pub(crate) mod record;
pub(crate) mod region;
pub(crate) mod tail;
pub(crate) mod topics;

use layout::{ConsumerRecord, Header, Kind, LINE, LaneRecord, Layout, MAGIC, WORD, word_of};
pub(crate) use lines::Line;
pub(crate) use region::{Part, Region};
pub(crate) use topics::read_name;

use crate::clock;
use crate::error::{Error, ErrorCode, Result};
use crate::message::LINE_WORDS;
use crate::ownership::{self, Place};
use crate::sync::{AtomicU64, Ordering};

/// A segment whose header was checked. Cheap to clone; the memory is unmapped with the last clone.
#[derive(Clone)]
pub struct Segment {
    pub(crate) region: Region,
    layout: Layout,
}

impl Segment {
    pub(crate) const fn new(region: Region, layout: Layout) -> Self {
        Self { region, layout }
    }

    /// A segment in this process's own memory.
    pub(crate) fn on_heap(layout: Layout) -> Self {
        let region = Region::heap(layout.total_bytes() / WORD);
        write_header(&region, &layout);
        Self::new(region, layout)
    }

    /// Checks the header of a mapped segment.
    ///
    /// # Errors
    /// `ERR_SHM_LAYOUT`, `ERR_SHM_VERSION`, and `ERR_SHM_MISMATCH` if it carries another kind of messages.
    pub(crate) fn attach(region: Region, kind: Option<Kind>) -> Result<Self> {
        let name = region.mapping().map_or("(heap)", |mapping| mapping.name()).to_owned();
        let layout = read_header(&region).map_err(|error| explained(&region, &error))?;
        if kind.is_some_and(|kind| kind != layout.kind) {
            return Err(Error::new(
                ErrorCode::ShmMismatch,
                format!("ring '{name}' carries {:?}, asked for was {kind:?}: use another name", layout.kind),
            ));
        }
        Ok(Self::new(region, layout))
    }

    /// The name, or "(heap)".
    pub fn name(&self) -> &str {
        self.region.mapping().map_or("(heap)", |mapping| mapping.name())
    }

    /// The shape of the segment.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// False once the name was removed or leads to a newer segment: time to attach anew.
    pub fn is_current(&self) -> bool {
        self.region.mapping().is_none_or(|mapping| mapping.is_current())
    }

    /// True if any lane or consumer record has a living owner.
    pub fn is_in_use(&self) -> bool {
        let lanes = (0..self.layout.lanes).map(Place::Lane);
        let consumers = (0..self.layout.consumers).map(Place::Consumer);
        lanes.chain(consumers).any(|place| self.is_owned(place))
    }

    pub(crate) fn is_owned(&self, place: Place) -> bool {
        ownership::is_owned(&self.region, self.heap_owner_word(place), place)
    }

    pub(crate) fn acquire(&self, place: Place) -> Result<Option<ownership::Owned>> {
        ownership::acquire(&self.region, self.heap_owner_word(place), place)
    }

    fn heap_owner_word(&self, place: Place) -> usize {
        match place {
            Place::Lane(lane) => self.layout.lane_word(lane) + word_of!(LaneRecord, heap_owner),
            Place::Consumer(consumer) => {
                self.layout.consumer_word(consumer) + word_of!(ConsumerRecord, heap_owner)
            }
        }
    }

    /// Lanes that ever had an owner.
    #[inline]
    pub(crate) fn lanes_used(&self) -> usize {
        lanes_used(&self.region[word_of!(Header, lanes_used)], &self.layout)
    }

    pub(crate) fn lanes_used_word(&self) -> Part<AtomicU64> {
        self.region.part(|words| &words[word_of!(Header, lanes_used)])
    }

    pub(crate) fn futex(&self) -> &AtomicU64 {
        &self.region[self.layout.futex_word()]
    }

    /// The words of a lane's record.
    pub(crate) fn lane_record(&self, lane: usize) -> &[AtomicU64] {
        &self.region[self.layout.lane_word(lane)..][..size_of::<LaneRecord>() / WORD]
    }

    pub(crate) fn lane_record_part(&self, lane: usize) -> Part<[AtomicU64]> {
        let first = self.layout.lane_word(lane);
        self.region.part(|words| &words[first..][..size_of::<LaneRecord>() / WORD])
    }

    /// The lines of a lane.
    pub(crate) fn lines(&self, lane: usize) -> &[Line] {
        lines_at(&self.region, self.layout.lines_offset(lane), self.layout.capacity)
    }

    pub(crate) fn lines_part(&self, lane: usize) -> Part<[Line]> {
        let (offset, capacity) = (self.layout.lines_offset(lane), self.layout.capacity);
        self.region.part(|words| lines_at(words, offset, capacity))
    }

    /// The topic table of a lane.
    pub(crate) fn topics_part(&self, lane: usize) -> Part<[Line]> {
        let (offset, topics) = (self.layout.topics_offset(lane), self.layout.topics);
        self.region.part(|words| lines_at(words, offset, topics))
    }

    /// Takes memory for a part of the segment. `ERR_SHM_FULL`.
    pub(crate) fn reserve(&self, offset: usize, bytes: usize) -> Result<()> {
        self.region.mapping().map_or(Ok(()), |mapping| mapping.reserve(offset, bytes))
    }

    pub(crate) fn created_ns(&self) -> u64 {
        self.region[word_of!(Header, created_ns)].load(Ordering::Relaxed)
    }
}

#[inline]
pub(crate) fn lanes_used(word: &AtomicU64, layout: &Layout) -> usize {
    // Relaxed: it only spares looks at lanes that never had an owner; the stamps carry the messages.
    (word.load(Ordering::Relaxed) as usize).min(layout.lanes)
}

fn lines_at(words: &[AtomicU64], offset: usize, count: usize) -> &[Line] {
    words[offset / WORD..][..count * LINE_WORDS].as_chunks().0
}

/// The error of a header with the file that has it and what to do.
pub(crate) fn explained(region: &Region, error: &Error) -> Error {
    let name = region.mapping().map_or("(heap)", |mapping| mapping.name());
    let message = error.message();
    Error::new(
        error.code(),
        match error.code() {
            ErrorCode::ShmLayout => {
                format!("{}: {message}; {}", crate::shm::place_of(name), crate::shm::remedy(name))
            }
            _ => format!("'{name}': {message}"),
        },
    )
}

/// True of a segment of any version, sound or not.
pub(crate) fn is_ours(region: &Region) -> bool {
    region.bytes() >= size_of::<Header>() && region[word_of!(Header, magic)].load(Ordering::Relaxed) == MAGIC
}

/// True of a segment whose creator died before the magic word, never of somebody else's file: words of
/// the header are ours or not yet written.
pub(crate) fn is_unfinished(region: &Region) -> bool {
    let bytes = region.bytes() as u64;
    let unwritten_or = |index: usize, ours| [0, ours].contains(&region[index].load(Ordering::Relaxed));
    bytes >= size_of::<Header>() as u64
        && unwritten_or(word_of!(Header, magic), 0)
        && unwritten_or(word_of!(Header, version), layout::FORMAT_VERSION)
        && unwritten_or(word_of!(Header, layout_hash), layout::layout_hash())
        && unwritten_or(word_of!(Header, total_bytes), bytes)
}

/// Takes memory for the records, and for the first line of every lane: consumers may look at it while the
/// lane's first owner still takes memory for the others.
pub(crate) fn reserve_records(mapping: &crate::shm::Mapping, layout: &Layout) -> Result<()> {
    mapping.reserve(0, layout.records_bytes())?;
    (0..layout.lanes).try_for_each(|lane| mapping.reserve(layout.lines_offset(lane), LINE))
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
            format!(
                "not a segment of this library: it has {bytes} bytes, a header alone has {}",
                size_of::<Header>()
            ),
        ));
    }
    // Acquire, pairs with the Release store of the magic word in `write_header`.
    Layout::from_header(|word| region[word].load(Ordering::Acquire), bytes)
}
