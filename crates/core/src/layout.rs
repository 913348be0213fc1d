//! Every offset of a segment, and nothing else.
//!
//! ```text
//! byte 0   ┌──────────────────────────────────────────────────────────────┐
//!          │ Header           magic (written last) · version · hash · …   │ 128
//!          │ WaitLine         futex word                                  │ 128
//!          ├──────────────────────────────────────────────────────────────┤
//!          │ LaneRecord[lanes]          who (128) · counters (128)        │ 256 each
//!          ├──────────────────────────────────────────────────────────────┤
//!          │ ConsumerRecord[consumers]  who and counts (128) · cursor of  │ 128 + 8·lanes,
//!          │                            each lane                         │ rounded up to 128
//!          ├──────────────────────────────────────────────────────────────┤ page boundary
//!          │ slots            lanes × capacity × stride                   │
//!          └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! The whole segment is an array of little-endian u64 words, all accessed as atomics: the structs below
//! give offsets their names and are never laid over the memory. Lines that one side writes and another
//! reads are 128 bytes apart: x86-64 fetches pairs of 64-byte lines, and Apple's arm64 has lines of 128.

use std::mem::{offset_of, size_of};

use crate::error::{Error, ErrorCode, Result};
use crate::message::{
    BUYS_SHIFT, EXCHANGE_BYTES, Field, LEVEL_WORDS, LEVELS_WORD, MODE_SHIFT, SELLS_SHIFT, SYMBOL_BYTES,
    TOPIC_WORD,
};

/// First word of a finished segment: `OASHMRNG` read as a little-endian number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"OASHMRNG");
/// Version of the segment format. Readers refuse every other one.
pub const FORMAT_VERSION: u64 = 1;

/// Bytes of a word.
pub const WORD: usize = size_of::<u64>();
/// Bytes that one side writes alone.
pub const LINE: usize = 128;
/// Slots are laid out in multiples of this many bytes.
pub const SLOT_ALIGN: usize = 64;
/// The slot area begins at a multiple of this many bytes.
pub const PAGE: usize = if cfg!(loom) { LINE } else { 4096 };
/// Longest name of a publisher or subscriber, in bytes.
pub const NAME_BYTES: usize = 48;

/// Most lanes of a segment.
pub const MAX_LANES: usize = 64;
/// Most registered consumers of a segment.
pub const MAX_CONSUMERS: usize = 256;
/// Most depth levels a side.
pub const MAX_DEPTH_LEVELS: usize = 200;
/// Most bytes of slots in one lane (4 GiB).
pub const MAX_BUFFER_SIZE: usize = 1 << 32;

/// Words before a message's own: stamp, extent, publish time.
pub const SLOT_HEADER_WORDS: usize = 3;

/// What describes a segment. Written once by its creator; all words.
#[repr(C, align(128))]
pub(crate) struct Header {
    pub magic: u64,
    pub version: u64,
    pub layout_hash: u64,
    pub kind: u64,
    pub lanes: u64,
    pub consumers: u64,
    pub capacity: u64,
    pub stride: u64,
    pub depth_levels: u64,
    pub policy: u64,
    pub total_bytes: u64,
    /// Wall clock, ns since 1970.
    pub created_ns: u64,
    /// Lanes that ever had an owner: consumers poll no further.
    pub lanes_used: u64,
    pad: [u64; 3],
}

/// The word that sleeping consumers wait on.
#[repr(C, align(128))]
pub(crate) struct WaitLine {
    pub futex: u64,
    pad: [u64; 15],
}

/// One lane: who owns it (seldom written), and its counters (written by the owner once per batch).
#[repr(C, align(128))]
pub(crate) struct LaneRecord {
    /// Counts ownerships; odd while the words beside it are being written.
    pub generation: u64,
    pub pid: u64,
    /// Wall clock, ns since 1970.
    pub started_ns: u64,
    pub name: [u64; NAME_BYTES / WORD],
    /// Owner's mark where a ring lives on the heap and has no file to lock.
    pub heap_owner: u64,
    pad_who: [u64; 6],
    /// Messages ever committed in this lane = the next sequence.
    pub tail: u64,
    /// Messages that a full lossless ring refused.
    pub rejected: u64,
    /// Publishes whose duration was measured, and the sum of those durations in ns.
    pub sampled: u64,
    pub sampled_ns: u64,
    /// Time of the newest message, ns of the monotonic clock.
    pub last_publish_ns: u64,
    pad_counters: [u64; 11],
}

