//! Where a lane ends, as its owner recorded it.
//!
//! The owner records the tail at every flush, and before a quarter of the lane was written since. It stores
//! the sequence first and the position after it, so that a position tells which sequence belongs to it: if
//! the sequence is a later one, the message at the position is whole and says its own.

use super::layout::{LaneRecord, POSITION_LIMIT, word_of};
use super::lines::{self, Line, begins, inside};
use crate::sync::{AtomicU64, Ordering};

/// The end of a message, and the sequence of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    pub position: u64,
    pub sequence: u64,
}

/// Looks that an owner can be ahead of a reader of the tail: of the smallest lanes it can overwrite the message
/// at the tail between two loads of the reader, again and again.
const TRIES: usize = if cfg!(loom) { 8 } else { 1024 };

/// Records a tail. Two stores.
#[inline]
pub(crate) fn record(record: &[AtomicU64], tail: Tail) {
    // Release, both, pair with the Acquire loads in `read`: a reader that sees a sequence sees the messages
    // before it, and one that sees a position sees its sequence or a later one.
    record[word_of!(LaneRecord, sequence)].store(tail.sequence, Ordering::Release);
    record[word_of!(LaneRecord, tail)].store(tail.position, Ordering::Release);
}

/// The recorded tail, with the sequence that belongs to it.
pub(crate) fn read(record: &[AtomicU64], lines: &[Line]) -> Tail {
    let mut tail = Tail { position: 0, sequence: 0 };
    for _ in 0..TRIES {
        // Acquire, pair with the Release stores in `record`.
        let position = record[word_of!(LaneRecord, tail)].load(Ordering::Acquire).min(POSITION_LIMIT);
        let sequence = record[word_of!(LaneRecord, sequence)].load(Ordering::Acquire).min(POSITION_LIMIT);
        tail = Tail { position, sequence };
        if let Some((_, low)) = lines::peek(lines, position) {
            return Tail { position, sequence: lines::nearest(sequence, low) };
        }
        if lines::stamp(lines, position) < begins(position) {
            break;
        }
    }
    tail
}

/// True if the lane has been at this position, as the line before it says: it is inside of or begins the
/// message that ends here. False of a tail that was made up, and of one that is a lap behind.
pub(crate) fn is_confirmed(lines: &[Line], position: u64) -> bool {
    let Some(last) = position.checked_sub(1) else { return true };
    let stamp = lines::stamp(lines, last);
    position < POSITION_LIMIT && (stamp == inside(last) || stamp == begins(last))
}

/// True if the number of messages from one boundary to another, which is not before it, fits the number of lines
/// between them.
pub(crate) fn is_plausible(from: Tail, to: Tail, longest: usize) -> bool {
    let lines = to.position - from.position;
    let messages = to.sequence.wrapping_sub(from.sequence);
    (lines.div_ceil(longest as u64)..=lines).contains(&messages)
}
