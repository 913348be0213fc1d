//! Events: small JSON texts, such as order updates. They are rare; the ring is the same.
//!
//! ```text
//! word 0 bytes of the text · 1 text in UTF-8, zero-padded
//! ```

/// Longest text in bytes of UTF-8.
pub const TEXT_BYTES: usize = 2016;
/// Words of the longest event.
pub const MAX_WORDS: usize = 1 + TEXT_BYTES / 8;
