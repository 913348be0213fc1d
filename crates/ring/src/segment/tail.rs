//! Where a lane ends.
//!
//! The owner records the tail every 64 lines ([`record_every`]), and not with each message: a second line that
//! is stored between those of the messages costs a third of the throughput, for the processor has fewer of them
//! on their way to the readers. From the recorded tail the stamps lead to the end.
//!
//! It stores the sequence first and the position after it, so that a position tells which sequence belongs to
//! it: if the sequence is a later one, the message at the position is whole and says its own.

use super::layout::{Kind, LaneRecord, Layout, POSITION_LIMIT, word_of};
use super::lines::{self, Line, begins, inside};
use crate::sync::{AtomicU64, Ordering};

/// The end of a message, and the sequence of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    pub position: u64,
    pub sequence: u64,
}

/// Attempts to read a tail and the message there together. In the smallest lanes the owner may overwrite the
/// message between two loads.
const TRIES: usize = if cfg!(loom) { 8 } else { 1024 };

/// How many lines an owner may write before it records the tail again. A quarter of the lane and the longest
/// message (half of it at most) are less than a lane: nothing from the recorded tail to the end is overwritten.
pub(crate) const fn record_every(capacity: usize) -> u64 {
    const LINES: usize = 64;
    let quarter = capacity / 4;
    if quarter < LINES { quarter as u64 } else { LINES as u64 }
}

/// Attempts to come from the recorded tail to the end before the owner laps the reader.
const LAPS: usize = 4;

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
        if let Some(found) = lines::peek(lines, position) {
            return Tail { position, sequence: lines::nearest(sequence, found.sequence) };
        }
        if lines::stamp(lines, position) < begins(position) {
            break;
        }
    }
    tail
}

/// The end of a lane, and the newest publish time behind the recorded tail, if there is any message.
///
/// No message between the recorded tail and the end is overwritten before the owner records the next tail, so
/// this is the true end unless the owner has written a whole lane meanwhile; then the search begins anew.
pub(crate) fn end(record: &[AtomicU64], lines: &[Line], layout: &Layout) -> (Tail, Option<u64>) {
    let mut end = (Tail { position: 0, sequence: 0 }, None);
    for _ in 0..LAPS {
        end = follow(lines, layout, read(record, lines));
        if lines::stamp(lines, end.0.position) <= begins(end.0.position) {
            break;
        }
    }
    end
}

/// From a boundary as far as whole messages follow one another, and the newest publish time of these.
pub(crate) fn follow(lines: &[Line], layout: &Layout, from: Tail) -> (Tail, Option<u64>) {
    let (mut to, mut newest_ns) = (from, None);
    while to.position < from.position + lines.len() as u64
        && let Some(message) = lines::peek(lines, to.position)
        && message.sequence == to.sequence as u32
        && let Some((count, _)) = layout.extent(layout.kind == Kind::Ticks, message.meta, message.presence)
    {
        to = Tail { position: to.position + count as u64, sequence: to.sequence + 1 };
        newest_ns = newest_ns.max(Some(message.publish_ns));
    }
    (to, newest_ns)
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
