//! Where a consumer goes on when it cannot read the message that it expects: it was overwritten, or what is
//! found in its place cannot be a message.
//!
//! Everything here may be made up by another process. What a consumer believes is bounded: the tail counts
//! only if the line before it confirms it, a message only if its sequence fits the lines in between, and a
//! loss grows by at most the messages between two such tails. What cannot be true counts as corrupt, once.

use crate::segment::layout::Layout;
use crate::segment::lines::{self, Line, begins, nearest, position_of};
use crate::segment::tail::{self, Tail, is_plausible};
use crate::sync::AtomicU64;

/// Where to go on, and what became of the messages in between.
pub(crate) struct Resync {
    pub next: Tail,
    pub lost: u64,
    pub corrupt: u64,
}

/// True if a lane has gone on behind this position. The line of the position does not count.
pub(super) fn is_passed(record: &[AtomicU64], lines: &[Line], position: u64, layout: &Layout) -> bool {
    passed_by(record, lines, position, layout).is_some()
}

/// The end of a lane, if it is beyond this position and can be true.
fn passed_by(record: &[AtomicU64], lines: &[Line], position: u64, layout: &Layout) -> Option<Tail> {
    // The stamp that led here was loaded with Acquire, which pairs with the writer's Release fences: this is no
    // older tail than the one that was recorded before the message in front of that stamp.
    let (mut end, _) = tail::end(record, lines, layout);
    if end.position <= position {
        // The way from the recorded tail ends at a message that is none. Those behind it tell that the lane has
        // gone on.
        let behind = |position| {
            let sequence = nearest(end.sequence, lines::peek(lines, position)?.sequence);
            Some(Tail { position, sequence })
        };
        let next = (position + 1..=position + layout.longest as u64).find_map(behind)?;
        end = tail::follow(lines, layout, next).0;
    }
    (end.position > position && tail::is_confirmed(lines, end.position)).then_some(end)
}

/// Goes on behind the message that is expected next. `is_corrupt` says that it was found there, whole, and
/// cannot be a message; else its line has a later stamp. `gates` says that a lossless owner waits for this
/// consumer. `None` if there is nothing to go on to yet.
pub(crate) fn resync(
    record: &[AtomicU64],
    lines: &[Line],
    next: Tail,
    layout: &Layout,
    is_corrupt: bool,
    gates: bool,
) -> Option<Resync> {
    // Before the tail: the owner may go on for any number of laps between the two loads.
    let stamp = lines::stamp(lines, next.position);
    let Some(tail) = passed_by(record, lines, next.position, layout) else {
        return is_corrupt.then(|| step_over(lines, next, layout));
    };
    let capacity = lines.len() as u64;
    let is_corrupt = is_corrupt || !is_later_lap(stamp, next.position, tail.position, capacity);
    let (behind, span) = if is_corrupt && tail.position - next.position <= capacity / 4 * 3 {
        // A message that is corrupt costs itself alone, where those behind it surely still exist.
        (capacity, layout.longest)
    } else if gates {
        // The owner overwrites only what was published before this consumer joined: nothing else may be left out.
        (capacity, capacity as usize)
    } else {
        (capacity / 2, layout.longest)
    };
    let from = tail.position.saturating_sub(behind);
    let message = |position| {
        let low = lines::peek(lines, position)?.sequence;
        let sequence = if position - next.position <= u64::from(u32::MAX) {
            next.sequence + u64::from(low.wrapping_sub(next.sequence as u32))
        } else {
            nearest(tail.sequence, low)
        };
        Some(Tail { position, sequence }).filter(|found| is_plausible(next, *found, layout.longest))
    };
    let found = (from.max(next.position + 1)..tail.position).take(span + 1).find_map(message);
    let to = found.or(Some(tail).filter(|tail| is_plausible(next, *tail, layout.longest)));
    Some(match to {
        Some(to) => {
            let (gone, corrupt) = (to.sequence - next.sequence, u64::from(is_corrupt));
            Resync { next: to, lost: gone - corrupt, corrupt }
        }
        // The position is confirmed, the sequence is not.
        None => {
            let to = Tail { position: tail.position, sequence: next.sequence + 1 };
            Resync { next: to, lost: 0, corrupt: 1 }
        }
    })
}

/// True if the stamp that was found in the line of this position is of a later lap, and one that the lane can
/// have reached: its owner is less than a lane beyond the tail that it recorded, and a reader on a machine that
/// reorders may miss the last one.
fn is_later_lap(stamp: u64, position: u64, tail: u64, capacity: u64) -> bool {
    position_of(stamp).is_some_and(|found| {
        found > position && (found - position).is_multiple_of(capacity) && found < tail + 2 * capacity
    })
}

/// Behind a corrupt message that its owner has not recorded yet: as many lines as it says it has, if that
/// can be true.
fn step_over(lines: &[Line], next: Tail, layout: &Layout) -> Resync {
    let count = lines::peek(lines, next.position).map_or(1, |message| message.meta.lines());
    let count = if (1..=layout.longest).contains(&count) { count as u64 } else { 1 };
    let next = Tail { position: next.position + count, sequence: next.sequence + 1 };
    Resync { next, lost: 0, corrupt: 1 }
}

/// The oldest message that surely still exists, seven eighths of the lane behind its tail.
pub(super) fn oldest(record: &[AtomicU64], lines: &[Line], layout: &Layout) -> Tail {
    let (tail, _) = tail::end(record, lines, layout);
    let capacity = lines.len() as u64;
    let message = |position| {
        let low = lines::peek(lines, position)?.sequence;
        let found = Tail { position, sequence: nearest(tail.sequence, low) };
        is_plausible(found, tail, layout.longest).then_some(found)
    };
    // Half a lane back, if the owner has written on meanwhile.
    [capacity - capacity / 8, capacity / 2]
        .into_iter()
        .map(|behind| tail.position.saturating_sub(behind))
        .find_map(|from| (from..tail.position).take(layout.longest + 1).find_map(message))
        .unwrap_or(tail)
}

/// How a consumer is not where its lane is.
pub(super) enum Astray {
    /// The lane has gone on, and the message that is expected next has lost its stamp.
    Behind,
    /// The lane has never been so far; it ends here.
    Beyond(Tail),
}

/// Whether a consumer that finds nothing at its position cannot be where the lane is.
pub(super) fn astray(record: &[AtomicU64], lines: &[Line], position: u64, layout: &Layout) -> Option<Astray> {
    if passed_by(record, lines, position, layout).is_some() {
        // Messages behind it are whole, so it was.
        return (lines::stamp(lines, position) < begins(position)).then_some(Astray::Behind);
    }
    // The owner may have written on and not recorded it: then the line before this position says so.
    if tail::is_confirmed(lines, position) {
        return None;
    }
    // After the Acquire load of that line's stamp: if the owner has just overwritten the line, it has recorded a
    // tail beyond this position.
    let (end, _) = tail::end(record, lines, layout);
    (end.position < position && tail::is_confirmed(lines, end.position)).then_some(Astray::Beyond(end))
}