/// One registered consumer, written by it alone; the cursors of its lanes follow.
#[repr(C, align(128))]
pub(crate) struct ConsumerRecord {
    /// Counts ownerships; odd while the words beside it are being written.
    pub generation: u64,
    pub pid: u64,
    /// Wall clock, ns since 1970.
    pub started_ns: u64,
    /// The owner's generation while it attaches or is attached, else 0: a lossless producer looks at the
    /// cursors only then, and remembers the generations of the dead.
    pub gates: u64,
    pub name: [u64; NAME_BYTES / WORD],
    pub received: u64,
    pub lost: u64,
    pub corrupt: u64,
    /// As in [`LaneRecord`].
    pub heap_owner: u64,
    pad: [u64; 2],
}

const _: () = {
    assert!(size_of::<Header>() == LINE);
    assert!(size_of::<WaitLine>() == LINE);
    assert!(size_of::<LaneRecord>() == 2 * LINE);
    assert!(size_of::<ConsumerRecord>() == LINE);
    assert!(offset_of!(Header, magic) == 0);
    assert!(offset_of!(Header, layout_hash) == 16);
    assert!(offset_of!(Header, capacity) == 48);
    assert!(offset_of!(Header, created_ns) == 88);
    assert!(offset_of!(Header, lanes_used) == 96);
    assert!(offset_of!(LaneRecord, name) == 24);
    assert!(offset_of!(LaneRecord, tail) == LINE);
    assert!(offset_of!(LaneRecord, last_publish_ns) == LINE + 32);
    assert!(offset_of!(ConsumerRecord, name) == 32);
    assert!(offset_of!(ConsumerRecord, received) == 80);
};

/// Index of a struct's field in words.
macro_rules! word_of {
    ($type:ty, $field:ident) => {
        (std::mem::offset_of!($type, $field) / $crate::layout::WORD)
    };
}
pub(crate) use word_of;

/// Which messages a segment carries; part of the layout, so that nobody reads interest as ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Kind {
    /// [`MarketDataMessage`](crate::message::MarketDataMessage)s.
    Ticks = 1,
    /// What proxies' clients want: see [`interest`](crate::interest).
    Interest = 2,
    /// Small JSON texts: see [`event`](crate::event).
    Events = 3,
}

/// What a producer does when a slot is still needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Policy {
    /// Write on; whoever is overtaken counts what it lost.
    Overwrite = 1,
    /// Refuse while the slowest registered, living consumer still needs the slot.
    Lossless = 2,
}

impl Policy {
    /// `overwrite` or `lossless`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Overwrite => "overwrite",
            Self::Lossless => "lossless",
        }
    }
}

/// The shape of one segment, checked: every offset that it gives lies inside [`Layout::total_bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Which messages.
    pub kind: Kind,
    /// Number of lanes.
    pub lanes: usize,
    /// Number of consumer records.
    pub consumers: usize,
    /// Slots of a lane, a power of two.
    pub capacity: usize,
    /// Bytes of a slot, a multiple of 64.
    pub stride: usize,
    /// Depth levels a side (0 for other kinds than ticks).
    pub depth_levels: usize,
    /// What a full lane does.
    pub policy: Policy,
}

/// Bytes of a tick's slot for a book of `depth_levels` a side, a multiple of 64.
pub const fn tick_stride(depth_levels: usize) -> usize {
    ((LEVELS_WORD + 2 * LEVEL_WORDS * depth_levels) * WORD).next_multiple_of(SLOT_ALIGN)
}

impl Layout {
    /// A layout with as many slots (a power of two) as fit into `buffer_size` bytes a lane.
    ///
    /// # Errors
    /// `ERR_INVALID_OPTION` when a number is out of its range or fewer than two slots fit.
    pub fn new(
        kind: Kind,
        lanes: usize,
        consumers: usize,
        buffer_size: usize,
        stride: usize,
        depth_levels: usize,
        policy: Policy,
    ) -> Result<Self> {
        let option = |what: String| Err(Error::new(ErrorCode::InvalidOption, what));
        let largest = tick_stride(MAX_DEPTH_LEVELS);
        if !(2 * SLOT_ALIGN..=largest).contains(&stride) {
            return option(format!(
                "stride {stride} is out of range: expected {} to {largest}",
                2 * SLOT_ALIGN
            ));
        }
        if !(2 * stride..=MAX_BUFFER_SIZE).contains(&buffer_size) {
            return option(format!(
                "buffer size {buffer_size} bytes is out of range: expected {} (two slots of {stride} bytes) to {MAX_BUFFER_SIZE}",
                2 * stride
            ));
        }
        let slots = buffer_size / stride;
        let capacity = 1usize << slots.ilog2();
        let layout = Self { kind, lanes, consumers, capacity, stride, depth_levels, policy };
        match layout.fault() {
            Some(fault) => option(fault),
            None => Ok(layout),
        }
    }

