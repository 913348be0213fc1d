//! Interest: what the clients of the proxies want, so that feeds subscribe at the broker for exactly that.
//!
//! One message says that one proxy wants one topic in some modes (none: no longer). A proxy repeats its
//! whole interest every second, so a feed that starts late, or was lapped, is right again within a second.
//! A message without a topic ends a repetition: what was missing in several is no longer wanted.

use crate::error::Result;
use crate::extent::Extent;
use crate::layout::SLOT_ALIGN;
use crate::message::{TOPIC_WORD, TOPIC_WORDS, topic_words};

/// Words of a message: a line of numbers, then the topic as in a tick.
const WORDS: usize = TOPIC_WORD + TOPIC_WORDS;
/// Bytes of a slot.
pub const STRIDE: usize = (WORDS * 8).next_multiple_of(SLOT_ALIGN);

/// One proxy's wish for one topic. `session` tells a lane's owner from the one before it.
///
/// ```text
/// word 0 stamp · 1 extent · 2 publish time · 3 modes (bit m for mode m) · 4 depth levels · 5 round · 6 session · 7 free
///      8 exchange, symbol
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct InterestMessage {
    words: [u64; WORDS],
}

impl InterestMessage {
    /// A wish. `depth` is the deepest book wanted (0 without), `round` numbers the repetitions.
    ///
    /// # Errors
    /// `ERR_INVALID_SYMBOL`.
    pub fn new(exchange: &str, symbol: &str, modes: u8, depth: u16, round: u32) -> Result<Self> {
        let mut words = [0; WORDS];
        words[1] = Extent::prefix(WORDS).to_word();
        words[3] = u64::from(modes);
        words[4] = u64::from(depth);
        words[5] = u64::from(round);
        words[TOPIC_WORD..].copy_from_slice(&topic_words(exchange, symbol)?);
        Ok(Self { words })
    }

    /// The words as they go into a slot.
    pub const fn as_words(&self) -> &[u64] {
        &self.words
    }
}
