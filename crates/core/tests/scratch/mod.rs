//! A ring's name that a test has for itself, removed when the test ends, and messages to send.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use openalgo_shm_core::extent::Extent;
use openalgo_shm_core::layout::Kind;
use openalgo_shm_core::{LockFreeRingBuffer, RingConfig};

pub struct ScratchName(String);

impl ScratchName {
    pub fn new(label: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(format!("openalgo-test-{label}-{}-{number}", std::process::id()))
    }

    pub fn path(&self) -> std::path::PathBuf {
        std::path::Path::new("/dev/shm").join(&self.0)
    }
}

impl Deref for ScratchName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for ScratchName {
    fn drop(&mut self) {
        let _ = LockFreeRingBuffer::unlink(&self.0);
    }
}

/// Bytes of the slots of [`plain`] rings.
pub const STRIDE: usize = 128;

/// A ring of messages that are plain words, `capacity` slots a lane.
pub fn plain(config: RingConfig, capacity: usize) -> RingConfig {
    config.of_kind(Kind::Interest, STRIDE).buffer_size(capacity * STRIDE)
}

/// A message of plain words.
pub fn message(payload: &[u64]) -> Vec<u64> {
    let mut words = vec![0; 3];
    words.extend_from_slice(payload);
    words[1] = Extent::prefix(words.len()).to_word();
    words
}

/// The payload, `words` long, of a drained record.
pub fn payload(record: &[u64], words: usize) -> &[u64] {
    &record[3..3 + words]
}
