//! The eight words that every message begins with: the first line of a message in the ring.
//!
//! ```text
//! word 0  stamp in the ring; sequence in a reader's copy
//!      1  meta: topic number 32 bits · mode 2 · synonym words 2 · pairs of annex words 4 · lines 8 (lane in a copy)
//!         · buy levels 8 · sell levels 8
//!      2  sequence, low 32 bits (in a copy: where the other words begin) · presence bits 32
//!      3  publish time, ns of the monotonic clock
//!      4  ltp · volume · ltt · timestamp
//! ```
//!
//! The words behind the first line: the fields from the fifth on that are present, the levels, the annex, the synonym
//! words.
//!
//! A message that is no tick has the number of its words in place of the presence bits, and its first four
//! words in place of the four fields.

use super::{LEVEL_WORDS, Mode, SYNONYM_WORDS};

/// Words of a line, and of a head.
pub const LINE_WORDS: usize = 8;
/// Words of a message in its first line.
pub const HEAD_PAYLOAD: usize = 4;
/// Words of a message in each further line.
pub const LINE_PAYLOAD: usize = LINE_WORDS - 1;

/// The first eight words of a message.
pub type Head = [u64; LINE_WORDS];

pub(crate) const META: usize = 1;
pub(crate) const PRESENCE: usize = 2;
pub(crate) const PUBLISH_NS: usize = 3;
pub(crate) const PAYLOAD: usize = 4;

const MODE_SHIFT: u32 = 32;
const SYNONYMS_SHIFT: u32 = 34;
const ANNEX_SHIFT: u32 = 36;
const LINES_SHIFT: u32 = 40;
const BUYS_SHIFT: u32 = 48;
const SELLS_SHIFT: u32 = 56;
/// Presence bits of the fields in the first line.
pub(crate) const HEAD_FIELDS: u32 = (1 << HEAD_PAYLOAD) - 1;

/// The meta word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta(pub u64);

impl Meta {
    pub(crate) const fn new(mode: Mode) -> Self {
        Self((mode as u64) << MODE_SHIFT)
    }

    pub(crate) const fn topic(self) -> u32 {
        self.0 as u32
    }

    pub(crate) const fn mode(self) -> u8 {
        (self.0 >> MODE_SHIFT & 0b11) as u8
    }

    /// Words that say which synonyms the tick has: at most [`SYNONYM_WORDS`] in a message, 3 is corrupt.
    pub(crate) const fn synonym_words(self) -> usize {
        (self.0 >> SYNONYMS_SHIFT & 0b11) as usize
    }

    /// Words of the annex: an even number, at most [`ANNEX_WORDS`](super::ANNEX_WORDS).
    pub(crate) const fn annex_words(self) -> usize {
        2 * (self.0 >> ANNEX_SHIFT & 0xf) as usize
    }

    /// Lines of the message, the first included.
    pub(crate) const fn lines(self) -> usize {
        (self.0 >> LINES_SHIFT & 0xff) as usize
    }

    pub(crate) const fn buys(self) -> usize {
        (self.0 >> BUYS_SHIFT & 0xff) as usize
    }

    pub(crate) const fn sells(self) -> usize {
        (self.0 >> SELLS_SHIFT) as usize
    }

    /// True if there are levels, an annex or synonym words, of a meta word [`without_place`](Self::without_place).
    pub(crate) const fn has_more_than_fields(self) -> bool {
        self.0 >> SYNONYMS_SHIFT != 0
    }

    /// True of a message of one line that has no levels, no annex and no synonym words.
    pub(crate) const fn is_one_line(self) -> bool {
        self.0 >> SYNONYMS_SHIFT == 1 << (LINES_SHIFT - SYNONYMS_SHIFT)
    }

    /// What there is behind the fields: counts of levels, annex words and synonym words.
    pub(crate) const fn behind_fields(self) -> u64 {
        self.0 & (0b11 << SYNONYMS_SHIFT | 0xf << ANNEX_SHIFT | 0xffff << BUYS_SHIFT)
    }

    /// Mode and counts alone.
    pub(crate) const fn without_place(self) -> Self {
        const KEPT: u64 =
            0b11 << MODE_SHIFT | 0b11 << SYNONYMS_SHIFT | 0xf << ANNEX_SHIFT | 0xffff << BUYS_SHIFT;
        Self(self.0 & KEPT)
    }

    pub(crate) const fn with_levels(self, buys: u8, sells: u8) -> Self {
        let others = self.0 & !(0xffff << BUYS_SHIFT);
        Self(others | (buys as u64) << BUYS_SHIFT | (sells as u64) << SELLS_SHIFT)
    }

    /// With so many synonym words, but no more than a message can have.
    pub(crate) const fn with_synonym_words(self, words: usize) -> Self {
        let words = if words < SYNONYM_WORDS { words } else { SYNONYM_WORDS };
        Self(self.0 & !(0b11 << SYNONYMS_SHIFT) | (words as u64) << SYNONYMS_SHIFT)
    }

    /// With so many words of an annex, an even number.
    pub(crate) const fn with_annex_words(self, words: usize) -> Self {
        Self(self.0 & !(0xf << ANNEX_SHIFT) | (words as u64 / 2) << ANNEX_SHIFT)
    }

    /// Words behind the levels.
    pub(crate) const fn words_behind_levels(self) -> usize {
        self.annex_words() + self.synonym_words()
    }

    /// With topic and lines; both are 0 before.
    pub(crate) const fn placed(self, topic: u32, lines: usize) -> Self {
        Self(self.0 | topic as u64 | (lines as u64) << LINES_SHIFT)
    }

    /// A reader's copy holds the lane in place of the number of lines.
    #[inline]
    pub(crate) const fn with_lane(self, lane: usize) -> Self {
        Self(self.0 & !(0xff << LINES_SHIFT) | (lane as u64) << LINES_SHIFT)
    }

    pub(crate) const fn lane(self) -> usize {
        self.lines()
    }
}

/// Words of a tick behind its first line, of which `behind_levels` are annex and synonym words.
pub(crate) const fn rest_words(presence: u32, levels: usize, behind_levels: usize) -> usize {
    (presence & !HEAD_FIELDS).count_ones() as usize + levels * LEVEL_WORDS + behind_levels
}

/// Lines of a message with so many words behind its first line.
pub(crate) const fn lines_of(rest_words: usize) -> usize {
    1 + rest_words.div_ceil(LINE_PAYLOAD)
}
