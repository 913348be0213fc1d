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
//!          │ topic tables     lanes × topics × 64                         │
//!          ├──────────────────────────────────────────────────────────────┤ page boundary
//!          │ lines            lanes × capacity × 64                       │
//!          └──────────────────────────────────────────────────────────────┘
//! ```
//!
//! The whole segment is an array of little-endian u64 words, all accessed as atomics: the structs below
//! give offsets their names and are never laid over the memory. Records that one side writes and another
//! reads are 128 bytes apart: x86-64 fetches pairs of 64-byte lines, and Apple's arm64 has lines of 128.
//! Lines of a lane are 64 bytes apart: they are read in the order in which they are written, so that the
//! fetch of a pair brings the next message along.

use std::mem::{offset_of, size_of};

use crate::error::{Error, ErrorCode, Result};
use crate::message::head::{Meta, lines_of, rest_words};
use crate::message::{
    ANNEX_WORDS, EXCHANGE_BYTES, Field, HEAD_PAYLOAD, LEVEL_WORDS, LINE_WORDS, SYMBOL_BYTES, SYNONYM_WORDS,
};

/// First word of a finished segment: `OASHMRNG` read as a little-endian number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"OASHMRNG");
/// Version of the segment format. Readers refuse every other one.
pub const FORMAT_VERSION: u64 = 4;

/// Bytes of a word.
pub const WORD: usize = size_of::<u64>();
/// Bytes that one side writes alone.
pub const ALONE: usize = 128;
/// Bytes of a line of a lane, and of an entry of a topic table.
pub const LINE: usize = LINE_WORDS * WORD;
/// Topic tables and lines begin at multiples of this many bytes.
pub const PAGE: usize = if cfg!(loom) { ALONE } else { 4096 };
/// Longest name of a publisher or subscriber, in bytes.
pub const NAME_BYTES: usize = 48;

/// Most lanes of a segment.
pub const MAX_LANES: usize = 64;
/// Most registered consumers of a segment.
pub const MAX_CONSUMERS: usize = 256;
/// Most depth levels a side.
pub const MAX_DEPTH_LEVELS: usize = 200;
/// Most bytes of lines in one lane (4 GiB).
pub const MAX_BUFFER_SIZE: usize = 1 << 32;
/// Most topics of one lane.
pub const MAX_TOPICS: usize = 1 << 18;

/// Positions and sequences beyond this cannot be reached: a line every nanosecond would take two years.
/// What says so is corrupt. Stamps of smaller ones cannot overflow.
pub const POSITION_LIMIT: u64 = 1 << 56;

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
    pub longest: u64,
    pub topics: u64,
    pub depth_levels: u64,
    pub policy: u64,
    pub total_bytes: u64,
    /// Wall clock, ns since 1970.
    pub created_ns: u64,
    /// Lanes that ever had an owner: consumers poll no further.
    pub lanes_used: u64,
    pad: [u64; 2],
}

/// The word that sleeping consumers wait on.
#[repr(C, align(128))]
pub(crate) struct WaitLine {
    pub futex: u64,
    pad: [u64; 15],
}

/// One lane: who owns it (seldom written), and its counters (the tail every 64 lines, others when they change).
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
    /// Position behind the last message that the owner recorded, every 64 lines: always the end of a message.
    pub tail: u64,
    /// Sequence of the message that belongs at `tail`. Stored before it; see `tail.rs`.
    pub sequence: u64,
    /// Entries of the topic table that are written.
    pub topics: u64,
    /// Messages that were refused because the topic table was full.
    pub topics_refused: u64,
    /// Messages that a full lossless ring refused.
    pub rejected: u64,
    /// Publishes whose duration was measured, and the sum of those durations in ns.
    pub sampled: u64,
    pub sampled_ns: u64,
    /// Time of the last message before `tail`, ns of the monotonic clock.
    pub last_publish_ns: u64,
    pad_counters: [u64; 8],
}

/// One registered consumer, written by it alone; the cursors of its lanes (positions) follow.
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
    /// Sum of the next sequences of all lanes, for monitors.
    pub next: u64,
    pad: [u64; 1],
}

