//! Interest: what the clients of the proxies want, so that feeds subscribe at the broker for exactly that.
//!
//! One message says that one proxy wants one topic in some modes (none: no longer). A proxy repeats its
//! whole interest every second, so a feed that starts late, or was lapped, is right again within a second.
//! A message without a topic ends a repetition: what was missing in several is no longer wanted.
//!
//! ```text
//! word 0 stamp · 1 extent · 2 publish time · 3 modes (bit m for mode m) · 4 depth levels · 5 round · 6, 7 free
//!      8 exchange, symbol, as in a tick
//! ```

use crate::layout::SLOT_ALIGN;
use crate::message::{TOPIC_WORD, TOPIC_WORDS};

/// Words of a message: a line of numbers, then the topic.
pub(crate) const WORDS: usize = TOPIC_WORD + TOPIC_WORDS;
/// Bytes of a slot.
pub const STRIDE: usize = (WORDS * 8).next_multiple_of(SLOT_ALIGN);
