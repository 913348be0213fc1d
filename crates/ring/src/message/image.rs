//! A tick's image whose room for levels is chosen at run time, and that is filled again and again.

use super::head::{META, Meta, PAYLOAD, PRESENCE};
use super::tick::{FIELDS_WORD, LEVELS_WORD, SYNONYMS_IN_IMAGE};
use super::{DepthLevel, Field, HEAD_PAYLOAD, LEVEL_WORDS, Mode};

/// A tick's image, as [`MarketDataMessage`](super::MarketDataMessage) describes it, without the name. Made once and
/// cleared for each tick, so that a publish allocates nothing.
#[derive(Debug, Clone)]
pub struct TickImage {
    words: Vec<u64>,
    presence: u32,
    buys: u8,
    sells: u8,
}

impl TickImage {
    /// An empty tick.
    pub fn new() -> Self {
        Self { words: vec![0; LEVELS_WORD], presence: 0, buys: 0, sells: 0 }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.words.truncate(LEVELS_WORD);
        for word in SYNONYMS_IN_IMAGE {
            self.words[word] = 0;
        }
        (self.presence, self.buys, self.sells) = (0, 0, 0);
    }

    /// Sets a field.
    #[inline]
    pub fn set(&mut self, field: Field, value: f64) {
        self.words[word_of(field)] = value.to_bits();
        self.presence |= field.bit();
    }

    /// A field, if set.
    #[inline]
    pub fn field(&self, field: Field) -> Option<f64> {
        (self.presence & field.bit() != 0).then(|| f64::from_bits(self.words[word_of(field)]))
    }

    /// The presence bits of the fields that are set.
    pub const fn presence(&self) -> u32 {
        self.presence
    }

    /// Notes that a field came under the synonym with this number, below 128.
    #[inline]
    pub fn set_synonym(&mut self, number: u8) {
        self.words[SYNONYMS_IN_IMAGE[usize::from(number >> 6 & 1)]] |= 1 << (number & 63);
    }

    /// The synonyms' bits, 64 a word.
    pub fn synonyms(&self) -> [u64; 2] {
        SYNONYMS_IN_IMAGE.map(|word| self.words[word])
    }

    /// Sets the order book. At most 255 levels a side.
    pub fn set_depth(&mut self, buys: &[DepthLevel], sells: &[DepthLevel]) {
        let (buys, sells) = (&buys[..buys.len().min(255)], &sells[..sells.len().min(255)]);
        self.words.truncate(LEVELS_WORD);
        for level in buys.iter().chain(sells) {
            let words: [u64; LEVEL_WORDS] = [level.price, level.quantity, level.orders].map(f64::to_bits);
            self.words.extend_from_slice(&words);
        }
        (self.buys, self.sells) = (buys.len() as u8, sells.len() as u8);
    }

    /// Levels of the buy side and of the sell side.
    pub const fn levels(&self) -> (usize, usize) {
        (self.buys as usize, self.sells as usize)
    }

    /// What a producer publishes to a topic: [`Producer::publish_to`](crate::Producer::publish_to).
    #[inline]
    pub fn finish(&mut self, mode: Mode) -> &[u64] {
        let synonym_words = match self.synonyms() {
            [0, 0] => 0,
            [_, 0] => 1,
            _ => 2,
        };
        self.words[META] =
            Meta::new(mode).with_levels(self.buys, self.sells).with_synonym_words(synonym_words).0;
        self.words[PRESENCE] = u64::from(self.presence) << 32;
        &self.words
    }
}

impl Default for TickImage {
    fn default() -> Self {
        Self::new()
    }
}

const fn word_of(field: Field) -> usize {
    let index = field as usize;
    if index < HEAD_PAYLOAD { PAYLOAD + index } else { FIELDS_WORD + index - HEAD_PAYLOAD }
}
