//! What else carries 64 bytes from one place to another on one machine.

pub mod iceoryx;
pub mod photon;
pub mod queue;
pub mod socket;
pub mod zeromq;
