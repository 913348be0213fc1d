//! Events: small JSON texts, such as order updates. They are rare; the ring is the same.
//!
//! ```text
//! word 0 stamp · 1 extent · 2 publish time · 3 bytes of the text · 4 text in UTF-8, zero-padded
//! ```

use crate::layout::{SLOT_ALIGN, SLOT_HEADER_WORDS};

/// First word of the text; the word before holds its length in bytes.
pub(crate) const TEXT_WORD: usize = SLOT_HEADER_WORDS + 1;
/// Longest text in bytes of UTF-8.
pub const TEXT_BYTES: usize = 2048 - TEXT_WORD * 8;
/// Bytes of a slot.
pub const STRIDE: usize = (TEXT_WORD * 8 + TEXT_BYTES).next_multiple_of(SLOT_ALIGN);
