//! Which words of a slot are in use: a prefix, and one run after it.

/// A prefix of `prefix` words, and `length` words from `start` on. Kept in word 1 of every slot, 16 bits
/// each; the upper 16 bits hold the lane in a consumer's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Words from the beginning of the slot, stamp included.
    pub prefix: u16,
    /// First word of the run.
    pub start: u16,
    /// Words of the run.
    pub length: u16,
}

const LANE_SHIFT: u32 = 48;

impl Extent {
    /// A message that is a prefix only.
    pub const fn prefix(words: usize) -> Self {
        Self { prefix: words as u16, start: words as u16, length: 0 }
    }

    /// As the word of a slot.
    pub const fn to_word(self) -> u64 {
        self.prefix as u64 | (self.start as u64) << 16 | (self.length as u64) << 32
    }

    /// From the word of a slot, which may hold anything.
    pub const fn from_word(word: u64) -> Self {
        Self { prefix: word as u16, start: (word >> 16) as u16, length: (word >> 32) as u16 }
    }

    /// True if both parts lie within `words`, and the slot's own words in the prefix alone.
    #[inline]
    pub const fn fits(self, words: usize) -> bool {
        self.prefix as usize >= crate::layout::SLOT_HEADER_WORDS
            && self.prefix as usize <= words
            && (self.length == 0 || self.start as usize >= crate::layout::SLOT_HEADER_WORDS)
            && self.start as usize + self.length as usize <= words
    }

    /// The end of the last word in use.
    pub const fn end(self) -> usize {
        let run = if self.length == 0 { 0 } else { self.start as usize + self.length as usize };
        if run > self.prefix as usize { run } else { self.prefix as usize }
    }

    pub(crate) const fn with_lane(self, lane: usize) -> u64 {
        self.to_word() | (lane as u64) << LANE_SHIFT
    }

    pub(crate) const fn lane_of(word: u64) -> usize {
        (word >> LANE_SHIFT) as usize
    }
}
