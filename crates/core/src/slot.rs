//! The slot protocol: one writer, any number of readers, no lock (a sequence lock per slot).
//!
//! Word 0 is the stamp. The writer of message `n` stores `2n + 1` (busy), then the message, then `2n + 2`
//! (committed). A reader that finds `2n + 2` before and after its copy has message `n` and no other.
//! A writer killed in between leaves the busy mark: readers see "nothing yet", and the next owner of the
//! lane writes the same message again.
//!
//! Message words are relaxed atomics, not plain memory: a racing copy of plain memory is undefined
//! behaviour, and on x86-64 and arm64 a relaxed access is a plain move. H.-J. Boehm, "Can seqlocks get
//! along with programming language memory models?" (MSPC 2012) gives the fences.

use crate::extent::Extent;
use crate::sync::{AtomicU64, Ordering, fence};

/// Sequences beyond this are not reachable by publishing; whatever says so is corrupt. Stamps of smaller ones cannot overflow.
pub(crate) const SEQUENCE_LIMIT: u64 = 1 << 61;

/// The stamp of a committed message.
#[inline]
pub(crate) const fn committed(sequence: u64) -> u64 {
    2 * sequence + 2
}

/// The sequence that a slot is at, and the next that its lane has not committed, as this stamp says it; `None` if never written.
#[inline]
pub(crate) const fn decode(stamp: u64) -> Option<(u64, u64)> {
    match stamp.checked_sub(1) {
        Some(busy) => Some((busy / 2, stamp / 2)),
        None => None,
    }
}

/// What a reader found in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// The message was copied.
    Message,
    /// Not written yet.
    Empty,
    /// Overtaken: the slot holds, or is about to hold, a later message. The stamp that was seen.
    Lapped(u64),
    /// Committed, but its extent lies outside the slot.
    Corrupt,
}

/// Writes message `sequence`. `message` is the image of a slot whose words 0 and 2 are not used; `extent` must fit both.
#[inline]
pub(crate) fn write(slot: &[AtomicU64], sequence: u64, extent: Extent, publish_ns: u64, message: &[u64]) {
    // Relaxed: only this writer stores stamps. Paired by the fence below.
    slot[0].store(committed(sequence) - 1, Ordering::Relaxed);
    // Release, pairs with the reader's Acquire fence: who sees a word stored below sees the busy mark too.
    fence(Ordering::Release);
    slot[1].store(extent.to_word(), Ordering::Relaxed);
    slot[2].store(publish_ns, Ordering::Relaxed);
    let prefix = crate::layout::SLOT_HEADER_WORDS..extent.prefix as usize;
    copy_in(&slot[prefix.clone()], &message[prefix]);
    if extent.length != 0 {
        let run = extent.start as usize..extent.start as usize + extent.length as usize;
        copy_in(&slot[run.clone()], &message[run]);
    }
    // Release, pairs with the reader's Acquire load of the stamp: who sees it sees the whole message.
    slot[0].store(committed(sequence), Ordering::Release);
}

/// Copies message `sequence` into `copy`, which is as long as the slot.
#[inline]
pub(crate) fn read(slot: &[AtomicU64], sequence: u64, lane: usize, copy: &mut [u64]) -> Read {
    // Acquire, pairs with the writer's last store.
    let stamp = slot[0].load(Ordering::Acquire);
    if stamp != committed(sequence) {
        ask_for_second_line(slot);
        return if stamp > committed(sequence) { Read::Lapped(stamp) } else { Read::Empty };
    }
    let extent = Extent::from_word(slot[1].load(Ordering::Relaxed));
    let fits = extent.fits(slot.len());
    if fits {
        copy[0] = sequence;
        copy[1] = extent.with_lane(lane);
        let prefix = 2..extent.prefix as usize;
        copy_out(&slot[prefix.clone()], &mut copy[prefix]);
        if extent.length != 0 {
            let run = extent.start as usize..extent.start as usize + extent.length as usize;
            copy_out(&slot[run.clone()], &mut copy[run]);
        }
    }
    // Acquire, pairs with the writer's Release fence: a word of a later message implies its busy mark below.
    fence(Ordering::Acquire);
    let after = slot[0].load(Ordering::Relaxed);
    if after != stamp {
        return Read::Lapped(after);
    }
    if fits { Read::Message } else { Read::Corrupt }
}

/// Who polls has the line of the stamp; every tick fills the next one too, and asked for along with the stamp
/// it comes together with it, not one hand-over later.
#[inline]
fn ask_for_second_line(slot: &[AtomicU64]) {
    const SECOND_LINE: usize = 64 / crate::layout::WORD;
    #[cfg(all(target_arch = "x86_64", not(miri), not(loom)))]
    // SAFETY: a hint; it reads nothing, and the address is inside of the slot.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>((&raw const slot[SECOND_LINE]).cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri), not(loom))))]
    let _ = &slot[SECOND_LINE];
}

#[inline]
fn copy_in(slot: &[AtomicU64], words: &[u64]) {
    for (to, from) in slot.iter().zip(words) {
        to.store(*from, Ordering::Relaxed);
    }
}

#[inline]
fn copy_out(slot: &[AtomicU64], copy: &mut [u64]) {
    for (from, to) in slot.iter().zip(copy) {
        *to = from.load(Ordering::Relaxed);
    }
}
