//! Interest: what the clients of the proxies want, so that feeds subscribe at the broker for exactly that.
//!
//! One message says that one proxy wants one topic in some modes (none: no longer). A proxy repeats its
//! whole interest every second, so a feed that starts late, or was lapped, is right again within a second.
//! A message without a topic ends a repetition: what was missing in several is no longer wanted.
//!
//! Names travel in the message and not in a topic table: clients may ask for any name, and a table keeps
//! what was once written to it.
//!
//! ```text
//! word 0 modes (bit m for mode m), 32 bits · depth levels, 32 bits     1 round, 32 bits · session, 32 bits
//!      2 exchange, 16 bytes · symbol, 48 bytes, as in a topic table; all zeros: end of a repetition
//! ```

/// Words of a message: two lines.
pub const WORDS: usize = 2 + crate::message::TOPIC_WORDS;
