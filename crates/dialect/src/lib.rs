//! One reader for the ticks of all brokers' adapters: dictionaries with any of the names that OpenAlgo's adapters and
//! brokers' own tickers use, numbers as text, times in any unit, books in any form.
//!
//! - [`names`] is the table: every key that a tick may have, and how its value is read.
//! - [`Raw`] is a dictionary's value in the caller's language.
//! - [`Reader`] reads a whole tick into the image that a producer publishes.
//!
//! TypeScript has a reader of its own over the same table, which `examples/typescript-table.rs` generates. The cases in
//! `tests/cases.json` are run by the tests of Rust, TypeScript and Python alike.

pub mod names;
mod reader;
mod tally;
pub mod timestamps;
mod value;

pub use reader::{Reader, Strictness, Topic};
pub use tally::Tally;
pub use value::{Raw, RawKey, Scalar, parse_decimal};
