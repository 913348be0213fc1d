//! Events: small JSON texts, such as order updates. They are rare; the ring is the same.

use crate::error::{Error, ErrorCode, Result};
use crate::extent::Extent;
use crate::layout::{SLOT_ALIGN, SLOT_HEADER_WORDS};

/// First word of the text; the word before holds its length in bytes.
const TEXT_WORD: usize = SLOT_HEADER_WORDS + 1;
/// Longest text in bytes of UTF-8.
pub const TEXT_BYTES: usize = 2048 - TEXT_WORD * 8;
/// Bytes of a slot.
pub const STRIDE: usize = (TEXT_WORD * 8 + TEXT_BYTES).next_multiple_of(SLOT_ALIGN);

/// A text in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventMessage {
    words: Vec<u64>,
}

impl EventMessage {
    /// # Errors
    /// `ERR_MESSAGE_TOO_LONG` beyond [`TEXT_BYTES`].
    pub fn new(text: &str) -> Result<Self> {
        if text.len() > TEXT_BYTES {
            return Err(Error::new(
                ErrorCode::MessageTooLong,
                format!("an event of {} bytes does not fit: expected at most {TEXT_BYTES}", text.len()),
            ));
        }
        let mut words = vec![0; TEXT_WORD + text.len().div_ceil(8)];
        words[1] = Extent::prefix(words.len()).to_word();
        words[TEXT_WORD - 1] = text.len() as u64;
        for (word, bytes) in words[TEXT_WORD..].iter_mut().zip(text.as_bytes().chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        Ok(Self { words })
    }

    /// The words as they go into a slot.
    pub fn as_words(&self) -> &[u64] {
        &self.words
    }
}
