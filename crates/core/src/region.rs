//! The memory of a ring: an array of atomic words, mapped from shared memory or taken from the heap.

use std::ops::Deref;
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
            Self::Heap(words) => words.len() * crate::layout::WORD,
            Self::Shared(mapping) => mapping.bytes(),
        }
    }

    pub(crate) fn mapping(&self) -> Option<&Arc<Mapping>> {
        match self {
            Self::Heap(_) => None,
            Self::Shared(mapping) => Some(mapping),
        }
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
