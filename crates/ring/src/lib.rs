//! Market data through shared memory: a lock-free ring that many processes write and many read.
#![doc = include_str!("../README.md")]
#![forbid(clippy::todo, clippy::unimplemented)]

pub mod clock;
mod config;
mod consumer;
mod error;
pub mod event;
pub mod find;
pub mod interest;
pub mod message;
#[cfg(all(loom, test))]
mod models;
mod ownership;
mod producer;
mod ring;
mod segment;
mod shm;
pub mod stats;
mod sync;
mod wait;

pub use config::{
    DEFAULT_BUFFER_SIZE, DEFAULT_CONSUMERS, DEFAULT_DEPTH_LEVELS, DEFAULT_LANES, DEFAULT_NAME,
    DEFAULT_TOPICS, RingConfig,
};
pub use consumer::{Consumer, ConsumerOptions, MessageCounts, Start, Waiter};
pub use error::{Error, ErrorCode, Result};
pub use producer::Producer;
pub use ring::LockFreeRingBuffer;
pub use segment::{Segment, layout};
pub use shm::{MAX_NAME_BYTES, check_name, waiting_at_most};
pub use wait::{Doorbell, Sleepers, WaitStrategy};

/// The guide for Rust is outside the crate; its snippets are tests all the same.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust-user.md")]
pub struct Guide;