const _: () = {
    assert!(size_of::<Header>() == ALONE);
    assert!(size_of::<WaitLine>() == ALONE);
    assert!(size_of::<LaneRecord>() == 2 * ALONE);
    assert!(size_of::<ConsumerRecord>() == ALONE);
    assert!(offset_of!(Header, magic) == 0);
    assert!(offset_of!(Header, version) == 8);
    assert!(offset_of!(Header, layout_hash) == 16);
    assert!(offset_of!(Header, created_ns) == 96);
    assert!(offset_of!(Header, lanes_used) == 104);
    assert!(offset_of!(LaneRecord, name) == 24);
    assert!(offset_of!(LaneRecord, tail) == ALONE);
    assert!(offset_of!(LaneRecord, last_publish_ns) == ALONE + 56);
    assert!(offset_of!(ConsumerRecord, name) == 32);
    assert!(offset_of!(ConsumerRecord, received) == 80);
};

/// Index of a struct's field in words.
macro_rules! word_of {
    ($type:ty, $field:ident) => {
        (std::mem::offset_of!($type, $field) / $crate::segment::layout::WORD)
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

/// What a producer does when a line is still needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Policy {
    /// Write on. A consumer that is overtaken counts what it lost.
    Overwrite = 1,
    /// Refuse while the slowest registered, living consumer still needs the line.
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
    /// Lines of a lane, a power of two: so many LTP ticks it holds.
    pub capacity: usize,
    /// Lines of the longest message.
    pub longest: usize,
    /// Entries of a lane's topic table (0 for other kinds than ticks).
    pub topics: usize,
    /// Depth levels a side (0 for other kinds than ticks).
    pub depth_levels: usize,
    /// What a full lane does.
    pub policy: Policy,
}

/// Lines of the longest tick: with all fields, a book of `depth_levels` a side, an annex and synonyms.
pub const fn longest_tick(depth_levels: usize) -> usize {
    lines_of(rest_words(u32::MAX, 2 * depth_levels, ANNEX_WORDS + SYNONYM_WORDS))
}

/// Lines of a message of so many plain words.
pub const fn lines_of_words(words: usize) -> usize {
    lines_of(words.saturating_sub(HEAD_PAYLOAD))
}

/// The smallest lane for messages of so many lines, in bytes.
pub const fn smallest_buffer(longest: usize) -> usize {
    // Two messages, so that the last one survives while the next is written.
    (2 * longest).next_power_of_two() * LINE
}

impl Layout {
    /// What is wrong with these numbers, if anything is.
    pub(crate) fn fault(&self) -> Option<String> {
        let ticks = self.kind == Kind::Ticks;
        let longest = longest_tick(MAX_DEPTH_LEVELS);
        let ranges = [
            ("lanes", self.lanes, 1, MAX_LANES),
            ("consumers", self.consumers, 1, MAX_CONSUMERS),
            ("capacity", self.capacity, 2, MAX_BUFFER_SIZE / LINE),
            ("lines of a message", self.longest, 1, longest),
            ("topics", self.topics, usize::from(ticks), if ticks { MAX_TOPICS } else { 0 }),
            ("depth levels", self.depth_levels, 0, if ticks { MAX_DEPTH_LEVELS } else { 0 }),
        ];
        for (what, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Some(format!("{what} {value} is out of range: expected {least} to {most}"));
            }
        }
        if !self.capacity.is_power_of_two() {
            return Some(format!("capacity {} is not a power of two", self.capacity));
        }
        if ticks && self.longest != longest_tick(self.depth_levels) {
            return Some(format!(
                "messages of {} lines do not fit {} depth levels: expected {}",
                self.longest,
                self.depth_levels,
                longest_tick(self.depth_levels)
            ));
        }
        if self.lane_bytes() < smallest_buffer(self.longest) {
            return Some(format!(
                "capacity {} is too small for messages of {} lines",
                self.capacity, self.longest
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
                format!(
                    "the segment has format version {version}, this library uses {FORMAT_VERSION}: end the programs of the other version, then remove it with `openalgo-shm cleanup`"
                ),
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
            longest: size(word_of!(Header, longest)),
            topics: size(word_of!(Header, topics)),
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

    /// The header's words for this layout, magic included, in the order of writing.
    pub(crate) fn header_words(&self, created_ns: u64) -> [(usize, u64); 13] {
        [
            (word_of!(Header, version), FORMAT_VERSION),
            (word_of!(Header, layout_hash), layout_hash()),
            (word_of!(Header, kind), self.kind as u64),
            (word_of!(Header, lanes), self.lanes as u64),
            (word_of!(Header, consumers), self.consumers as u64),
            (word_of!(Header, capacity), self.capacity as u64),
            (word_of!(Header, longest), self.longest as u64),
            (word_of!(Header, topics), self.topics as u64),
            (word_of!(Header, depth_levels), self.depth_levels as u64),
            (word_of!(Header, policy), self.policy as u64),
            (word_of!(Header, total_bytes), self.total_bytes() as u64),
            (word_of!(Header, created_ns), created_ns),
            (word_of!(Header, magic), MAGIC),
        ]
    }

    /// Lines of a message, and its words behind the first; `None` if its counts cannot be those of a message.
    /// `ticks` is whether the kind is that of ticks: known to the compiler where it matters.
    #[inline]
    pub(crate) fn extent(&self, ticks: bool, meta: Meta, presence: u32) -> Option<(usize, usize)> {
        let (lines, words) = if ticks {
            let deepest = meta.buys().max(meta.sells());
            let words = rest_words(presence, meta.buys() + meta.sells(), meta.words_behind_levels());
            let is_possible = deepest <= self.depth_levels && meta.synonym_words() <= SYNONYM_WORDS;
            (if is_possible { lines_of(words) } else { 0 }, words)
        } else {
            let words = presence as usize;
            (lines_of_words(words), words.saturating_sub(HEAD_PAYLOAD))
        };
        (lines == meta.lines() && (1..=self.longest).contains(&lines)).then_some((lines, words))
    }

    /// Words of the longest message behind its first line.
    pub const fn longest_rest(&self) -> usize {
        (self.longest - 1) * crate::message::LINE_PAYLOAD
    }

    pub(crate) const fn futex_word(&self) -> usize {
        ALONE / WORD + word_of!(WaitLine, futex)
    }

    pub(crate) const fn lane_word(&self, lane: usize) -> usize {
        (2 * ALONE + lane * size_of::<LaneRecord>()) / WORD
    }

    const fn consumer_words(&self) -> usize {
        (size_of::<ConsumerRecord>() + self.lanes * WORD).next_multiple_of(ALONE) / WORD
    }

    pub(crate) const fn consumer_word(&self, consumer: usize) -> usize {
        self.lane_word(self.lanes) + consumer * self.consumer_words()
    }

    pub(crate) const fn cursor_word(&self, consumer: usize, lane: usize) -> usize {
        self.consumer_word(consumer) + size_of::<ConsumerRecord>() / WORD + lane
    }

    /// Bytes before the topic tables.
    pub(crate) const fn records_bytes(&self) -> usize {
        (self.consumer_word(self.consumers) * WORD).next_multiple_of(PAGE)
    }

    /// Bytes before a lane's topic table.
    pub(crate) const fn topics_offset(&self, lane: usize) -> usize {
        self.records_bytes() + lane * self.topics * LINE
    }

    /// Bytes before a lane's lines.
    pub(crate) const fn lines_offset(&self, lane: usize) -> usize {
        self.topics_offset(self.lanes).next_multiple_of(PAGE) + lane * self.lane_bytes()
    }

    /// Bytes of one lane's lines.
    pub const fn lane_bytes(&self) -> usize {
        self.capacity * LINE
    }

    /// Bytes of the whole segment.
    pub const fn total_bytes(&self) -> usize {
        self.lines_offset(self.lanes)
    }
}

/// FNV-1a over what two builds must agree on: byte order, word size, sizes and offsets of the structs above,
/// the parts of a tick, and the names of its fields in order. What words mean is the version's.
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
        offset_of!(LaneRecord, sequence) as u64,
        offset_of!(LaneRecord, topics) as u64,
        offset_of!(LaneRecord, last_publish_ns) as u64,
        offset_of!(ConsumerRecord, gates) as u64,
        offset_of!(ConsumerRecord, name) as u64,
        offset_of!(ConsumerRecord, received) as u64,
        offset_of!(ConsumerRecord, next) as u64,
        NAME_BYTES as u64,
        PAGE as u64,
        LINE as u64,
        HEAD_PAYLOAD as u64,
        EXCHANGE_BYTES as u64,
        SYMBOL_BYTES as u64,
        LEVEL_WORDS as u64,
        crate::interest::WORDS as u64,
        crate::event::MAX_WORDS as u64,
    ];
    let mut hash = FNV_START;
    let mut i = 0;
    while i < numbers.len() {
        hash = fnv1a_on(hash, &numbers[i].to_le_bytes());
        i += 1;
    }
    let mut field = 0;
    while field < Field::NAMES.len() {
        hash = fnv1a_on(hash, Field::NAMES[field].as_bytes());
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
