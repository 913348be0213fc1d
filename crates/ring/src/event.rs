//! Events: small JSON texts, such as order updates. They are rare; the ring is the same.
//!
//! ```text
//! word 0 bytes of the text · 1 text in UTF-8, zero-padded
//! ```

use crate::config::RingConfig;
use crate::error::{Error, ErrorCode, Result};
use crate::message::Record;
use crate::segment::layout::Kind;

/// Longest text in bytes of UTF-8.
pub const TEXT_BYTES: usize = 2016;
/// Words of the longest event.
pub const MAX_WORDS: usize = 1 + TEXT_BYTES / 8;

/// The ring that carries the events beside a ring of ticks: its name, and what it is made with.
pub fn ring_of(ticks: &str) -> (String, RingConfig) {
    let config = RingConfig::mpmc().lanes(32).buffer_size(512 << 10).of_kind(Kind::Events, MAX_WORDS);
    (format!("{ticks}.events"), config)
}

/// The words of an event.
///
/// # Errors
/// `ERR_MESSAGE_TOO_LONG` for more than 2016 bytes.
pub fn to_words(text: &str) -> Result<Vec<u64>> {
    if text.len() > TEXT_BYTES {
        return Err(Error::new(
            ErrorCode::MessageTooLong,
            format!("an event is {} bytes long as JSON, at most {TEXT_BYTES} fit", text.len()),
        ));
    }
    let mut words = vec![text.len() as u64];
    words.extend(text.as_bytes().chunks(8).map(|bytes| {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(padded)
    }));
    Ok(words)
}

/// The text of an event, which may hold anything: bytes that are not UTF-8 become U+FFFD.
pub fn read(record: Record<'_>) -> String {
    let mut words = record.words();
    let length = words.next().unwrap_or(0).min(TEXT_BYTES as u64) as usize;
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(length);
    String::from_utf8_lossy(&bytes).into_owned()
}
