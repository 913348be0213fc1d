//! The named values of a tick's `data`, the same in every format.

use openalgo_shm_ring::message::{FIELD_COUNT, Field, MessageView};

use super::digits::rounded;

/// Second names under which OpenAlgo's clients or adapters know a field.
const ALIASES: [(Field, &str); 3] = [
    (Field::LastQuantity, "last_trade_quantity"),
    (Field::AveragePrice, "avg_trade_price"),
    (Field::Oi, "open_interest"),
];
/// Names of members: the fields', then the aliases.
pub(super) const NAMES: [&str; FIELD_COUNT + ALIASES.len()] = {
    let mut names = [""; FIELD_COUNT + ALIASES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = if index < FIELD_COUNT { Field::NAMES[index] } else { ALIASES[index - FIELD_COUNT].1 };
        index += 1;
    }
    names
};

/// A value of `data`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Boolean(bool),
}

/// Gives each value with the index of its name in [`NAMES`], in order.
#[inline(always)]
pub(super) fn for_each(tick: MessageView<'_>, wall_offset_ns: i64, mut each: impl FnMut(usize, Value)) {
    tick.for_each_field(|field, value| {
        let value = match field {
            // Whole milliseconds: typed clients read them as integers.
            Field::Ltt | Field::Timestamp | Field::ExchangeTimestamp => Value::Number(rounded(value)),
            Field::Tradable => Value::Boolean(value != 0.0),
            _ => Value::Number(value),
        };
        each(field as usize, value);
        if let Some(alias) = alias(field) {
            each(alias, value);
        }
    });
    if tick.field(Field::Timestamp).is_none() {
        let wall_ns = (tick.publish_ns() as i64).saturating_add(wall_offset_ns);
        each(Field::Timestamp as usize, Value::Number((wall_ns / 1_000_000) as f64));
    }
}

#[inline(always)]
fn alias(field: Field) -> Option<usize> {
    ALIASES.iter().position(|&(other, _)| other == field).map(|index| FIELD_COUNT + index)
}
