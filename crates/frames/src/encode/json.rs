//! JSON. Whole numbers are printed as integers (typed clients insist on it), NaN and infinities as `null`.

use openalgo_shm_ring::message::{Annex, DepthLevel, MemberValue, Members, MessageView};

use super::bytes::{Bytes, Short};
use super::digits::{as_integer, put_integer, put_short_decimal};
use super::members::{self, NAMES, Value};
use super::{Context, has_depth};

/// `,"name":` of every member.
static KEYS: [Short; NAMES.len()] = {
    let mut keys = [Short::concat(&[]); NAMES.len()];
    let mut index = 0;
    while index < keys.len() {
        keys[index] = Short::concat(&[b",\"", NAMES[index].as_bytes(), b"\":"]);
        index += 1;
    }
    keys
};

/// The constant parts of a topic's messages, escaped once.
#[derive(Debug, Clone)]
pub(super) struct TopicText {
    /// Up to the subscriber's mode, then from the data's brace to the tick's mode.
    bytes: Box<[u8]>,
    /// Where the second part begins.
    data: usize,
    /// Bytes of the symbol and of the exchange in it, each with its quotes.
    symbol: usize,
    exchange: usize,
}

impl TopicText {
    pub(super) fn new(exchange: &str, symbol: &str) -> Self {
        let (symbol, exchange) = (quoted(symbol), quoted(exchange));
        let topic = [SYMBOL_KEY, symbol.as_slice(), EXCHANGE_KEY, exchange.as_slice(), MODE_KEY].concat();
        let head = [b"{\"type\":\"market_data\",".as_slice(), &topic].concat();
        let data = head.len();
        Self {
            bytes: [head.as_slice(), DATA_KEY, &topic].concat().into(),
            data,
            symbol: symbol.len(),
            exchange: exchange.len(),
        }
    }
}

const DATA_KEY: &[u8] = b",\"data\":{";
const SYMBOL_KEY: &[u8] = b"\"symbol\":";
const EXCHANGE_KEY: &[u8] = b",\"exchange\":";
const MODE_KEY: &[u8] = b",\"mode\":";

/// The end of a message, which names the publisher.
pub(super) fn broker_text(broker: &str) -> Box<[u8]> {
    [b"},\"broker\":".as_slice(), &quoted(broker), b"}"].concat().into()
}

/// Writes the message and returns its length.
pub(super) fn write_message(
    room: &mut [u8],
    topic: &TopicText,
    tick: MessageView<'_>,
    context: &Context<'_>,
) -> usize {
    let mut out = Bytes::new(room);
    let (head, data) = topic.bytes.split_at(topic.data);
    out.put_slice(head);
    out.put(&[b'0' + context.mode as u8]);
    out.put(b",\"seq\":");
    put_integer(&mut out, context.sequence as i64);
    if let Some(age) = context.snapshot {
        out.put(b",\"snapshot\":true,\"age_ms\":");
        put_integer(&mut out, age.newest_ms as i64);
        if let Some(oldest_ms) = age.oldest_ms {
            out.put(b",\"oldest_age_ms\":");
            put_integer(&mut out, oldest_ms as i64);
        }
    }
    if let Some(annex) = tick.annex() {
        out.put_part(|room| write_beside(room, topic, tick, annex));
    } else {
        out.put_slice(data);
        out.put(&[b'0' + tick.mode() as u8]);
        members::for_each(tick, |name, value| put_member(&mut out, name, value));
    }
    if tick.has_synonyms() {
        out.put_part(|room| write_synonyms(room, tick));
    }
    if has_depth(tick) {
        out.put_part(|room| write_depth(room, tick));
    }
    out.put_slice(&context.broker.json);
    out.length()
}

#[inline(always)]
fn put_member(out: &mut Bytes<'_>, name: usize, value: Value) {
    out.put_short(&KEYS[name]);
    match value {
        Value::Number(number) => out.put_part(|room| write_number(room, number)),
        Value::Boolean(true) => out.put(b"true"),
        Value::Boolean(false) => out.put(b"false"),
    }
}

