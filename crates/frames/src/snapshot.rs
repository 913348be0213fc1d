//! Last values as one tick.

use openalgo_shm_ring::message::{
    DepthLevel, FIELD_COUNT, FIELDS_WORD, Field, HEAD_PAYLOAD, Head, LEVELS_WORD, LINE_WORDS, MessageView,
    Mode, TickImage,
};

use crate::last_values::{LastTick, LastValue, LastValues, Slot};

/// A tick with the newest value of every field that subscribers of a mode have seen, and the newest order book.
pub(crate) struct Snapshot {
    head: Head,
    rest: Vec<u64>,
    /// Of the newest tick.
    pub publisher: u32,
    /// When the newest tick and the oldest value were published, ns.
    pub newest_ns: i64,
    pub oldest_ns: i64,
}

impl Snapshot {
    /// Leaves out what was published before `earliest_ns`. `None` if the newest tick was.
    pub fn new(values: &LastValues, mode: Mode, earliest_ns: i64) -> Option<Self> {
        let slots = values.seen_by(mode);
        let newest = slots.iter().filter_map(Slot::newest).max_by_key(|tick| tick.when())?;
        let newest_ns = newest.when().publish_ns;
        if newest_ns < earliest_ns {
            return None;
        }
        let mut oldest_ns = newest_ns;
        let mut image = TickImage::new();
        for value in newest_values(slots, newest).iter().flatten() {
            if value.when.publish_ns >= earliest_ns {
                oldest_ns = oldest_ns.min(value.oldest_ns);
                image.set(value.field, value.value);
                if value.is_replaced {
                    image.replace(value.field.name());
                }
                set_synonyms(&mut image, value);
            }
        }
        let books = slots.iter().filter_map(Slot::book);
        let book = books.max_by_key(|tick| tick.when()).filter(|tick| tick.when().publish_ns >= earliest_ns);
        if let Some(book) = book {
            oldest_ns = oldest_ns.min(book.oldest_ns());
            let [buys, sells]: [Vec<DepthLevel>; 2] =
                [book.view().buys().collect(), book.view().sells().collect()];
            image.set_depth(&buys, &sells);
        }
        if let Some(annex) = newest.view().annex() {
            annex.members().iter().for_each(|(key, value)| _ = image.push_member(key, value));
        }
        let (head, rest) = as_copy(&mut image, newest);
        Some(Self { head, rest, publisher: newest.publisher, newest_ns, oldest_ns })
    }

    pub fn view(&self) -> MessageView<'_> {
        MessageView::of_parts(&self.head, &self.rest)
    }
}

/// By field. The timestamp is the newest tick's or none.
fn newest_values(slots: &[Slot], newest: &LastTick) -> [Option<LastValue>; FIELD_COUNT] {
    let mut values: [Option<LastValue>; FIELD_COUNT] = [None; FIELD_COUNT];
    for slot in slots {
        slot.for_each_value(|value| {
            let known = &mut values[value.field as usize];
            if known.is_none_or(|known| known.when < value.when) {
                *known = Some(value);
            }
        });
    }
    let timestamp = &mut values[Field::Timestamp as usize];
    *timestamp = timestamp.filter(|value| value.when == newest.when());
    values
}

fn set_synonyms(image: &mut TickImage, value: &LastValue) {
    for (word, mut left) in value.synonyms.into_iter().enumerate() {
        while left != 0 {
            image.set_synonym((64 * word) as u8 + left.trailing_zeros() as u8);
            left &= left - 1;
        }
    }
}

/// An image as a copy from a ring would hold it, with the mode and the publish time of `newest`: only the fields
/// that are present, the levels, the annex, the synonym words.
fn as_copy(image: &mut TickImage, newest: &LastTick) -> (Head, Vec<u64>) {
    let (presence, synonyms) = (image.presence(), image.synonyms());
    let synonym_words = synonyms.len() - synonyms.iter().rev().take_while(|&&word| word == 0).count();
    let words = image.finish(newest.view().mode());
    let mut head = *newest.head();
    // Counts and presence bits; the words before and between are the sequence and the publish time.
    head[1..3].copy_from_slice(&words[1..3]);
    head[LINE_WORDS - HEAD_PAYLOAD..].copy_from_slice(&words[LINE_WORDS - HEAD_PAYLOAD..LINE_WORDS]);
    let fields = Field::ALL[HEAD_PAYLOAD..].iter().zip(&words[FIELDS_WORD..LEVELS_WORD]);
    let present = fields.filter(|(field, _)| presence & field.bit() != 0).map(|(_, &word)| word);
    let levels_and_annex = words[LEVELS_WORD..].iter().copied();
    (head, present.chain(levels_and_annex).chain(synonyms.into_iter().take(synonym_words)).collect())
}
