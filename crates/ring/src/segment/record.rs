//! The "who" of a lane or consumer: written by its owner under a generation that is odd meanwhile, so
//! that a reader never mixes two owners.

use crate::error::Result;
use crate::message::{text_from, text_into};
use crate::segment::layout::{ConsumerRecord, LaneRecord, NAME_BYTES, WORD, word_of};
use crate::segment::region::Region;
use crate::sync::{Ordering, fence};

/// Who owns, or last owned, a lane or a consumer record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The name it gave itself.
    pub name: String,
    /// Process id, in its own pid namespace; for people to read, never a proof of life.
    pub pid: u32,
    /// When it came, ns since 1970.
    pub started_ns: u64,
    /// How often the place was taken.
    pub generation: u64,
}

/// Where the words of a record lie.
#[derive(Clone, Copy)]
pub(crate) struct WhoWords {
    generation: usize,
    pid: usize,
    started: usize,
    name: usize,
}

impl WhoWords {
    pub(crate) const fn lane(record: usize) -> Self {
        Self {
            generation: record + word_of!(LaneRecord, generation),
            pid: record + word_of!(LaneRecord, pid),
            started: record + word_of!(LaneRecord, started_ns),
            name: record + word_of!(LaneRecord, name),
        }
    }

    pub(crate) const fn consumer(record: usize) -> Self {
        Self {
            generation: record + word_of!(ConsumerRecord, generation),
            pid: record + word_of!(ConsumerRecord, pid),
            started: record + word_of!(ConsumerRecord, started_ns),
            name: record + word_of!(ConsumerRecord, name),
        }
    }
}

pub(crate) fn name_words(what: &str, name: &str) -> Result<[u64; NAME_BYTES / WORD]> {
    let mut words = [0; NAME_BYTES / WORD];
    text_into(&mut words, what, name)?;
    Ok(words)
}

/// Writes the record. The caller owns the place.
pub(crate) fn write(region: &Region, at: WhoWords, name: &[u64; NAME_BYTES / WORD]) {
    // A predecessor killed in the middle left an odd number: go on from the next even one.
    let generation = region[at.generation].load(Ordering::Relaxed).wrapping_add(1) & !1;
    region[at.generation].store(generation | 1, Ordering::Relaxed);
    // Release, pairs with the Acquire fence in `read`.
    fence(Ordering::Release);
    region[at.pid].store(u64::from(std::process::id()), Ordering::Relaxed);
    region[at.started].store(crate::clock::wall_ns(), Ordering::Relaxed);
    for (word, value) in region[at.name..].iter().zip(name) {
        word.store(*value, Ordering::Relaxed);
    }
    // Release, pairs with the Acquire load in `read`.
    region[at.generation].store(generation.wrapping_add(2), Ordering::Release);
}

/// The record, or `None` if the place was never owned or is just being taken.
pub(crate) fn read(region: &Region, at: WhoWords) -> Option<Who> {
    // Acquire, pairs with the last store in `write`.
    let generation = region[at.generation].load(Ordering::Acquire);
    if generation == 0 || generation & 1 == 1 {
        return None;
    }
    let pid = region[at.pid].load(Ordering::Relaxed) as u32;
    let started_ns = region[at.started].load(Ordering::Relaxed);
    let mut words = [0; NAME_BYTES / WORD];
    for (word, value) in region[at.name..].iter().zip(&mut words) {
        *value = word.load(Ordering::Relaxed);
    }
    // Acquire, pairs with the fence in `write`.
    fence(Ordering::Acquire);
    if region[at.generation].load(Ordering::Relaxed) != generation {
        return None;
    }

    let name = text_from(&words);
    Some(Who { name, pid, started_ns, generation: generation / 2 })
}

/// As [`read`], but a place that is just being taken, or whose taker died meanwhile, has an owner without a name.
pub(crate) fn read_or_unknown(region: &Region, at: WhoWords) -> Option<Who> {
    read(region, at).or_else(|| {
        let generation = generation(region, at);
        (generation != 0).then(|| Who {
            name: String::new(),
            pid: 0,
            started_ns: 0,
            generation: generation / 2,
        })
    })
}

/// Generation word as it is now; a change means another owner.
pub(crate) fn generation(region: &Region, at: WhoWords) -> u64 {
    region[at.generation].load(Ordering::Relaxed)
}
