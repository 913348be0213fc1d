//! Market data through shared memory: a lock-free ring that many processes write and many read.
#![doc = include_str!("../README.md")]
#![forbid(clippy::todo, clippy::unimplemented)]

pub mod clock;
mod consumer;
mod doorbell;
pub mod encode;
mod encoder;
mod error;
pub mod event;
pub mod extent;
pub mod interest;
pub mod layout;
pub mod message;
#[cfg(all(loom, test))]
mod models;
pub mod monitor;
mod ownership;
mod producer;
mod record;
mod region;
mod ring;
mod shm;
mod slot;
mod sync;
mod topics;
mod wait;

pub use consumer::{Consumer, ConsumerOptions, Start};
pub use doorbell::Doorbell;
pub use encoder::{ANY, Accounts, ENTRY_WORDS, Latency, TickEncoder, Variants};
pub use error::{Error, ErrorCode, Result};
pub use producer::Producer;
pub use ring::{
    DEFAULT_BUFFER_SIZE, DEFAULT_CONSUMERS, DEFAULT_DEPTH_LEVELS, DEFAULT_LANES, DEFAULT_NAME,
    LockFreeRingBuffer, RingConfig,
};
pub use shm::{MAX_NAME_BYTES, check_name};
pub use topics::MAX_TOPICS;
pub use wait::WaitStrategy;

/// The guide for Rust is outside the crate; its snippets are tests all the same.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust-user.md")]
pub struct Guide;
