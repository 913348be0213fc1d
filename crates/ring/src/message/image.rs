//! A tick's image whose room for levels is chosen at run time, and that is filled again and again.

use super::annex::{AnnexBuilder, CarriedAge, MemberValue};
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
    annex: AnnexBuilder,
}

impl TickImage {
    /// An empty tick.
    pub fn new() -> Self {
        Self { words: vec![0; LEVELS_WORD], presence: 0, buys: 0, sells: 0, annex: AnnexBuilder::new() }
    }

    /// Empties it.
    pub fn clear(&mut self) {
        self.words.truncate(LEVELS_WORD);
        for word in SYNONYMS_IN_IMAGE {
            self.words[word] = 0;
        }
        (self.presence, self.buys, self.sells) = (0, 0, 0);
        self.annex.clear();
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

    /// Says that the tick is the last value of another proxy, so old. Its publish time is set back by that, to 0
    /// at most.
    pub fn set_age(&mut self, age: CarriedAge) {
        self.annex.set_age(age);
    }

    /// Says that the tick has a book, without levels.
    pub fn set_empty_book(&mut self) {
        self.annex.set_empty_book();
    }

    /// Adds a member of the tick's data that is as the broker's adapter wrote it. One with a name of
    /// [`REPLACED`](super::REPLACED) takes the place of the tick's own value. False where there is no room for it.
    pub fn push_member(&mut self, key: &str, value: MemberValue<'_>) -> bool {
        self.annex.push(key, value)
    }

    /// Says that the value under this name of [`REPLACED`](super::REPLACED) is not the tick's own.
    pub fn replace(&mut self, name: &str) {
        self.annex.replace(name);
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
        self.words.truncate(LEVELS_WORD + (usize::from(self.buys) + usize::from(self.sells)) * LEVEL_WORDS);
        let annex_words = self.annex.append_to(&mut self.words);
        self.words[META] = Meta::new(mode)
            .with_levels(self.buys, self.sells)
            .with_synonym_words(synonym_words)
            .with_annex_words(annex_words)
            .0;
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
