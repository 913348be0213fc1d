//! JSON. Whole numbers are printed as integers (typed clients insist on it), NaN and infinities as `null`.

use super::Context;
use super::members::{self, Value};
use crate::message::{DepthLevel, MessageView, Mode};

/// Whole numbers up to this are exact in an f64.
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// The constant parts of a topic's messages, escaped once.
#[derive(Debug, Clone)]
pub(super) struct TopicText {
    /// Up to the subscriber's mode.
    head: Box<[u8]>,
    /// From the data's brace to the tick's mode.
    data: Box<[u8]>,
}

impl TopicText {
    pub(super) fn new(exchange: &str, symbol: &str) -> Self {
        let mut topic = Vec::new();
        topic.extend_from_slice(b"\"symbol\":");
        write_text(&mut topic, symbol);
        topic.extend_from_slice(b",\"exchange\":");
        write_text(&mut topic, exchange);
        topic.extend_from_slice(b",\"mode\":");
        Self {
            head: [b"{\"type\":\"market_data\",".as_slice(), &topic].concat().into(),
            data: [b",\"data\":{".as_slice(), &topic].concat().into(),
        }
    }
}

/// Appends the message.
pub(super) fn write_message(
    out: &mut Vec<u8>,
    topic: &TopicText,
    tick: MessageView<'_>,
    context: &Context<'_>,
) {
    out.extend_from_slice(&topic.head);
    out.push(b'0' + context.mode as u8);
    out.extend_from_slice(b",\"seq\":");
    write_integer(out, context.sequence as i64);
    if let Some(age) = context.snapshot_age_ms {
        out.extend_from_slice(b",\"snapshot\":true,\"age_ms\":");
        write_integer(out, age as i64);
    }
    out.extend_from_slice(&topic.data);
    out.push(b'0' + tick.mode() as u8);
    members::for_each(tick, context.wall_offset_ns, |name, value| {
        write_name(out, name);
        match value {
            Value::Number(number) => write_number(out, number),
            Value::Boolean(truth) => out.extend_from_slice(if truth { b"true" } else { b"false" }),
        }
    });
    if tick.mode() == Mode::Depth || tick.buys().len() + tick.sells().len() > 0 {
        write_depth(out, tick);
    }
    out.extend_from_slice(b"},\"broker\":");
    write_text(out, context.broker);
    out.push(b'}');
}

fn write_depth(out: &mut Vec<u8>, tick: MessageView<'_>) {
    out.extend_from_slice(b",\"depth\":{\"buy\":[");
    write_side(out, tick.buys());
    out.extend_from_slice(b"],\"sell\":[");
    write_side(out, tick.sells());
    out.extend_from_slice(b"]},\"depth_level\":");
    write_integer(out, tick.buys().len().max(tick.sells().len()) as i64);
}

fn write_side(out: &mut Vec<u8>, levels: impl Iterator<Item = DepthLevel>) {
    for (index, level) in levels.enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"price\":" } else { b",{\"price\":" });
        write_number(out, level.price);
        out.extend_from_slice(b",\"quantity\":");
        write_number(out, level.quantity);
        out.extend_from_slice(b",\"orders\":");
        write_number(out, level.orders);
        out.push(b'}');
    }
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Whole numbers as integers, others in the shortest form that reads back as the same f64.
fn write_number(out: &mut Vec<u8>, value: f64) {
    if value.abs() <= EXACT_INTEGER && value.trunc() == value {
        write_integer(out, value as i64);
    } else if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(b"null");
    }
}

/// A JSON string.
fn write_text(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::{Format, TopicText, write_frame};
    use super::*;
    use crate::message::{Field, MarketDataMessage};

    fn text(tick: &MarketDataMessage, context: &Context<'_>) -> String {
        let view = tick.view();
        let mut out = Vec::new();
        write_frame(&mut out, &TopicText::new(&view.exchange(), &view.symbol()), view, context);
        assert_eq!(out[..2], [0x81, 126]);
        assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])), out.len() - 4);
        String::from_utf8(out.split_off(4)).expect("JSON is UTF-8")
    }

    fn context(mode: Mode) -> Context<'static> {
        Context {
            format: Format::Json,
            mode,
            sequence: 7,
            broker: "zerodha",
            wall_offset_ns: 1_700_000_000_000_000_000,
            snapshot_age_ms: None,
        }
    }

    #[test]
    fn a_tick_has_openalgos_form() {
        let mut tick = MarketDataMessage::new("NSE", "M&M", Mode::Depth).unwrap();
        tick.set(Field::Ltp, 150.25)
            .set(Field::Volume, 1000.0)
            .set(Field::Timestamp, 5.0)
            .set(Field::Oi, 0.0);
        let level = DepthLevel { price: 150.2, quantity: 5.0, orders: 1.0 };
        tick.set_depth(&[level], &[]).unwrap();
        assert_eq!(
            text(&tick, &context(Mode::Quote)),
            r#"{"type":"market_data","symbol":"M&M","exchange":"NSE","mode":2,"seq":7,"data":{"symbol":"M&M","exchange":"NSE","mode":3,"ltp":150.25,"volume":1000,"timestamp":5,"oi":0,"open_interest":0,"depth":{"buy":[{"price":150.2,"quantity":5,"orders":1}],"sell":[]},"depth_level":1},"broker":"zerodha"}"#
        );
    }

    #[test]
    fn an_absent_timestamp_is_the_publish_time() {
        let tick = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
        assert!(text(&tick, &context(Mode::Ltp)).contains(r#""timestamp":1700000000000"#));
    }

    #[test]
    fn what_json_cannot_say_is_null() {
        let mut tick = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
        tick.set(Field::Ltp, f64::NAN).set(Field::Volume, f64::INFINITY);
        let text = text(&tick, &context(Mode::Ltp));
        assert!(text.contains(r#""ltp":null,"volume":null"#), "{text}");
    }

    #[test]
    fn names_are_escaped() {
        let mut out = Vec::new();
        write_text(&mut out, "a\"b\\c\u{1}ü");
        assert_eq!(out, "\"a\\\"b\\\\c\\u0001ü\"".as_bytes());
    }

    #[test]
    fn numbers_read_back_as_they_were() {
        for value in
            [0.05, 1e300, -1e-300, 5e-324, f64::MAX, 17341.75, 0.1 + 0.2, 9_007_199_254_740_993.0, 1e21]
        {
            let mut out = Vec::new();
            write_number(&mut out, value);
            let text = String::from_utf8(out).unwrap();
            assert_eq!(text.parse::<f64>(), Ok(value), "{text}");
        }
    }
}