    /// What is wrong with these numbers, if anything is.
    fn fault(&self) -> Option<String> {
        let ranges = [
            ("lanes", self.lanes, 1, MAX_LANES),
            ("consumers", self.consumers, 1, MAX_CONSUMERS),
            ("capacity", self.capacity, 2, MAX_BUFFER_SIZE / SLOT_ALIGN),
            ("stride", self.stride, 2 * SLOT_ALIGN, tick_stride(MAX_DEPTH_LEVELS)),
            ("depth levels", self.depth_levels, 0, MAX_DEPTH_LEVELS),
        ];
        for (what, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Some(format!("{what} {value} is out of range: expected {least} to {most}"));
            }
        }
        if !self.capacity.is_power_of_two() {
            return Some(format!("capacity {} is not a power of two", self.capacity));
        }
        if !self.stride.is_multiple_of(SLOT_ALIGN) {
            return Some(format!("stride {} is not a multiple of {SLOT_ALIGN}", self.stride));
        }
        if self.kind == Kind::Ticks && self.stride != tick_stride(self.depth_levels) {
            return Some(format!(
                "stride {} does not fit {} depth levels: expected {}",
                self.stride,
                self.depth_levels,
                tick_stride(self.depth_levels)
            ));
        }
        if self.capacity > MAX_BUFFER_SIZE / self.stride {
            return Some(format!(
                "{} slots of {} bytes are more than {MAX_BUFFER_SIZE} bytes",
                self.capacity, self.stride
            ));
        }
        None
    }

    /// Rebuilds a layout from a header's words, which may hold anything.
    ///
    /// # Errors
    /// `ERR_SHM_LAYOUT` or `ERR_SHM_VERSION`, with what was found and what was expected.
    pub(crate) fn from_header(word: impl Fn(usize) -> u64, mapped_bytes: usize) -> Result<Self> {
        let corrupt = |what: String| Err(Error::new(ErrorCode::ShmLayout, what));
        let magic = word(word_of!(Header, magic));
        if magic != MAGIC {
            return corrupt(format!(
                "not a segment of this library: its first word is {magic:#018x}, expected {MAGIC:#018x}"
            ));
        }
        let version = word(word_of!(Header, version));
        if version != FORMAT_VERSION {
            return Err(Error::new(
                ErrorCode::ShmVersion,
                format!("the segment has format version {version}, this library reads {FORMAT_VERSION}"),
            ));
        }
        let hash = word(word_of!(Header, layout_hash));
        if hash != layout_hash() {
            return corrupt(format!(
                "layout hash {hash:#018x}, expected {:#018x}: it was made on another kind of machine or by another build",
                layout_hash()
            ));
        }
        let kind = match word(word_of!(Header, kind)) {
            1 => Kind::Ticks,
            2 => Kind::Interest,
            3 => Kind::Events,
            other => return corrupt(format!("kind of messages {other}, expected 1 to 3")),
        };
        let policy = match word(word_of!(Header, policy)) {
            1 => Policy::Overwrite,
            2 => Policy::Lossless,
            other => return corrupt(format!("policy {other}, expected 1 or 2")),
        };
        let size = |index: usize| usize::try_from(word(index)).unwrap_or(usize::MAX);
        let layout = Self {
            kind,
            lanes: size(word_of!(Header, lanes)),
            consumers: size(word_of!(Header, consumers)),
            capacity: size(word_of!(Header, capacity)),
            stride: size(word_of!(Header, stride)),
            depth_levels: size(word_of!(Header, depth_levels)),
            policy,
        };
        if let Some(fault) = layout.fault() {
            return corrupt(fault);
        }
        let total = size(word_of!(Header, total_bytes));
        if total != layout.total_bytes() {
            return corrupt(format!(
                "the header says {total} bytes, its own numbers make {}",
                layout.total_bytes()
            ));
        }
        if mapped_bytes < total {
            return corrupt(format!("the header says {total} bytes, the segment has {mapped_bytes}"));
        }
        Ok(layout)
    }

    /// The header's words for this layout, magic included, in order.
    pub(crate) fn header_words(&self, created_ns: u64) -> [(usize, u64); 12] {
        [
            (word_of!(Header, version), FORMAT_VERSION),
            (word_of!(Header, layout_hash), layout_hash()),
            (word_of!(Header, kind), self.kind as u64),
            (word_of!(Header, lanes), self.lanes as u64),
            (word_of!(Header, consumers), self.consumers as u64),
            (word_of!(Header, capacity), self.capacity as u64),
            (word_of!(Header, stride), self.stride as u64),
            (word_of!(Header, depth_levels), self.depth_levels as u64),
            (word_of!(Header, policy), self.policy as u64),
            (word_of!(Header, total_bytes), self.total_bytes() as u64),
            (word_of!(Header, created_ns), created_ns),
            (word_of!(Header, magic), MAGIC),
        ]
    }

    /// Words of a slot, stamp included.
    pub const fn slot_words(&self) -> usize {
        self.stride / WORD
    }

    pub(crate) const fn futex_word(&self) -> usize {
        LINE / WORD + word_of!(WaitLine, futex)
    }

    pub(crate) const fn lane_word(&self, lane: usize) -> usize {
        (2 * LINE + lane * size_of::<LaneRecord>()) / WORD
    }

    const fn consumer_words(&self) -> usize {
        (size_of::<ConsumerRecord>() + self.lanes * WORD).next_multiple_of(LINE) / WORD
    }

    pub(crate) const fn consumer_word(&self, consumer: usize) -> usize {
        self.lane_word(self.lanes) + consumer * self.consumer_words()
    }

    pub(crate) const fn cursor_word(&self, consumer: usize, lane: usize) -> usize {
        self.consumer_word(consumer) + size_of::<ConsumerRecord>() / WORD + lane
    }

    /// Bytes before the first slot.
    pub(crate) const fn slots_offset(&self) -> usize {
        (self.consumer_word(self.consumers) * WORD).next_multiple_of(PAGE)
    }

    /// First word of a lane's slots.
    pub(crate) const fn lane_slots_word(&self, lane: usize) -> usize {
        self.slots_offset() / WORD + lane * self.capacity * self.slot_words()
    }

    /// Bytes of one lane's slots.
    pub const fn lane_bytes(&self) -> usize {
        self.capacity * self.stride
    }

    /// Bytes of the whole segment.
    pub const fn total_bytes(&self) -> usize {
        self.slots_offset() + self.lanes * self.lane_bytes()
    }
}

