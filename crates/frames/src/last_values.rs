//! The newest value of every field of a topic, and its newest order book.
//!
//! Ticks are kept by their exact mode: the newest as a whole, and beside it those values of older ticks that the
//! newest does not have. Most feeds send the same fields in every tick, so that there are none.

use std::array;

use openalgo_shm_ring::message::{
    Annex, FIELD_COUNT, Field, Head, MessageView, Mode, SYNONYM_WORDS, SYNONYMS,
};

const NS_PER_MS: i64 = 1_000_000;
/// The word of a head whose upper half is the presence bits.
const PRESENCE: usize = 2;

/// The bits of the synonyms of each field.
const SYNONYMS_OF: [[u64; SYNONYM_WORDS]; FIELD_COUNT] = {
    let mut masks = [[0; SYNONYM_WORDS]; FIELD_COUNT];
    let mut number = 0;
    while number < SYNONYMS.len() {
        masks[SYNONYMS[number].0 as usize][number / 64] |= 1 << (number % 64);
        number += 1;
    }
    masks
};

/// Orders ticks of a topic by publish time, then by when they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct When {
    /// As [`published_ns`].
    pub publish_ns: i64,
    /// Ticks of the topic that were read up to this one.
    pub count: u64,
}

/// By mode: LTP first.
#[derive(Default)]
pub(crate) struct LastValues {
    slots: [Slot; 3],
}

/// What ticks of one mode have brought.
#[derive(Default)]
pub(crate) struct Slot {
    newest: Option<LastTick>,
    older: Option<Box<Older>>,
}

/// What the newest tick may lack. What it has, is newer than what is here.
#[derive(Default)]
struct Older {
    values: Vec<LastValue>,
    /// The newest tick that had levels, when it was followed by one that had none.
    book: Option<LastTick>,
}

/// A tick as it was read.
pub(crate) struct LastTick {
    head: Head,
    rest: Box<[u64]>,
    pub publisher: u32,
    count: u64,
}

/// A field of a tick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastValue {
    pub field: Field,
    pub value: f64,
    /// The bits of the synonyms under which it came.
    pub synonyms: [u64; SYNONYM_WORDS],
    pub when: When,
    /// When it was published at the latest, as far as is known.
    pub oldest_ns: i64,
    /// Its tick has another value under the field's name.
    pub is_replaced: bool,
}

impl LastValues {
    /// Keeps a tick, the topic's `count`th, in its predecessor's memory if that has the right size.
    #[inline]
    pub fn keep(&mut self, tick: MessageView<'_>, publisher: u32, count: u64) {
        let slot = &mut self.slots[tick.mode() as usize - 1];
        let (head, rest) = tick.parts();
        match &mut slot.newest {
            // Nothing of the one before is left to keep.
            Some(newest) if newest.rest.len() == rest.len() && newest.view().has_shape_of(tick) => {
                newest.head = *head;
                newest.rest.copy_from_slice(rest);
                newest.publisher = publisher;
                newest.count = count;
            }
            _ => slot.replace(LastTick { head: *head, rest: rest.into(), publisher, count }),
        }
    }

    /// Keeps the last value of another proxy, the topic's `count`th tick. True by mode where it is newer than all that
    /// subscribers of this mode have seen.
    #[cold]
    pub fn keep_carried(&mut self, tick: MessageView<'_>, publisher: u32, count: u64) -> [bool; 3] {
        let (head, rest) = tick.parts();
        let publish_ns = published_ns(tick);
        let carried = LastTick { head: *head, rest: rest.into(), publisher, count };
        let is_newer = array::from_fn(|mode| {
            let seen = self.slots[mode..].iter().filter_map(Slot::newest);
            seen.map(|newest| newest.when().publish_ns).max().is_none_or(|ns| ns < publish_ns)
        });
        let slot = &mut self.slots[tick.mode() as usize - 1];
        match &slot.newest {
            Some(newest) if newest.when().publish_ns >= publish_ns => slot.keep_older(carried),
            _ => slot.replace(carried),
        }
        is_newer
    }

    /// Levels of both sides of the deepest book that is kept.
    pub fn most_levels(&self) -> usize {
        self.slots.iter().filter_map(Slot::book).map(|tick| tick.view().levels()).max().unwrap_or(0)
    }

    /// What a subscriber of this mode has seen, one for each mode of tick.
    pub fn seen_by(&self, mode: Mode) -> &[Slot] {
        &self.slots[mode as usize - 1..]
    }
}

