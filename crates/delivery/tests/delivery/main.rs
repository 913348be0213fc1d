//! Delivery from a ring to real sockets.
#![cfg(unix)]

mod clients;
mod pacing;
mod support;
mod threads;
