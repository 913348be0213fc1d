//! The topic table of a lane: the names behind the numbers that its ticks carry.
//!
//! It is only appended to. The owner writes a name, then the table's length; what was written is never
//! changed, and the next owner goes on behind it. So a number means the same for the life of the segment.

use super::layout::{LaneRecord, word_of};
use super::lines::Line;
use crate::message::TOPIC_WORDS;
use crate::sync::{AtomicU64, Ordering};

/// Number of entries that are written.
pub(crate) fn length(record: &[AtomicU64]) -> u64 {
    // Acquire, pairs with the Release store in `append`: entries below the length are whole.
    record[word_of!(LaneRecord, topics)].load(Ordering::Acquire)
}

/// Writes a name as the entry with this number. Called by the owner of the lane, with the table's length.
pub(crate) fn append(record: &[AtomicU64], table: &[Line], number: u32, name: &[u64; TOPIC_WORDS]) {
    for (word, value) in table[number as usize].iter().zip(name) {
        word.store(*value, Ordering::Relaxed);
    }
    store_length(record, number + 1);
}

/// Shows the number of entries that are written. The owner does it again now and then: a reader believes it,
/// and another process may have changed it.
pub(crate) fn store_length(record: &[AtomicU64], length: u32) {
    // Release, pairs with the Acquire load in `length`.
    record[word_of!(LaneRecord, topics)].store(u64::from(length), Ordering::Release);
}

/// The words of an entry below the table's length.
pub(crate) fn read_name(entry: &Line) -> [u64; TOPIC_WORDS] {
    // Relaxed: the entry is whole since before the length was stored that led here.
    std::array::from_fn(|word| entry[word].load(Ordering::Relaxed))
}
