//! The frames of a turn that go to the clients of one audience together.

use std::sync::{Arc, OnceLock};

use openalgo_shm_frames::Entry;

/// A frame that is kept: shared by all that keep it.
pub(crate) type Frame = Arc<[u8]>;

/// What a kept frame is the newest of: topic and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FrameKey(u64);

impl FrameKey {
    /// `variant` may be of any format: within a client all are of one.
    pub const fn new(topic: u32, variant: u8) -> Self {
        Self((topic as u64) << 2 | (variant & 3) as u64)
    }

    pub const fn topic(self) -> u32 {
        (self.0 >> 2) as u32
    }

    /// The number of the mode.
    pub const fn mode(self) -> u8 {
        (self.0 & 3) as u8
    }
}

/// The frames of a turn: written once, cut out by all.
pub(crate) struct Arena<'a> {
    pub bytes: &'a [u8],
    pub entries: &'a [Entry],
    /// By entry, filled when the first client keeps the frame.
    pub kept: &'a [OnceLock<Frame>],
}

impl Arena<'_> {
    /// A frame on its own.
    pub fn frame(&self, entry: u32) -> Frame {
        let Entry { offset, length, .. } = self.entries[entry as usize];
        let make = || self.bytes[offset as usize..][..length as usize].into();
        Arc::clone(self.kept[entry as usize].get_or_init(make))
    }

    pub fn key(&self, entry: u32) -> FrameKey {
        let Entry { topic, variant, .. } = self.entries[entry as usize];
        FrameKey::new(topic, variant)
    }
}

/// Some frames of an arena, in order.
#[derive(Default)]
pub(crate) struct Batch {
    entries: Vec<u32>,
    /// Start and end of each run of adjacent frames.
    runs: Vec<(u32, u32)>,
    bytes: usize,
}

impl Batch {
    pub fn push(&mut self, number: u32, entry: &Entry) {
        let (start, end) = (entry.offset, entry.offset + entry.length);
        self.entries.push(number);
        self.bytes += entry.length as usize;
        match self.runs.last_mut() {
            Some(run) if run.1 == start => run.1 = end,
            _ => self.runs.push((start, end)),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub const fn byte_length(&self) -> usize {
        self.bytes
    }

    /// The numbers of the frames in the arena.
    pub fn entries(&self) -> &[u32] {
        &self.entries
    }

    /// The bytes, run by run.
    pub fn runs<'a>(&'a self, arena: &'a [u8]) -> impl ExactSizeIterator<Item = &'a [u8]> {
        self.runs.iter().map(move |&(start, end)| &arena[start as usize..end as usize])
    }

    /// All bytes in one piece.
    pub fn join(&self, arena: &[u8]) -> Frame {
        let mut joined = Vec::with_capacity(self.bytes);
        self.runs(arena).for_each(|run| joined.extend_from_slice(run));
        joined.into()
    }

    pub fn clear(&mut self) {
        self.entries.clear();
        self.runs.clear();
        self.bytes = 0;
    }
}
