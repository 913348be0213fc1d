//! `MarketDataMessage`: a tick with its name, every field in a place of its own.

use super::head::{META, Meta, PAYLOAD, PRESENCE};
use super::{
    DepthLevel, FIELD_COUNT, Field, HEAD_PAYLOAD, Head, LEVEL_WORDS, LINE_WORDS, MessageView, Mode,
    SYNONYM_WORDS, SYNONYMS, TOPIC_WORDS, TopicName,
};
use crate::error::{Error, ErrorCode, Result};

/// First word of the exchange and the symbol in a tick's image.
pub const TOPIC_WORD: usize = LINE_WORDS;
/// First word of the fields from the fifth on.
pub const FIELDS_WORD: usize = TOPIC_WORD + TOPIC_WORDS;
/// First word of the levels: price, quantity, orders; the buy side, then the sell side.
pub const LEVELS_WORD: usize = FIELDS_WORD + FIELD_COUNT - HEAD_PAYLOAD;

/// A tick with room for `LEVELS` depth levels a side; 640 bytes for five. Its words are its *image*:
///
/// ```text
/// word  0  first synonym word    1  mode, synonym words, annex words, levels
///       2  presence bits         3  second synonym word
///       4  ltp · volume · ltt · timestamp
///       8  exchange, 16 bytes · symbol, 48 bytes
///      16  open … exchange_timestamp: 28 fields
///      44  levels · annex
/// ```
///
/// A synonym word counts only if word 1 says that the tick has it.
///
/// In the ring it travels as lines: a number in place of the name, and only the fields that are present.
///
/// ```
/// use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode};
///
/// let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "RELIANCE", Mode::Ltp)?;
/// tick.set(Field::Ltp, 150.25).set(Field::Volume, 1000.0);
/// assert_eq!(tick.view().field(Field::Ltp), Some(150.25));
/// assert_eq!(tick.view().field(Field::Open), None); // absent is absent, not zero
/// # Ok::<(), openalgo_shm_ring::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct MarketDataMessage<const LEVELS: usize = 5> {
    head: Head,
    name: [u64; TOPIC_WORDS],
    fields: [f64; FIELD_COUNT - HEAD_PAYLOAD],
    levels: [[DepthLevel; LEVELS]; 2],
}

const _: () = assert!(size_of::<MarketDataMessage>() == 640);

/// The words of an image that hold its synonym words.
pub(crate) const SYNONYMS_IN_IMAGE: [usize; SYNONYM_WORDS] = [0, 3];

impl<const LEVELS: usize> MarketDataMessage<LEVELS> {
    /// An empty tick for a topic.
    ///
    /// # Errors
    /// `ERR_INVALID_SYMBOL` when exchange or symbol is empty, longer than its 16 or 48 bytes, or holds control characters.
    pub fn new(exchange: &str, symbol: &str, mode: Mode) -> Result<Self> {
        let mut message = Self {
            head: [0; LINE_WORDS],
            name: *TopicName::new(exchange, symbol)?.words(),
            fields: [0.0; FIELD_COUNT - HEAD_PAYLOAD],
            levels: [[DepthLevel::default(); LEVELS]; 2],
        };
        message.head[META] = Meta::new(mode).0;
        Ok(message)
    }

    /// Sets a field and its presence bit.
    pub fn set(&mut self, field: Field, value: f64) -> &mut Self {
        match (field as usize).checked_sub(HEAD_PAYLOAD) {
            Some(index) => self.fields[index] = value,
            None => self.head[PAYLOAD + field as usize] = value.to_bits(),
        }
        self.head[PRESENCE] |= u64::from(field.bit()) << 32;
        self
    }

    /// Sets the order book; the sides may differ in length.
    ///
    /// # Errors
    /// `ERR_BOOK_TOO_DEEP` when a side has more than `LEVELS` levels.
    pub fn set_depth(&mut self, buys: &[DepthLevel], sells: &[DepthLevel]) -> Result<&mut Self> {
        let deepest = buys.len().max(sells.len());
        if deepest > LEVELS || deepest > u8::MAX as usize {
            return Err(book_too_deep(deepest, LEVELS));
        }
        let levels = self.levels.as_flattened_mut();
        levels[..buys.len()].copy_from_slice(buys);
        levels[buys.len()..buys.len() + sells.len()].copy_from_slice(sells);
        self.head[META] = Meta(self.head[META]).with_levels(buys.len() as u8, sells.len() as u8).0;
        Ok(self)
    }

    /// Says that a field came under the name [`SYNONYMS`]`[number]`, too: frames carry its value under that name
    /// as well, if the field is present.
    ///
    /// # Errors
    /// `ERR_INVALID_ARGUMENT` for a number that no synonym has.
    pub fn set_synonym(&mut self, number: usize) -> Result<&mut Self> {
        if number >= SYNONYMS.len() {
            return Err(Error::new(
                ErrorCode::InvalidArgument,
                format!("synonym {number} does not exist: expected 0 to {}", SYNONYMS.len() - 1),
            ));
        }
        let word = number / 64;
        self.head[SYNONYMS_IN_IMAGE[word]] |= 1 << (number % 64);
        let meta = Meta(self.head[META]);
        self.head[META] = meta.with_synonym_words(meta.synonym_words().max(word + 1)).0;
        Ok(self)
    }

    /// The image: what a producer publishes.
    pub fn as_words(&self) -> &[u64] {
        let count = LEVELS_WORD + 2 * LEVELS * LEVEL_WORDS;
        // SAFETY: the struct is `repr(C)` and its first `count` words are u64 and f64 fields without padding.
        unsafe { std::slice::from_raw_parts((&raw const *self).cast::<u64>(), count) }
    }

    /// A view to read the fields.
    pub fn view(&self) -> MessageView<'_> {
        MessageView::of_image(&self.head, &self.name, &self.as_words()[FIELDS_WORD..])
    }
}

pub(crate) fn book_too_deep(found: usize, levels: usize) -> Error {
    Error::new(
        ErrorCode::BookTooDeep,
        format!(
            "a book of {found} levels a side does not fit a ring made for {levels}: create the ring with depthLevels {found} or publish fewer levels"
        ),
    )
}
