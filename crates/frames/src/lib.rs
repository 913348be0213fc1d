//! Ticks of an openalgo-shm ring as finished WebSocket frames.
//!
//! A [`TickEncoder`] reads a ring of ticks, keeps the last values of every topic, and writes each tick that
//! somebody wants as JSON or MessagePack: once for every mode and format, however many clients there are. Several
//! threads can have one each, with one [`TopicTable`] that numbers the topics for all of them.
#![forbid(clippy::todo, clippy::unimplemented)]

pub mod encode;
mod encoding;
mod lane_topics;
mod last_values;
mod snapshot;
mod tick_encoder;
mod topic_table;
mod topics;
mod variants;

pub use encoding::Entry;
pub use hdrhistogram::Histogram;
pub use tick_encoder::{ANY, Drained, MOST_ENTRIES, TickEncoder};
pub use topic_table::{MAX_TOPICS, Topic, TopicTable};
pub use variants::Variants;