impl Slot {
    #[cold]
    fn replace(&mut self, newest: LastTick) {
        let Some(before) = self.newest.take() else {
            self.newest = Some(newest);
            return;
        };
        let missing = before.presence() & !newest.presence() & !Field::Timestamp.bit();
        let is_last_book = before.has_levels() && !newest.has_levels();
        self.newest = Some(newest);
        if missing == 0 && !is_last_book {
            return;
        }
        let older = self.older.get_or_insert_default();
        before.for_each_value(missing, |value| older.set(value));
        if is_last_book {
            older.book = Some(before);
        }
    }

    /// Keeps those values of a tick that are newer than what is kept, of fields that the newest tick lacks.
    fn keep_older(&mut self, tick: LastTick) {
        let Some(newest) = &self.newest else { return };
        let missing = !newest.presence() & !Field::Timestamp.bit();
        let is_last_book = tick.has_levels() && !newest.has_levels();
        let older = self.older.get_or_insert_default();
        tick.for_each_value(missing, |value| {
            let known = older.values.iter().find(|known| known.field == value.field);
            if known.is_none_or(|known| known.when.publish_ns < value.when.publish_ns) {
                older.set(value);
            }
        });
        let is_newer = |book: &LastTick| book.when().publish_ns < tick.when().publish_ns;
        if is_last_book && older.book.as_ref().is_none_or(is_newer) {
            older.book = Some(tick);
        }
    }

    /// The newest tick.
    pub const fn newest(&self) -> Option<&LastTick> {
        self.newest.as_ref()
    }

    /// The newest tick that had levels.
    pub fn book(&self) -> Option<&LastTick> {
        let older = || self.older.as_ref()?.book.as_ref();
        self.newest.as_ref().filter(|newest| newest.has_levels()).or_else(older)
    }

    /// The newest value of every field. The timestamp is that of the newest tick, if any.
    pub fn for_each_value(&self, mut each: impl FnMut(LastValue)) {
        let Some(newest) = &self.newest else { return };
        newest.for_each_value(u32::MAX, &mut each);
        let older = self.older.iter().flat_map(|older| &older.values);
        older.filter(|value| newest.presence() & value.field.bit() == 0).for_each(|&value| each(value));
    }
}

impl Older {
    fn set(&mut self, value: LastValue) {
        match self.values.iter_mut().find(|known| known.field == value.field) {
            Some(known) => *known = value,
            None => self.values.push(value),
        }
    }
}

impl LastTick {
    pub fn view(&self) -> MessageView<'_> {
        MessageView::of_parts(&self.head, &self.rest)
    }

    pub const fn head(&self) -> &Head {
        &self.head
    }

    pub fn when(&self) -> When {
        When { publish_ns: published_ns(self.view()), count: self.count }
    }

    /// When its oldest value was published, ns: before the tick itself of what came from another proxy.
    pub fn oldest_ns(&self) -> i64 {
        let age = self.view().annex().and_then(Annex::age);
        let older_ms = age.map_or(0, |age| age.oldest_ms - age.newest_ms);
        self.when().publish_ns - i64::from(older_ms) * NS_PER_MS
    }

    const fn presence(&self) -> u32 {
        presence(&self.head)
    }

    fn has_levels(&self) -> bool {
        self.view().levels() > 0
    }

    /// The values of those fields of the mask that are present.
    fn for_each_value(&self, mask: u32, mut each: impl FnMut(LastValue)) {
        let (tick, when) = (self.view(), self.when());
        let (synonyms, oldest_ns, annex) = (tick.synonyms(), self.oldest_ns(), tick.annex());
        tick.for_each_field(|field, value| {
            if mask & field.bit() != 0 {
                let of_field = SYNONYMS_OF[field as usize];
                let synonyms = array::from_fn(|word| synonyms[word] & of_field[word]);
                let is_replaced = annex.is_some_and(|annex| annex.replaces(field.name()));
                each(LastValue { field, value, synonyms, when, oldest_ns, is_replaced });
            }
        });
    }
}

/// When a tick was published, ns of the monotonic clock. Another proxy's last value may be from before the clock began:
/// in the ring it then has 0, and is at least as old as it was when it came.
pub(crate) fn published_ns(tick: MessageView<'_>) -> i64 {
    match tick.annex().and_then(Annex::age) {
        Some(age) if tick.publish_ns() == 0 => -i64::from(age.newest_ms) * NS_PER_MS,
        _ => tick.publish_ns().try_into().unwrap_or(i64::MAX),
    }
}

#[inline]
const fn presence(head: &Head) -> u32 {
    (head[PRESENCE] >> 32) as u32
}
