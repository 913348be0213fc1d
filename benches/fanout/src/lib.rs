//! What the load client and the bare sender have in common.

pub mod arguments;
pub mod poll;
pub mod websocket;
