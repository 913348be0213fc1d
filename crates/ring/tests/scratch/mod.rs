//! A ring's name that a test has for itself, removed when the test ends, and messages to send.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use openalgo_shm_ring::layout::{Kind, LINE};
use openalgo_shm_ring::message::{HEAD_PAYLOAD, LINE_PAYLOAD, Record};
use openalgo_shm_ring::{LockFreeRingBuffer, RingConfig};

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

/// A ring of messages of one line, `capacity` of them a lane.
pub fn plain(config: RingConfig, capacity: usize) -> RingConfig {
    sized(config, 1, capacity)
}

/// A ring of messages of at most `longest` lines, with lanes of `capacity` lines.
pub fn sized(config: RingConfig, longest: usize, capacity: usize) -> RingConfig {
    config.of_kind(Kind::Interest, words_of_lines(longest)).buffer_size(capacity * LINE)
}

/// Words of the longest message of so many lines.
pub const fn words_of_lines(lines: usize) -> usize {
    HEAD_PAYLOAD + (lines - 1) * LINE_PAYLOAD
}

/// The words of a message.
pub fn words(record: Record) -> Vec<u64> {
    record.words().collect()
}

/// Random numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// A number in which every bit depends on every bit of the other.
pub const fn mix(mut word: u64) -> u64 {
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}
