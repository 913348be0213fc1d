//! Ticks of an openalgo-shm ring as finished WebSocket frames.
//!
//! A [`TickEncoder`] reads a ring of ticks, keeps the last tick of every topic, and writes each tick that
//! somebody wants as JSON or MessagePack: once for every mode and format, however many clients there are.
#![forbid(clippy::todo, clippy::unimplemented)]

pub mod encode;
mod lane_topics;
mod tick_encoder;
mod topics;

pub use tick_encoder::{ANY, ENTRY_WORDS, Latency, TickEncoder, Variants};
pub use topics::MAX_TOPICS;
