//! The data plane: ticks go from a ring to WebSocket clients in threads of their own.
//!
//! ```text
//!             commands (attach, subscribe, send, detach)        control plane: handshake, protocol, HTTP
//!    ┌───────────────────────────────────────────────────────── calls [`Delivery`], never waits for a send
//!    ▼                                                               ▲
//!  thread: ring → encode once → audiences → one write a client       │ [`Events`], all that has gathered
//!    ▼                                                               │ frames for clients that it cannot write to
//!  sockets
//! ```
//!
//! Each thread has a consumer of the ring, an encoder and clients of its own. It owns the order of everything that
//! is written to a client: answers are commands in the same queue as subscriptions. Memory for a client is bounded:
//! beyond a mark of unsent bytes only the newest tick of each of its topics and modes is kept.
#![forbid(clippy::todo, clippy::unimplemented)]

mod audience;
mod audiences;
mod backlog;
mod batch;
mod client;
mod commands;
mod conflation;
mod delivery;
mod demand;
mod engine;
mod events;
mod figures;
mod latency;
mod notice;
mod options;
mod pacing;
mod pause;
mod sink;
mod snapshots;
mod subscription;
mod thread;
mod turn;

pub use client::ClientFigures;
pub use delivery::{ClientId, Delivery, Request, ThreadState};
pub use events::{Events, Handed};
pub use figures::ThreadFigures;
pub use latency::{LATENCY_BOUNDS_NS, Latencies, LatencyBuckets};
pub use openalgo_shm_frames::encode::Format;
pub use options::DeliveryOptions;
pub use subscription::{Change, WILDCARD};
