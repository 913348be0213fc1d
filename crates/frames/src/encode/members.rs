//! The named values of a tick's `data`, the same in every format.

use openalgo_shm_ring::message::{
    Annex, FIELD_COUNT, Field, MEMBER_BYTES, MemberValue, Members, MessageView, SYNONYM_WORDS, SYNONYMS,
};

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
/// Times in ms of a tick whose adapter wrote them in another form, which stands under the name of the field.
const IN_MS: [(Field, &str); 3] = [
    (Field::Ltt, "ltt_ms"),
    (Field::Timestamp, "timestamp_ms"),
    (Field::ExchangeTimestamp, "exchange_timestamp_ms"),
];
const FIRST_IN_MS: usize = FIELD_COUNT + SYNONYMS.len();
/// Names of members: the fields', the synonyms, the times in ms.
pub(super) const NAMES: [&str; FIRST_IN_MS + IN_MS.len()] = {
    let mut names = [""; FIRST_IN_MS + IN_MS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = if index < FIELD_COUNT {
            Field::NAMES[index]
        } else if index < FIRST_IN_MS {
            SYNONYMS[index - FIELD_COUNT].1
        } else {
            IN_MS[index - FIRST_IN_MS].1
        };
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
    // A byte of a text that is escaped has six, and a flag with a key of one such byte 16 in place of three.
    bytes + 6 * MEMBER_BYTES
};

/// A value of `data`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Boolean(bool),
}

/// Gives each value with the index of its name in [`NAMES`]: the fields in order.
#[inline(always)]
pub(super) fn for_each(tick: MessageView<'_>, mut each: impl FnMut(usize, Value)) {
    tick.for_each_field(|field, value| {
        let value = value_of(field, value);
        each(field as usize, value);
        if let Some(always) = always(field) {
            each(always, value);
        }
    });
}

/// As [`for_each`], of a tick with an annex: times whose names the annex has taken come under names of their own.
pub(super) fn for_each_beside(
    tick: MessageView<'_>,
    annex: Annex<'_>,
    members: &Members,
    mut each: impl FnMut(usize, Value),
) {
    for_each(tick, |name, value| {
        // What clients are always given, unless the adapter gave it another value.
        if name >= FIELD_COUNT && members.get(NAMES[name]).is_some() {
            return;
        }
        let in_ms =
            IN_MS.iter().position(|&(field, _)| field as usize == name && annex.replaces(field.name()));
        each(in_ms.map_or(name, |at| FIRST_IN_MS + at), value);
    });
}

/// The members of an annex that stand beside the tick's own values: none has the name of another value.
pub(super) fn of_annex<'a>(
    tick: MessageView<'_>,
    annex: Annex<'_>,
    members: &'a Members,
) -> impl Iterator<Item = (&'a str, MemberValue<'a>)> {
    members.iter().filter(move |&(key, _)| {
        let is_field = |field: Field| field.name() == key && tick.field(field).is_some();
        !OWN.contains(&key) && (annex.replaces(key) || !Field::ALL.into_iter().any(is_field))
    })
}

/// Names of what begins and ends the data of a tick, and of times in ms.
const OWN: [&str; 8] =
    ["symbol", "exchange", "mode", "depth", "depth_level", IN_MS[0].1, IN_MS[1].1, IN_MS[2].1];

/// Gives the values of fields that came under synonyms, with the index of each such name in [`NAMES`], but no name
/// that [`for_each`] gives or that a member has.
#[inline(always)]
pub(super) fn for_each_synonym(
    tick: MessageView<'_>,
    members: Option<&Members>,
    mut each: impl FnMut(usize, Value),
) {
    for (word, bits) in tick.synonyms().into_iter().enumerate() {
        let mut left = bits & ADDED[word];
        while left != 0 {
            let number = 64 * word + left.trailing_zeros() as usize;
            left &= left - 1;
            let (field, name) = SYNONYMS[number];
            if members.is_some_and(|members| members.get(name).is_some()) {
                continue;
            }
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
