//! The named values of a tick's `data`, the same in every format.

use openalgo_shm_ring::message::{FIELD_COUNT, Field, MessageView, SYNONYM_WORDS, SYNONYMS};

use super::digits::rounded;

/// Synonyms under which OpenAlgo's clients know a field whatever its adapter calls it.
const ALWAYS: [usize; 3] =
    [synonym("last_trade_quantity"), synonym("avg_trade_price"), synonym("open_interest")];
/// The bits of synonyms that a tick can add to [`ALWAYS`].
const ADDED: [u64; SYNONYM_WORDS] = {
    let mut bits = [u64::MAX, u64::MAX >> (64 * SYNONYM_WORDS - SYNONYMS.len())];
    let mut index = 0;
    while index < ALWAYS.len() {
        bits[ALWAYS[index] / 64] &= !(1 << (ALWAYS[index] % 64));
        index += 1;
    }
    bits
};
/// Names of members: the fields', then the synonyms.
pub(super) const NAMES: [&str; FIELD_COUNT + SYNONYMS.len()] = {
    let mut names = [""; FIELD_COUNT + SYNONYMS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] =
            if index < FIELD_COUNT { Field::NAMES[index] } else { SYNONYMS[index - FIELD_COUNT].1 };
        index += 1;
    }
    names
};
/// Bytes that all members together can have.
pub(super) const LONGEST: usize = {
    // `,"name":` and a number.
    const LONGEST_NUMBER: usize = 25;
    let (mut bytes, mut index) = (0, 0);
    while index < NAMES.len() {
        bytes += NAMES[index].len() + 4 + LONGEST_NUMBER;
        index += 1;
    }
    bytes
};

/// A value of `data`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Boolean(bool),
}

/// Gives each value with the index of its name in [`NAMES`]: the fields in order.
#[inline(always)]
pub(super) fn for_each(tick: MessageView<'_>, wall_offset_ns: i64, mut each: impl FnMut(usize, Value)) {
    tick.for_each_field(|field, value| {
        let value = value_of(field, value);
        each(field as usize, value);
        if let Some(always) = always(field) {
            each(always, value);
        }
    });
    if tick.field(Field::Timestamp).is_none() {
        let wall_ns = (tick.publish_ns() as i64).saturating_add(wall_offset_ns);
        each(Field::Timestamp as usize, Value::Number((wall_ns / 1_000_000) as f64));
    }
}

/// Gives the values of fields that came under synonyms, with the index of each such name in [`NAMES`], but no name
/// that [`for_each`] gives.
#[inline(always)]
pub(super) fn for_each_synonym(tick: MessageView<'_>, mut each: impl FnMut(usize, Value)) {
    for (word, bits) in tick.synonyms().into_iter().enumerate() {
        let mut left = bits & ADDED[word];
        while left != 0 {
            let number = 64 * word + left.trailing_zeros() as usize;
            left &= left - 1;
            let field = SYNONYMS[number].0;
            if let Some(value) = tick.field(field) {
                each(FIELD_COUNT + number, value_of(field, value));
            }
        }
    }
}

#[inline(always)]
fn value_of(field: Field, value: f64) -> Value {
    match field {
        // Whole milliseconds: typed clients read them as integers.
        Field::Ltt | Field::Timestamp | Field::ExchangeTimestamp => Value::Number(rounded(value)),
        Field::Tradable => Value::Boolean(value != 0.0),
        _ => Value::Number(value),
    }
}

#[inline(always)]
fn always(field: Field) -> Option<usize> {
    ALWAYS.iter().find(|&&number| SYNONYMS[number].0 == field).map(|number| FIELD_COUNT + number)
}

/// The number of a synonym.
const fn synonym(name: &str) -> usize {
    let mut number = 0;
    while !is_equal(SYNONYMS[number].1.as_bytes(), name.as_bytes()) {
        number += 1;
    }
    number
}

const fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_members_have_the_same_name() {
        let others = ["symbol", "exchange", "mode", "depth", "depth_level"];
        let names: HashSet<_> = NAMES.into_iter().chain(others).collect();
        assert_eq!(names.len(), NAMES.len() + others.len());
    }
}
