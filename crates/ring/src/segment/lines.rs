//! The protocol of a lane's lines: one writer, any number of readers, no lock.
//!
//! A *position* counts the lines that a lane ever had, from 0. Position `p` lies in line `p mod capacity`,
//! and the first word of every line is its stamp:
//!
//! ```text
//! 2p + 1   position p is inside a message, or the message that begins there is being written
//! 2p + 2   a message begins at position p, and is whole
//! ```
//!
//! The writer stores the inside stamp into every line of the message, then (behind a Release fence) the
//! words, then `2p + 2` into the first line. A reader that expects a message at `p` loads the stamp of
//! that line, copies the lines of the message, and (behind an Acquire fence) loads the stamp again.
//!
//! Why one stamp is enough for a message of many lines: the writer goes through the lines in order. If it
//! overwrites any line of this message, it has before given the first line a later stamp, in an earlier
//! message or in the same one, and between that stamp and the words lies its Release fence. So a reader
//! that copied a newer word sees a changed first stamp. A stamp is only ever a stamp, never a word of a
//! message, so that no value can be mistaken for one.
//!
//! A writer that is killed leaves inside stamps. Readers see "nothing yet" there, and the next owner of the
//! lane writes at the same position again.
//!
//! All words are relaxed atomics, not plain memory: a racing copy of plain memory is undefined behaviour,
//! and on x86-64 and arm64 a relaxed access is a plain move. H.-J. Boehm, "Can seqlocks get along with
//! programming language memory models?" (MSPC 2012) gives the fences.

use crate::message::head::{META, Meta, PRESENCE, PUBLISH_NS};
use crate::message::{Head, LINE_PAYLOAD, LINE_WORDS};
use crate::sync::{AtomicU64, Ordering, fence};

/// A line of a lane, or an entry of a topic table.
pub(crate) type Line = [AtomicU64; LINE_WORDS];

/// The stamp of a position inside a message, or of one that is being written.
#[inline]
pub(crate) const fn inside(position: u64) -> u64 {
    2 * position + 1
}

/// The stamp of a position at which a whole message begins.
#[inline]
pub(crate) const fn begins(position: u64) -> u64 {
    2 * position + 2
}

/// The position that a stamp is of; `None` of a line that was never written.
pub(crate) const fn position_of(stamp: u64) -> Option<u64> {
    match stamp.checked_sub(1) {
        Some(twice) => Some(twice / 2),
        None => None,
    }
}

/// The line of a position. `lines` has a power of two of them.
#[inline]
pub(crate) fn at(lines: &[Line], position: u64) -> &Line {
    debug_assert!(lines.len().is_power_of_two(), "a lane has a power of two of lines");
    // SAFETY: a lane has lines, and a number masked with their last index is below their count.
    unsafe { lines.get_unchecked(position as usize & (lines.len() - 1)) }
}

/// Writes a message of one line. Word 0 of the head is not used. Straight code: an LTP tick is written so.
#[inline]
pub(crate) fn write_line(lines: &[Line], position: u64, head: &Head) {
    let line = at(lines, position);
    // Relaxed: only this writer stores stamps. Paired by the fence below.
    line[0].store(inside(position), Ordering::Relaxed);
    // Release, pairs with the reader's Acquire fence: a reader that sees a word stored below sees the inside stamp, too.
    fence(Ordering::Release);
    for word in 1..LINE_WORDS {
        line[word].store(head[word], Ordering::Relaxed);
    }
    // Release, pairs with the reader's Acquire load of the stamp: a reader that sees it sees the whole message.
    line[0].store(begins(position), Ordering::Release);
}

/// Writes a message of `count` lines: the head, then the other words, seven a line.
#[inline]
pub(crate) fn write_lines(
    lines: &[Line],
    position: u64,
    count: usize,
    head: &Head,
    mut rest: impl Iterator<Item = u64>,
) {
    for position in position..position + count as u64 {
        // Relaxed: paired by the fence below.
        at(lines, position)[0].store(inside(position), Ordering::Relaxed);
    }
    // Release, pairs with the reader's Acquire fence: a reader that sees a word stored below sees every stamp above.
    fence(Ordering::Release);
    let first = at(lines, position);
    for word in 1..LINE_WORDS {
        first[word].store(head[word], Ordering::Relaxed);
    }
    for position in position + 1..position + count as u64 {
        for (word, value) in at(lines, position)[1..].iter().zip(rest.by_ref().take(LINE_PAYLOAD)) {
            word.store(value, Ordering::Relaxed);
        }
    }
    // Release, pairs with the reader's Acquire load of the stamp: a reader that sees it sees the whole message.
    first[0].store(begins(position), Ordering::Release);
}

/// The stamp of a position, before anything else of its message is read.
#[inline]
pub(crate) fn stamp(lines: &[Line], position: u64) -> u64 {
    // Acquire, pairs with the writer's last store.
    at(lines, position)[0].load(Ordering::Acquire)
}

/// Copies the first line of a message but for its stamp.
#[inline]
pub(crate) fn copy_head(lines: &[Line], position: u64, head: &mut Head) {
    let line = at(lines, position);
    for word in 1..LINE_WORDS {
        head[word] = line[word].load(Ordering::Relaxed);
    }
}

/// Copies the words of the further lines of a message of `count` lines; `rest` has room for seven each.
#[inline]
pub(crate) fn copy_rest(lines: &[Line], position: u64, count: usize, rest: &mut [u64]) {
    let (chunks, _) = rest.as_chunks_mut::<LINE_PAYLOAD>();
    for (position, chunk) in (position + 1..position + count as u64).zip(chunks) {
        let line = at(lines, position);
        for word in 0..LINE_PAYLOAD {
            chunk[word] = line[word + 1].load(Ordering::Relaxed);
        }
    }
}

/// True if the message that was copied since its stamp was loaded was not overwritten meanwhile.
#[inline]
pub(crate) fn is_unchanged(lines: &[Line], position: u64) -> bool {
    // Acquire, pairs with the writer's Release fences: a word of a later message implies a later stamp below.
    fence(Ordering::Acquire);
    at(lines, position)[0].load(Ordering::Relaxed) == begins(position)
}

/// What a whole message says of itself, unchecked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peeked {
    pub meta: Meta,
    pub presence: u32,
    /// The low half of its sequence.
    pub sequence: u32,
    pub publish_ns: u64,
}

/// The message at a position. `None` if none begins there, or it was overwritten meanwhile.
pub(crate) fn peek(lines: &[Line], position: u64) -> Option<Peeked> {
    if stamp(lines, position) != begins(position) {
        return None;
    }
    let line = at(lines, position);
    let presence = line[PRESENCE].load(Ordering::Relaxed);
    let peeked = Peeked {
        meta: Meta(line[META].load(Ordering::Relaxed)),
        presence: (presence >> 32) as u32,
        sequence: presence as u32,
        publish_ns: line[PUBLISH_NS].load(Ordering::Relaxed),
    };
    is_unchanged(lines, position).then_some(peeked)
}

/// The number nearest to `near`, which is below [`POSITION_LIMIT`](super::layout::POSITION_LIMIT) or close to
/// it, whose low half this is. Never below 0, whatever another process wrote.
pub(crate) const fn nearest(near: u64, low: u32) -> u64 {
    match near.checked_add_signed(low.wrapping_sub(near as u32) as i32 as i64) {
        Some(nearest) => nearest,
        None => low as u64,
    }
}
