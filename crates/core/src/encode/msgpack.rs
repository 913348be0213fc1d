//! MessagePack: the same message as in JSON, key for key. Whole numbers are integers, NaN and infinities nil.

use rmp::encode::{write_array_len, write_bool, write_f64, write_map_len, write_nil, write_sint, write_str};

use super::members::{self, Value};
use super::{Context, TopicText};
use crate::message::{DepthLevel, MessageView, Mode};

/// Whole numbers up to this are exact in an f64.
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Writing to a vector cannot fail.
const INFALLIBLE: &str = "a vector takes all bytes";

/// Appends the message.
pub(super) fn write_message(
    out: &mut Vec<u8>,
    topic: &TopicText,
    tick: MessageView<'_>,
    context: &Context<'_>,
) {
    map(out, if context.snapshot_age_ms.is_some() { 9 } else { 7 });
    text(out, "type");
    text(out, "market_data");
    topic_and_mode(out, topic, context.mode);
    text(out, "seq");
    integer(out, context.sequence as i64);
    if let Some(age) = context.snapshot_age_ms {
        text(out, "snapshot");
        write_bool(out, true).expect(INFALLIBLE);
        text(out, "age_ms");
        integer(out, age as i64);
    }
    text(out, "data");
    write_data(out, topic, tick, context.wall_offset_ns);
    text(out, "broker");
    text(out, context.broker);
}

fn write_data(out: &mut Vec<u8>, topic: &TopicText, tick: MessageView<'_>, wall_offset_ns: i64) {
    let has_depth = tick.mode() == Mode::Depth || tick.buys().len() + tick.sells().len() > 0;
    let mut count = if has_depth { 5 } else { 3 };
    members::for_each(tick, wall_offset_ns, |_, _| count += 1);
    map(out, count);
    topic_and_mode(out, topic, tick.mode());
    members::for_each(tick, wall_offset_ns, |name, value| {
        text(out, name);
        match value {
            Value::Number(value) => number(out, value),
            Value::Boolean(value) => write_bool(out, value).expect(INFALLIBLE),
        }
    });
    if has_depth {
        text(out, "depth");
        map(out, 2);
        text(out, "buy");
        write_side(out, tick.buys());
        text(out, "sell");
        write_side(out, tick.sells());
        text(out, "depth_level");
        integer(out, tick.buys().len().max(tick.sells().len()) as i64);
    }
}

fn write_side(out: &mut Vec<u8>, levels: impl ExactSizeIterator<Item = DepthLevel>) {
    write_array_len(out, levels.len() as u32).expect(INFALLIBLE);
    for level in levels {
        map(out, 3);
        for (name, value) in [("price", level.price), ("quantity", level.quantity), ("orders", level.orders)]
        {
            text(out, name);
            number(out, value);
        }
    }
}

fn topic_and_mode(out: &mut Vec<u8>, topic: &TopicText, mode: Mode) {
    text(out, "symbol");
    text(out, topic.symbol());
    text(out, "exchange");
    text(out, topic.exchange());
    text(out, "mode");
    integer(out, mode as i64);
}

fn map(out: &mut Vec<u8>, entries: u32) {
    write_map_len(out, entries).expect(INFALLIBLE);
}

fn text(out: &mut Vec<u8>, text: &str) {
    write_str(out, text).expect(INFALLIBLE);
}

fn integer(out: &mut Vec<u8>, value: i64) {
    write_sint(out, value).expect(INFALLIBLE);
}

fn number(out: &mut Vec<u8>, value: f64) {
    if value.abs() <= EXACT_INTEGER && value.trunc() == value {
        integer(out, value as i64);
    } else if value.is_finite() {
        write_f64(out, value).expect(INFALLIBLE);
    } else {
        write_nil(out).expect(INFALLIBLE);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, write_frame};
    use super::*;
    use crate::message::{Field, MarketDataMessage};

    #[test]
    fn a_tick_is_one_binary_frame() {
        let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
        tick.set(Field::Ltp, 150.25).set(Field::Volume, f64::NAN).set(Field::Timestamp, 5.0);
        let context = Context {
            format: Format::MessagePack,
            mode: Mode::Ltp,
            sequence: 7,
            broker: "z",
            wall_offset_ns: 0,
            snapshot_age_ms: None,
        };
        let mut out = Vec::new();
        write_frame(&mut out, &TopicText::new("NSE", "TCS"), tick.view(), &context);
        let mut expected = vec![0x82, 0];
        expected.extend_from_slice(
            b"\x87\xa4type\xabmarket_data\xa6symbol\xa3TCS\xa8exchange\xa3NSE\xa4mode\x01\xa3seq\x07",
        );
        expected
            .extend_from_slice(b"\xa4data\x86\xa6symbol\xa3TCS\xa8exchange\xa3NSE\xa4mode\x01\xa3ltp\xcb");
        expected.extend_from_slice(&150.25f64.to_be_bytes());
        expected.extend_from_slice(b"\xa6volume\xc0\xa9timestamp\x05\xa6broker\xa1z");
        expected[1] = (expected.len() - 2) as u8;
        let length = expected.len() - 2;
        if length >= 126 {
            expected.splice(1..2, [126, 0, length as u8]);
        }
        assert_eq!(out, expected);
    }
}
