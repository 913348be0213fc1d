//! The newest value of every field of a topic, and its newest order book.
//!
//! Ticks are kept by their exact mode: the newest as a whole, and beside it those values of older ticks that the
//! newest does not have. Most feeds send the same fields in every tick, so that there are none.

use std::array;

use openalgo_shm_ring::message::{FIELD_COUNT, Field, Head, MessageView, Mode, SYNONYM_WORDS, SYNONYMS};

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
    pub publish_ns: u64,
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
}

impl LastValues {
    /// Keeps a tick, the topic's `count`th, in its predecessor's memory if that has the right size.
    #[inline]
    pub fn keep(&mut self, tick: MessageView<'_>, publisher: u32, count: u64) {
        let slot = &mut self.slots[tick.mode() as usize - 1];
        let (head, rest) = tick.parts();
        match &mut slot.newest {
            // With the same fields and as many words behind them, it has the same number of levels, too: nothing of
            // the one before is left to keep.
            Some(newest) if newest.rest.len() == rest.len() && newest.presence() == presence(head) => {
                newest.head = *head;
                newest.rest.copy_from_slice(rest);
                newest.publisher = publisher;
                newest.count = count;
            }
            _ => slot.replace(LastTick { head: *head, rest: rest.into(), publisher, count }),
        }
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

    /// The newest tick.
    pub const fn newest(&self) -> Option<&LastTick> {
        self.newest.as_ref()
    }

    /// The newest tick that had levels.
    pub fn book(&self) -> Option<&LastTick> {
        let older = || self.older.as_ref()?.book.as_ref();
        self.newest.as_ref().filter(|newest| newest.has_levels()).or_else(older)
    }

    /// The newest value of every field. The timestamp is that of the newest tick, if any: what has none is shown
    /// with its publish time.
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
        When { publish_ns: self.view().publish_ns(), count: self.count }
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
        let synonyms = tick.synonyms();
        tick.for_each_field(|field, value| {
            if mask & field.bit() != 0 {
                let of_field = SYNONYMS_OF[field as usize];
                let synonyms = array::from_fn(|word| synonyms[word] & of_field[word]);
                each(LastValue { field, value, synonyms, when });
            }
        });
    }
}

#[inline]
const fn presence(head: &Head) -> u32 {
    (head[PRESENCE] >> 32) as u32
}
