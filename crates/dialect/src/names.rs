//! Every key that a tick may have, and how the value under it is read.

use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use openalgo_shm_ring::message::{Field, SYNONYMS};

/// A side of an order book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Who buys.
    Buy,
    /// Who sells.
    Sell,
}

/// How a field's value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A number, or text with a number.
    Number,
    /// As a number; text may have a percent sign behind it.
    Percent,
    /// A moment: seconds, ms, µs or ns since 1970, or a date and time as text.
    Time,
    /// True or false, 1 or 0.
    Flag,
    /// A whole number; text that is none is left out.
    Token,
}

impl Kind {
    /// The kind of a field.
    pub const fn of(field: Field) -> Self {
        match field {
            Field::Ltt | Field::Timestamp | Field::ExchangeTimestamp => Self::Time,
            Field::ChangePercent => Self::Percent,
            Field::Tradable => Self::Flag,
            Field::InstrumentToken => Self::Token,
            _ => Self::Number,
        }
    }
}

/// How a name stands to the wire name of its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// It is the wire name, which wins over others in the same tick.
    Wire,
    /// It is the name in TypeScript, or that of a time in ms beside which the adapter's own form stands.
    TypeScript,
    /// It is the synonym with this number.
    Synonym(u8),
}

/// A part of a price level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelPart {
    /// The price.
    Price,
    /// How much is offered at it.
    Quantity,
    /// By how many orders.
    Orders,
}

/// What is done with the value under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A numeric field.
    Field(Field, Kind, Spelling),
    /// A whole book: `{buy, sell}` or `{bids, asks}`.
    Depth,
    /// One side of a book that stands beside the other fields.
    Side(Side),
    /// The day's prices in a dictionary of their own, as Kite nests them.
    Ohlc,
    /// The symbol.
    Symbol,
    /// The exchange.
    Exchange,
    /// The mode.
    Mode,
    /// The mode, if it is one: adapters use `type` for the kind of a message too.
    Type,
    /// A part of a price level; of no meaning beside the fields.
    Level(LevelPart),
    /// Means nothing to a field, as is well known: clients get it as it is.
    Carried,
    /// Follows from the rest of the tick.
    Ignored,
}

/// Keys whose values clients get as they are, without being counted as unknown.
pub const CARRIED: [&str; 6] =
    ["token", "broker", "data_type", "subscription_mode", "depth_levels", "is_50_depth"];
/// Keys that are left out without being counted.
pub const IGNORED: [&str; 1] = ["depth_level"];

/// The modes by every name that adapters, clients and tickers give them, in lower case.
pub const MODES: [(&str, u8); 7] =
    [("ltp", 1), ("quote", 2), ("full", 3), ("depth", 3), ("1", 1), ("2", 2), ("3", 3)];

/// What the quantity of a price level is called.
pub const QUANTITY_NAMES: [&str; 3] = ["quantity", "qty", "size"];
/// What the number of orders of a price level is called.
pub const ORDERS_NAMES: [&str; 4] = ["orders", "no of orders", "num_orders", "number_of_orders"];

/// What the sides of a book are called, inside a book and beside the fields.
pub const SIDE_NAMES: [(&str, Side); 4] =
    [("buy", Side::Buy), ("bids", Side::Buy), ("sell", Side::Sell), ("asks", Side::Sell)];

/// Keys that are no field.
pub const STRUCTURE: [(&str, Rule); 6] = [
    ("symbol", Rule::Symbol),
    ("exchange", Rule::Exchange),
    ("mode", Rule::Mode),
    ("type", Rule::Type),
    ("depth", Rule::Depth),
    ("ohlc", Rule::Ohlc),
];

/// The fields that `ohlc` nests, by their wire names.
pub const OHLC_FIELDS: [Field; 4] = [Field::Open, Field::High, Field::Low, Field::Close];

static RULES: LazyLock<HashMap<Box<str>, Rule, RandomState>> = LazyLock::new(|| {
    let mut rules: HashMap<Box<str>, Rule, RandomState> = HashMap::default();
    let field = |field, spelling| Rule::Field(field, Kind::of(field), spelling);
    for (number, (of, name)) in SYNONYMS.into_iter().enumerate() {
        rules.insert(name.into(), field(of, Spelling::Synonym(number as u8)));
    }
    for of in Field::ALL {
        rules.insert(camel_case(of.name()).into(), field(of, Spelling::TypeScript));
        if Kind::of(of) == Kind::Time {
            rules.insert(format!("{}_ms", of.name()).into(), field(of, Spelling::TypeScript));
        }
        rules.insert(of.name().into(), field(of, Spelling::Wire));
    }
    rules.extend(SIDE_NAMES.map(|(name, side)| (name.into(), Rule::Side(side))));
    rules.extend(STRUCTURE.map(|(name, rule)| (name.into(), rule)));
    rules.insert("price".into(), Rule::Level(LevelPart::Price));
    rules.extend(QUANTITY_NAMES.map(|name| (name.into(), Rule::Level(LevelPart::Quantity))));
    rules.extend(ORDERS_NAMES.map(|name| (name.into(), Rule::Level(LevelPart::Orders))));
    rules.extend(CARRIED.map(|name| (name.into(), Rule::Carried)));
    rules.extend(IGNORED.map(|name| (name.into(), Rule::Ignored)));
    rules
});

/// The rule of a key; `None` of a key that no field answers to. Costs about 10 ns.
#[inline]
pub fn rule_of(key: &str) -> Option<Rule> {
    RULES.get(key).copied()
}

/// The name of a field in TypeScript.
pub fn camel_case(wire_name: &str) -> String {
    if let Some(rest) = wire_name.strip_prefix("52_week_") {
        return format!("week52{}{}", rest[..1].to_uppercase(), &rest[1..]);
    }
    let mut parts = wire_name.split('_');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (first, rest) = part.split_at(part.len().min(1));
        name.push_str(&first.to_uppercase());
        name.push_str(rest);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice() {
        let names = SYNONYMS.map(|(_, name)| name);
        let wire = Field::NAMES;
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name} twice");
            assert!(!wire.contains(name), "{name} is a wire name");
            assert!(!IGNORED.contains(name) && !CARRIED.contains(name), "{name} has a rule");
        }
        assert!(names.len() <= 128, "a message has room for 128");
    }

    #[test]
    fn names_in_typescript() {
        assert_eq!(camel_case("52_week_high"), "week52High");
        assert_eq!(camel_case("prev_close"), "prevClose");
        assert_eq!(camel_case("ltp"), "ltp");
    }
}
