//! A value of a tick's dictionary, in whatever language it was made.

use crate::names::{Rule, rule_of};

/// What a value is, apart from dictionaries and lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(f64),
    /// Text.
    Text(&'a str),
    /// A dictionary, a list, or an object of another kind.
    Other,
}

/// A key of a tick's dictionary.
pub trait RawKey {
    /// Its text, if it is text.
    fn text(&self) -> Option<&str>;

    /// Its rule; `None` of a key that no field answers to. A language whose keys are objects may remember it with them.
    #[inline]
    fn rule(&self) -> Option<Rule> {
        rule_of(self.text()?)
    }
}

impl RawKey for str {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

/// A value of a tick's dictionary.
pub trait Raw: Sized {
    /// What a dictionary's keys are.
    type Key: RawKey + ?Sized;

    /// What it is, if it is no dictionary and no list.
    fn scalar(&self) -> Scalar<'_>;

    /// Gives each key and value of a dictionary. False if it is no dictionary.
    fn for_each_entry(&self, each: impl FnMut(&Self::Key, &Self)) -> bool;

    /// Gives each item of a list with its index, until `false` is returned. False if it is no list.
    fn for_each_item(&self, each: impl FnMut(usize, &Self) -> bool) -> bool;

    /// The text of a moment that the language has a type for, such as a `datetime`, in ISO 8601.
    fn moment(&self) -> Option<String> {
        None
    }

    /// What it is, in words, for an error.
    fn describe(&self) -> String;
}

/// True for what brokers send where they have nothing to say: null, the empty string and a dash.
pub(crate) fn is_blank(scalar: Scalar<'_>) -> bool {
    matches!(scalar, Scalar::Null | Scalar::Text("" | "-"))
}

/// A number, from a number or text with a number. What is not finite becomes NaN. `None` where it is none.
#[inline]
pub(crate) fn number_of(scalar: Scalar<'_>) -> Option<f64> {
    let number = match scalar {
        Scalar::Number(number) => number,
        Scalar::Text(text) => {
            let text = text.trim();
            parse_decimal(text)
                .or_else(|| parse_grouped(text))
                .or_else(|| is_not_finite(text).then_some(f64::NAN))?
        }
        _ => return None,
    };
    Some(if number.is_finite() { number } else { f64::NAN })
}

/// What Python prints for numbers that are not finite.
pub(crate) fn is_not_finite(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    ["nan", "inf", "infinity"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// The number that a text spells in decimal notation. Takes no hex, no blanks, no underscores and no words.
pub fn parse_decimal(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    // What Rust reads beyond that has letters; that a number has a digit is left to it.
    let number: f64 = is_plain.then(|| text.parse().ok())??;
    Some(number)
}

/// The number that a text spells with commas between groups of digits: of three, or as India groups them, two and at
/// last three.
fn parse_grouped(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut groups = whole.strip_prefix(['+', '-']).unwrap_or(whole).split(',');
    let (first, last) = (groups.next()?, groups.next_back()?);
    let of = |group: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_of_three = of(first, 1..=3) && groups.clone().all(|group| of(group, 3..=3));
    let is_of_two = of(first, 1..=2) && groups.all(|group| of(group, 2..=2));
    let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit());
    ((is_of_three || is_of_two) && of(last, 3..=3) && is_fraction)
        .then(|| text.replace(',', "").parse().ok())?
}

/// The number in front of a percent sign.
pub(crate) fn percent_of(scalar: Scalar<'_>) -> Option<f64> {
    let Scalar::Text(text) = scalar else { return None };
    number_of(Scalar::Text(text.trim().strip_suffix('%')?)).filter(|number| number.is_finite())
}

/// 1 or 0, from a boolean, a number or text.
pub(crate) fn flag_of(scalar: Scalar<'_>) -> Option<f64> {
    match scalar {
        Scalar::Bool(flag) => Some(f64::from(u8::from(flag))),
        Scalar::Number(number) if number == 0.0 || number == 1.0 => Some(number),
        Scalar::Text("true") => Some(1.0),
        Scalar::Text("false") => Some(0.0),
        _ => None,
    }
}

/// A whole number that a double holds exactly, or `None` where the broker's token is text.
pub(crate) fn token_of(scalar: Scalar<'_>) -> Option<f64> {
    const LARGEST: f64 = 9_007_199_254_740_991.0;
    let token = match scalar {
        Scalar::Number(number) => number,
        Scalar::Text(text) => parse_decimal(text.trim())?,
        _ => return None,
    };
    (token.fract() == 0.0 && token.abs() <= LARGEST).then_some(token)
}