/// FNV-1a over what two builds must agree on: byte order, word size, sizes and offsets of the structs above,
/// where a tick has its parts, and the names and places of its fields. What words mean is the version's.
pub const fn layout_hash() -> u64 {
    layout_hash_on(u64::from_ne_bytes(BYTE_ORDER_MARK), size_of::<usize>())
}

/// Bytes that make another number on a machine of another byte order.
pub const BYTE_ORDER_MARK: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// The [`layout_hash`] of this build on a machine that reads [`BYTE_ORDER_MARK`] as `byte_order` and whose
/// addresses have `word_bytes` bytes.
pub const fn layout_hash_on(byte_order: u64, word_bytes: usize) -> u64 {
    let numbers = [
        byte_order,
        word_bytes as u64,
        size_of::<Header>() as u64,
        size_of::<LaneRecord>() as u64,
        size_of::<ConsumerRecord>() as u64,
        offset_of!(Header, lanes_used) as u64,
        offset_of!(WaitLine, futex) as u64,
        offset_of!(LaneRecord, name) as u64,
        offset_of!(LaneRecord, tail) as u64,
        offset_of!(LaneRecord, last_publish_ns) as u64,
        offset_of!(ConsumerRecord, gates) as u64,
        offset_of!(ConsumerRecord, name) as u64,
        offset_of!(ConsumerRecord, received) as u64,
        NAME_BYTES as u64,
        PAGE as u64,
        SLOT_HEADER_WORDS as u64,
        TOPIC_WORD as u64,
        EXCHANGE_BYTES as u64,
        SYMBOL_BYTES as u64,
        LEVELS_WORD as u64,
        LEVEL_WORDS as u64,
        MODE_SHIFT as u64,
        BUYS_SHIFT as u64,
        SELLS_SHIFT as u64,
        crate::interest::STRIDE as u64,
        crate::event::STRIDE as u64,
    ];
    let mut hash = FNV_START;
    let mut i = 0;
    while i < numbers.len() {
        hash = fnv1a_on(hash, &numbers[i].to_le_bytes());
        i += 1;
    }
    let mut field = 0;
    while field < Field::NAMES.len() {
        hash = fnv1a_on(fnv1a_on(hash, Field::NAMES[field].as_bytes()), &[Field::ALL[field].word() as u8]);
        field += 1;
    }
    hash
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a of some bytes.
pub(crate) const fn fnv1a(bytes: &[u8]) -> u64 {
    fnv1a_on(FNV_START, bytes)
}

const fn fnv1a_on(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    hash
}
