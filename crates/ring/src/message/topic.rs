//! The name of a topic: exchange and symbol, 64 bytes.

use std::fmt;

use super::LINE_WORDS;
use crate::error::{Error, ErrorCode, Result};

/// Longest exchange in bytes of UTF-8.
pub const EXCHANGE_BYTES: usize = 16;
/// Longest symbol in bytes of UTF-8. The longest that OpenAlgo has today is 35.
pub const SYMBOL_BYTES: usize = 48;
/// Words of exchange and symbol together: one line.
pub const TOPIC_WORDS: usize = LINE_WORDS;
const EXCHANGE_WORDS: usize = EXCHANGE_BYTES / 8;

/// The number of a topic in the table of a lane. It means the same name for the life of the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicNumber(u32);

impl TopicNumber {
    /// The topic with this number in the table of the lane that it is published to.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Exchange and symbol as words: 16 and 48 bytes of UTF-8, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicName {
    words: [u64; TOPIC_WORDS],
}

impl TopicName {
    /// The name of these two texts.
    ///
    /// # Errors
    /// `ERR_INVALID_SYMBOL` when one is empty, longer than its 16 or 48 bytes, or holds control characters.
    pub fn new(exchange: &str, symbol: &str) -> Result<Self> {
        let mut words = [0; TOPIC_WORDS];
        text_into(&mut words[..EXCHANGE_WORDS], "exchange", exchange)?;
        text_into(&mut words[EXCHANGE_WORDS..], "symbol", symbol)?;
        Ok(Self { words })
    }

    /// From words that may hold anything. `None` unless both texts are what [`new`](Self::new) accepts,
    /// padded with zeros.
    pub fn from_words(words: [u64; TOPIC_WORDS]) -> Option<Self> {
        let is_text = |words: &[u64]| {
            let mut bytes = [0; SYMBOL_BYTES];
            let text = bytes_of(words, &mut bytes);
            let length = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
            let (used, padding) = text.split_at(length);
            !used.is_empty()
                && padding.iter().all(|&byte| byte == 0)
                && used.iter().all(|&byte| !is_control(byte))
                && std::str::from_utf8(used).is_ok()
        };
        (is_text(&words[..EXCHANGE_WORDS]) && is_text(&words[EXCHANGE_WORDS..])).then_some(Self { words })
    }

    /// The words, as they lie in a topic table.
    pub const fn words(&self) -> &[u64; TOPIC_WORDS] {
        &self.words
    }

    /// The exchange.
    pub fn exchange(&self) -> String {
        text_from(&self.words[..EXCHANGE_WORDS])
    }

    /// The symbol.
    pub fn symbol(&self) -> String {
        text_from(&self.words[EXCHANGE_WORDS..])
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.exchange(), self.symbol())
    }
}

const fn is_control(byte: u8) -> bool {
    byte < 0x20 || byte == 0x7f
}

/// Writes a text into zeroed words, eight bytes a word.
pub(crate) fn text_into(words: &mut [u64], what: &str, text: &str) -> Result<()> {
    let room = words.len() * 8;
    let fault = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > room {
        format!("'{text}' is {} bytes long", text.len())
    } else if text.bytes().any(is_control) {
        format!("{text:?} holds control characters")
    } else {
        for (word, bytes) in words.iter_mut().zip(text.as_bytes().chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        return Ok(());
    };
    Err(Error::new(
        ErrorCode::InvalidSymbol,
        format!("{what} {fault}: expected 1 to {room} bytes of UTF-8 without control characters"),
    ))
}

/// The text of at most six zero-padded words; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn text_from(words: &[u64]) -> String {
    let mut bytes = [0; SYMBOL_BYTES];
    let text = bytes_of(words, &mut bytes);
    let length = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    String::from_utf8_lossy(&text[..length]).into_owned()
}

fn bytes_of<'a>(words: &[u64], bytes: &'a mut [u8; SYMBOL_BYTES]) -> &'a [u8] {
    let used = &mut bytes[..words.len() * 8];
    for (chunk, word) in used.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    used
}
