//! The named values of a tick's `data`, the same in every format.

use crate::message::{Field, MessageView};

/// A value of `data`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Boolean(bool),
}

/// Gives each value with its name, in order.
#[inline]
pub(super) fn for_each(
    tick: MessageView<'_>,
    wall_offset_ns: i64,
    mut each: impl FnMut(&'static str, Value),
) {
    for field in Field::ALL {
        let Some(value) = tick.field(field) else { continue };
        let value = match field {
            // Whole milliseconds: typed clients read them as integers.
            Field::Ltt | Field::Timestamp | Field::ExchangeTimestamp => Value::Number(value.round()),
            Field::Tradable => Value::Boolean(value != 0.0),
            _ => Value::Number(value),
        };
        each(field.name(), value);
        if let Some(alias) = alias(field) {
            each(alias, value);
        }
    }
    if tick.field(Field::Timestamp).is_none() {
        let wall_ns = (tick.publish_ns() as i64).saturating_add(wall_offset_ns);
        each(Field::Timestamp.name(), Value::Number((wall_ns / 1_000_000) as f64));
    }
}

/// A second name under which OpenAlgo's clients or adapters know a field.
const fn alias(field: Field) -> Option<&'static str> {
    match field {
        Field::LastQuantity => Some("last_trade_quantity"),
        Field::AveragePrice => Some("avg_trade_price"),
        Field::Oi => Some("open_interest"),
        _ => None,
    }
}