/// The data of a tick with an annex, up to its synonyms.
#[inline(never)]
fn write_beside(room: &mut [u8], topic: &TopicText, tick: MessageView<'_>, annex: Annex<'_>) -> usize {
    let mut out = Bytes::new(room);
    let (symbol, rest) = topic.bytes[topic.data + DATA_KEY.len() + SYMBOL_KEY.len()..].split_at(topic.symbol);
    let exchange = &rest[EXCHANGE_KEY.len()..][..topic.exchange];
    let beside = annex.members();
    out.put_slice(DATA_KEY);
    out.put_slice(SYMBOL_KEY);
    put_replaced(&mut out, &beside, "symbol", symbol);
    out.put_slice(EXCHANGE_KEY);
    put_replaced(&mut out, &beside, "exchange", exchange);
    out.put_slice(MODE_KEY);
    put_replaced(&mut out, &beside, "mode", &[b'0' + tick.mode() as u8]);
    members::for_each_beside(tick, annex, &beside, |name, value| put_member(&mut out, name, value));
    for (key, value) in members::of_annex(tick, annex, &beside) {
        out.put(b",");
        put_quoted(&mut out, key);
        out.put(b":");
        put_value(&mut out, value);
    }
    out.length()
}

/// The member of the annex that has taken the place of the tick's own value, else that value.
fn put_replaced(out: &mut Bytes<'_>, beside: &Members, name: &str, own: &[u8]) {
    match beside.get(name) {
        Some(value) => put_value(out, value),
        None => out.put_slice(own),
    }
}

fn put_value(out: &mut Bytes<'_>, value: MemberValue<'_>) {
    match value {
        MemberValue::Number(number) => out.put_part(|room| write_number(room, number)),
        MemberValue::Text(text) => put_quoted(out, text),
        MemberValue::Flag(true) => out.put(b"true"),
        MemberValue::Flag(false) => out.put(b"false"),
    }
}

#[inline(never)]
fn write_synonyms(room: &mut [u8], tick: MessageView<'_>) -> usize {
    let mut out = Bytes::new(room);
    let beside = tick.annex().map(Annex::members);
    members::for_each_synonym(tick, beside.as_ref(), |name, value| put_member(&mut out, name, value));
    out.length()
}

fn write_depth(room: &mut [u8], tick: MessageView<'_>) -> usize {
    let mut out = Bytes::new(room);
    let (buys, sells) = (tick.buys(), tick.sells());
    let deepest = buys.len().max(sells.len());
    out.put(b",\"depth\":{\"buy\":[");
    out.put_part(|room| write_side(room, buys));
    out.put(b"],\"sell\":[");
    out.put_part(|room| write_side(room, sells));
    out.put(b"]},\"depth_level\":");
    put_integer(&mut out, deepest as i64);
    out.length()
}

fn write_side(room: &mut [u8], levels: impl Iterator<Item = DepthLevel>) -> usize {
    let mut out = Bytes::new(room);
    for (index, level) in levels.enumerate() {
        if index > 0 {
            out.put(b",");
        }
        out.put(b"{\"price\":");
        out.put_part(|room| write_number(room, level.price));
        out.put(b",\"quantity\":");
        out.put_part(|room| write_number(room, level.quantity));
        out.put(b",\"orders\":");
        out.put_part(|room| write_number(room, level.orders));
        out.put(b"}");
    }
    out.length()
}

/// Whole numbers as integers, others in the shortest form that reads back as the same f64.
fn write_number(room: &mut [u8], value: f64) -> usize {
    let mut out = Bytes::new(room);
    if let Some(integer) = as_integer(value) {
        put_integer(&mut out, integer);
    } else if !put_short_decimal(&mut out, value) {
        out.put_part(|room| write_long_number(room, value));
    }
    out.length()
}

#[cold]
fn write_long_number(room: &mut [u8], value: f64) -> usize {
    let mut buffer = zmij::Buffer::new();
    let text = if value.is_finite() { buffer.format_finite(value) } else { "null" };
    room[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}

/// A JSON string.
fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    quote(text, |part| out.extend_from_slice(part));
    out
}

fn put_quoted(out: &mut Bytes<'_>, text: &str) {
    quote(text, |part| out.put_slice(part));
}

