//! The memory of a ring: an array of atomic words, mapped from shared memory or taken from the heap.

use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::shm::Mapping;
use crate::sync::AtomicU64;

/// Shared words. The ring knows no more of its memory, so that tests, Miri and loom can give it heap memory.
#[derive(Clone)]
pub(crate) enum Region {
    Heap(Arc<[AtomicU64]>),
    #[cfg_attr(loom, allow(dead_code, reason = "loom models live on the heap"))]
    Shared(Arc<Mapping>),
}

impl Region {
    pub(crate) fn heap(words: usize) -> Self {
        Self::Heap((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Heap(words) => words.len() * crate::segment::layout::WORD,
            Self::Shared(mapping) => mapping.bytes(),
        }
    }

    pub(crate) fn mapping(&self) -> Option<&Arc<Mapping>> {
        match self {
            Self::Heap(_) => None,
            Self::Shared(mapping) => Some(mapping),
        }
    }

    /// A part of the memory, for code that uses it for every message: it spares the way through the region.
    pub(crate) fn part<T: ?Sized>(&self, choose: impl for<'a> FnOnce(&'a [AtomicU64]) -> &'a T) -> Part<T> {
        Part { at: NonNull::from(choose(self)), _memory: self.clone() }
    }
}

impl Deref for Region {
    type Target = [AtomicU64];

    #[inline]
    fn deref(&self) -> &[AtomicU64] {
        match self {
            Self::Heap(words) => words,
            #[cfg(not(loom))]
            Self::Shared(mapping) => mapping.words(),
            #[cfg(loom)]
            Self::Shared(_) => unreachable!("loom models live on the heap"),
        }
    }
}

/// A part of a region, mapped as long as this lives.
pub(crate) struct Part<T: ?Sized> {
    at: NonNull<T>,
    _memory: Region,
}

impl<T: ?Sized> Deref for Part<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `choose` gave a reference into the region for any lifetime of it, and the region lives in
        // `_memory`; its memory does not move.
        unsafe { self.at.as_ref() }
    }
}

// SAFETY: a reference to shared atomics; the region itself is Send and Sync.
unsafe impl<T: ?Sized + Sync> Send for Part<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for Part<T> {}
