//! Reading a message out of a reader's copy.

use super::annex::Annex;
use super::head::{HEAD_FIELDS, META, Meta, PAYLOAD, PRESENCE, PUBLISH_NS, rest_words};
use super::tick::SYNONYMS_IN_IMAGE;
use super::{
    DepthLevel, FIELD_COUNT, Field, HEAD_PAYLOAD, Head, LEVEL_WORDS, Mode, SYNONYM_WORDS, TOPIC_WORDS,
    TopicName,
};
use crate::segment::{Line, read_name};

/// A tick. Reading never fails: a consumer shows only messages whose counts it has checked, and whatever the
/// counts are, they are clamped to the words that exist.
#[derive(Debug, Clone, Copy)]
pub struct MessageView<'a> {
    head: &'a Head,
    /// Fields from the fifth on, then the levels, the annex, and (not in an image) the synonym words.
    rest: &'a [u64],
    /// Presence bits of the fields that have a place in `rest`.
    placed: u32,
    name: Name<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Name<'a> {
    Own(&'a [u64; TOPIC_WORDS]),
    /// The entry of a lane's topic table; `None` for a number that the table does not have.
    Table(Option<&'a Line>),
}

impl<'a> MessageView<'a> {
    /// Every field has a place in an image.
    pub(super) const fn of_image(head: &'a Head, name: &'a [u64; TOPIC_WORDS], rest: &'a [u64]) -> Self {
        Self { head, rest, placed: !HEAD_FIELDS, name: Name::Own(name) }
    }

    /// A copy from the ring holds the fields that are present, densely.
    #[inline]
    pub(crate) fn of_copy(head: &'a Head, rest: &'a [u64], names: &'a [Line]) -> Self {
        let name = Name::Table(names.get(Meta(head[META]).topic() as usize));
        Self { head, rest, placed: (head[PRESENCE] >> 32) as u32 & !HEAD_FIELDS, name }
    }

    /// The sequence in its lane. 0 of a tick that was not published.
    pub const fn sequence(self) -> u64 {
        if self.is_image() { 0 } else { self.head[0] }
    }

    const fn is_image(self) -> bool {
        matches!(self.name, Name::Own(_))
    }

    /// The lane it came through.
    pub const fn lane(self) -> usize {
        Meta(self.head[META]).lane()
    }

    /// The number of its topic in the lane's table.
    pub const fn topic(self) -> u32 {
        Meta(self.head[META]).topic()
    }

    /// Publish time in ns of the monotonic clock. 0 of a tick that was not published.
    pub const fn publish_ns(self) -> u64 {
        if self.is_image() { 0 } else { self.head[PUBLISH_NS] }
    }

    /// What the tick carries; an unknown number reads as LTP.
    pub fn mode(self) -> Mode {
        Mode::from_u8(Meta(self.head[META]).mode()).unwrap_or(Mode::Ltp)
    }

    const fn presence(self) -> u32 {
        (self.head[PRESENCE] >> 32) as u32
    }

    /// A field, if present.
    #[inline]
    pub fn field(self, field: Field) -> Option<f64> {
        if self.presence() & field.bit() == 0 {
            return None;
        }
        if (field as usize) < HEAD_PAYLOAD {
            return Some(f64::from_bits(self.head[PAYLOAD + field as usize]));
        }
        let index = (self.placed & (field.bit() - 1)).count_ones() as usize;
        self.rest.get(index).map(|&word| f64::from_bits(word))
    }

    /// Every field that is present, in the order of the presence bits. Cheaper than asking for each.
    #[inline]
    pub fn for_each_field(self, mut each: impl FnMut(Field, f64)) {
        let mut left = self.presence();
        let mut placed = self.placed;
        let mut index = 0;
        while left != 0 {
            let number = left.trailing_zeros() as usize;
            left &= left - 1;
            let word = if number < HEAD_PAYLOAD {
                self.head[PAYLOAD + number]
            } else {
                // Places before this one that were not come to yet.
                let before = placed & ((1 << number) - 1);
                index += before.count_ones() as usize;
                placed &= !before;
                let Some(&word) = self.rest.get(index) else { return };
                word
            };
            each(Field::ALL[number % FIELD_COUNT], f64::from_bits(word));
        }
    }

    /// True if it has the same fields as another tick, and as many levels, annex and synonym words.
    #[inline]
    pub const fn has_shape_of(self, other: MessageView<'_>) -> bool {
        let behind_fields = Meta(self.head[META]).behind_fields();
        self.presence() == other.presence() && behind_fields == Meta(other.head[META]).behind_fields()
    }

    /// True if [`synonyms`](Self::synonyms) may have bits.
    #[inline]
    pub const fn has_synonyms(self) -> bool {
        Meta(self.head[META]).synonym_words() != 0
    }

    /// The synonyms under which the fields came: bit `n % 64` of word `n / 64` for
    /// [`SYNONYMS`](super::SYNONYMS)`[n]`. A bit may be set whose field is absent, or that no synonym has.
    #[inline]
    pub fn synonyms(self) -> [u64; SYNONYM_WORDS] {
        match Meta(self.head[META]).synonym_words() {
            0 => [0; SYNONYM_WORDS],
            count => self.synonym_words(count),
        }
    }

    fn synonym_words(self, count: usize) -> [u64; SYNONYM_WORDS] {
        let first = rest_words(self.placed, self.levels(), Meta(self.head[META]).annex_words());
        let word = |index| {
            if self.is_image() {
                self.head[SYNONYMS_IN_IMAGE[index]]
            } else {
                self.rest.get(first + index).copied().unwrap_or_default()
            }
        };
        std::array::from_fn(|index| if index < count { word(index) } else { 0 })
    }

    /// What no field says, if there is something.
    #[inline]
    pub fn annex(self) -> Option<Annex<'a>> {
        match Meta(self.head[META]).annex_words() {
            0 => None,
            count => Some(self.annex_of(count)),
        }
    }

    #[cold]
    fn annex_of(self, count: usize) -> Annex<'a> {
        let words = self.rest.get(rest_words(self.placed, self.levels(), 0)..).unwrap_or_default();
        Annex::new(&words[..words.len().min(count)])
    }

    /// Exchange and symbol. `None` only of a copy whose topic table is gone.
    pub fn name(self) -> Option<TopicName> {
        match self.name {
            Name::Own(words) => TopicName::from_words(*words),
            Name::Table(entry) => TopicName::from_words(read_name(entry?)),
        }
    }

    /// The exchange.
    pub fn exchange(self) -> String {
        self.name().map_or(String::new(), |name| name.exchange())
    }

    /// The symbol.
    pub fn symbol(self) -> String {
        self.name().map_or(String::new(), |name| name.symbol())
    }

    /// The buy side, best price first.
    pub fn buys(self) -> impl ExactSizeIterator<Item = DepthLevel> + 'a {
        self.side(0, Meta(self.head[META]).buys())
    }

    /// The sell side, best price first.
    pub fn sells(self) -> impl ExactSizeIterator<Item = DepthLevel> + 'a {
        self.side(Meta(self.head[META]).buys(), Meta(self.head[META]).sells())
    }

    /// Levels on both sides together.
    pub const fn levels(self) -> usize {
        Meta(self.head[META]).buys() + Meta(self.head[META]).sells()
    }

    fn side(self, skip: usize, count: usize) -> impl ExactSizeIterator<Item = DepthLevel> + 'a {
        let first = (self.placed.count_ones() as usize).min(self.rest.len());
        let levels = self.rest[first..].as_chunks::<LEVEL_WORDS>().0;
        let levels = &levels[skip.min(levels.len())..];
        levels[..levels.len().min(count)].iter().map(|level| DepthLevel {
            price: f64::from_bits(level[0]),
            quantity: f64::from_bits(level[1]),
            orders: f64::from_bits(level[2]),
        })
    }

    /// The head, and those words behind it that are in use: all there is to keep of a tick from a ring.
    pub fn parts(self) -> (&'a Head, &'a [u64]) {
        let behind_levels = Meta(self.head[META]).words_behind_levels();
        let used = rest_words(self.placed, self.levels(), behind_levels).min(self.rest.len());
        (self.head, &self.rest[..used])
    }

    /// A view of what [`parts`](Self::parts) of a copy from a ring gave. It has no name.
    pub fn of_parts(head: &'a Head, rest: &'a [u64]) -> Self {
        Self::of_copy(head, rest, &[])
    }
}

/// A message that is no tick: plain words.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    head: &'a Head,
    rest: &'a [u64],
}

impl<'a> Record<'a> {
    #[inline]
    pub(crate) const fn new(head: &'a Head, rest: &'a [u64]) -> Self {
        Self { head, rest }
    }

    /// The sequence in its lane.
    pub const fn sequence(self) -> u64 {
        self.head[0]
    }

    /// The lane it came through.
    pub const fn lane(self) -> usize {
        Meta(self.head[META]).lane()
    }

    /// Publish time in ns of the monotonic clock.
    pub const fn publish_ns(self) -> u64 {
        self.head[PUBLISH_NS]
    }

    /// Number of its words.
    pub const fn len(self) -> usize {
        (self.head[PRESENCE] >> 32) as usize
    }

    /// True of a message without words.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Its words.
    pub fn words(self) -> impl Iterator<Item = u64> + 'a {
        self.head[PAYLOAD..].iter().chain(self.rest).copied().take(self.len())
    }
}