/// Gives a JSON string part after part.
fn quote(text: &str, mut put: impl FnMut(&[u8])) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let needs_escape = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    put(b"\"");
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(needs_escape) {
        put(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => put(&[b'\\', byte]),
            byte => {
                put(b"\\u00");
                put(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        rest = &rest[at + 1..];
    }
    put(rest);
    put(b"\"");
}

#[cfg(test)]
mod tests {
    use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode, SYNONYMS};

    use super::super::{BrokerText, Format, TopicText, longest_frame, write_frame};
    use super::*;

    fn text(tick: &MarketDataMessage, mode: Mode) -> String {
        let view = tick.view();
        let context = Context {
            format: Format::Json,
            mode,
            sequence: 7,
            broker: &BrokerText::new("zerodha"),
            snapshot: None,
        };
        let mut out = vec![0; longest_frame(10)];
        let length = write_frame(&mut out, &TopicText::new(&view.exchange(), &view.symbol()), view, &context);
        out.truncate(length);
        assert_eq!(out[..2], [0x81, 126]);
        assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])), out.len() - 4);
        String::from_utf8(out.split_off(4)).expect("JSON is UTF-8")
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
            text(&tick, Mode::Quote),
            r#"{"type":"market_data","symbol":"M&M","exchange":"NSE","mode":2,"seq":7,"data":{"symbol":"M&M","exchange":"NSE","mode":3,"ltp":150.25,"volume":1000,"timestamp":5,"oi":0,"open_interest":0,"depth":{"buy":[{"price":150.2,"quantity":5,"orders":1}],"sell":[]},"depth_level":1},"broker":"zerodha"}"#
        );
    }

    #[test]
    fn a_field_has_every_name_that_it_came_under() {
        let mut tick = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
        tick.set(Field::Timestamp, 5.0)
            .set(Field::Ltt, 6.4)
            .set(Field::LastQuantity, 2.0)
            .set(Field::Bid, 150.25)
            .set(Field::Turnover, f64::NAN);
        let names = [
            "last_trade_time",
            "ltq",
            // Always there, and only once.
            "last_trade_quantity",
            "bid_price",
            "best_bid",
            // Its field is absent.
            "ask_price",
            "tot. traded value",
            "tot_traded_value",
        ];
        for name in names {
            let number = SYNONYMS.iter().position(|synonym| synonym.1 == name).unwrap();
            tick.set_synonym(number).unwrap();
        }
        let text = text(&tick, Mode::Quote);
        let data = text.split_once(r#""mode":2,"ltt""#).unwrap().1;
        assert_eq!(
            data,
            r#":6,"timestamp":5,"last_quantity":2,"last_trade_quantity":2,"bid":150.25,"turnover":null,"last_trade_time":6,"ltq":2,"bid_price":150.25,"best_bid":150.25,"tot. traded value":null,"tot_traded_value":null},"broker":"zerodha"}"#
        );
    }

    #[test]
    fn nothing_is_added_that_the_publisher_did_not_say() {
        let tick = MarketDataMessage::new("NSE", "TCS", Mode::Depth).unwrap();
        assert_eq!(
            text(&tick, Mode::Depth),
            r#"{"type":"market_data","symbol":"TCS","exchange":"NSE","mode":3,"seq":7,"data":{"symbol":"TCS","exchange":"NSE","mode":3},"broker":"zerodha"}"#
        );
    }

    #[test]
    fn what_json_cannot_say_is_null() {
        let mut tick = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
        tick.set(Field::Ltp, f64::NAN).set(Field::Volume, f64::INFINITY);
        let text = text(&tick, Mode::Ltp);
        assert!(text.contains(r#""ltp":null,"volume":null"#), "{text}");
    }

    #[test]
    fn names_are_escaped() {
        assert_eq!(quoted("a\"b\\c\u{1}ü"), "\"a\\\"b\\\\c\\u0001ü\"".as_bytes());
    }

    #[test]
    fn numbers_read_back_as_they_were() {
        for value in
            [0.05, 1e300, -1e-300, 5e-324, f64::MAX, 17341.75, 0.1 + 0.2, 9_007_199_254_740_993.0, 1e21]
        {
            let mut room = [0; 64];
            let length = write_number(&mut room, value);
            let text = String::from_utf8(room[..length].to_vec()).unwrap();
            assert_eq!(text.parse::<f64>(), Ok(value), "{text}");
        }
    }
}
