//! MessagePack: the same message as in JSON, key for key. Whole numbers are integers, NaN and infinities nil.

use openalgo_shm_ring::message::{Annex, DepthLevel, MemberValue, Members, MessageView};
use rmp::encode::{write_array_len, write_f64, write_map_len, write_sint, write_str};

use super::bytes::{Bytes, Short};
use super::digits::as_integer;
use super::members::{self, NAMES, Value};
use super::{Context, SnapshotAge, has_depth};

/// There is room for the longest frame, and vectors grow.
const INFALLIBLE: &str = "memory takes all bytes";
const NIL: u8 = 0xc0;
const FALSE: u8 = 0xc2;
const TRUE: u8 = 0xc3;

/// The name of every member as a string.
static KEYS: [Short; NAMES.len()] = {
    let mut keys = [Short::concat(&[]); NAMES.len()];
    let mut index = 0;
    while index < keys.len() {
        keys[index] = key(NAMES[index]);
        index += 1;
    }
    keys
};

/// A string of less than 32 bytes.
const fn key(name: &str) -> Short {
    assert!(name.len() < 32);
    Short::concat(&[&[0xa0 | name.len() as u8], name.as_bytes()])
}

/// Symbol and exchange with their keys, and the key of the mode behind them.
pub(super) fn topic_text(exchange: &str, symbol: &str) -> Box<[u8]> {
    let mut text = Vec::new();
    for part in ["symbol", symbol, "exchange", exchange, "mode"] {
        write_str(&mut text, part).expect(INFALLIBLE);
    }
    text.into()
}

/// The publisher with its key.
pub(super) fn broker_text(broker: &str) -> Box<[u8]> {
    let mut text = Vec::new();
    for part in ["broker", broker] {
        write_str(&mut text, part).expect(INFALLIBLE);
    }
    text.into()
}

/// Writes the message and returns its length.
pub(super) fn write_message(
    room: &mut [u8],
    topic: &[u8],
    tick: MessageView<'_>,
    context: &Context<'_>,
) -> usize {
    let out = &mut Bytes::new(room);
    out.put(match context.snapshot {
        None => b"\x87",
        Some(SnapshotAge { oldest_ms: None, .. }) => b"\x89",
        Some(SnapshotAge { oldest_ms: Some(_), .. }) => b"\x8a",
    });
    out.put(b"\xa4type\xabmarket_data");
    out.put_slice(topic);
    out.put(&[context.mode as u8]);
    out.put(b"\xa3seq");
    write_integer(out, context.sequence as i64);
    if let Some(age) = context.snapshot {
        out.put(b"\xa8snapshot\xc3\xa6age_ms");
        write_integer(out, age.newest_ms as i64);
        if let Some(oldest_ms) = age.oldest_ms {
            out.put(b"\xadoldest_age_ms");
            write_integer(out, oldest_ms as i64);
        }
    }
    out.put(b"\xa4data");
    write_data(out, topic, tick);
    out.put_slice(&context.broker.msgpack);
    out.length()
}

fn write_data(out: &mut Bytes<'_>, topic: &[u8], tick: MessageView<'_>) {
    let has_depth = has_depth(tick);
    let mut count = if has_depth { 5 } else { 3 };
    let annex = tick.annex().map(|annex| (annex, annex.members()));
    if let Some((annex, beside)) = &annex {
        members::for_each_beside(tick, *annex, beside, |_, _| count += 1);
        count += members::of_annex(tick, *annex, beside).count() as u32;
    } else {
        members::for_each(tick, |_, _| count += 1);
    }
    let beside = annex.as_ref().map(|(_, beside)| beside);
    members::for_each_synonym(tick, beside, |_, _| count += 1);
    write_map_len(out, count).expect(INFALLIBLE);
    if let Some((annex, beside)) = &annex {
        write_beside(out, topic, tick, *annex, beside);
    } else {
        out.put_slice(topic);
        out.put(&[tick.mode() as u8]);
        members::for_each(tick, |name, value| put_member(out, name, value));
    }
    members::for_each_synonym(tick, beside, |name, value| put_member(out, name, value));
    if has_depth {
        let (buys, sells) = (tick.buys(), tick.sells());
        let deepest = buys.len().max(sells.len());
        out.put(b"\xa5depth\x82\xa3buy");
        write_side(out, buys);
        out.put(b"\xa4sell");
        write_side(out, sells);
        out.put(b"\xabdepth_level");
        write_integer(out, deepest as i64);
    }
}

/// The data of a tick with an annex, up to its synonyms.
#[inline(never)]
fn write_beside(
    out: &mut Bytes<'_>,
    topic: &[u8],
    tick: MessageView<'_>,
    annex: Annex<'_>,
    beside: &Members,
) {
    let mut own = topic;
    for name in ["symbol", "exchange"] {
        let (key, rest) = split_text(own);
        let (value, rest) = split_text(rest);
        own = rest;
        out.put_slice(key);
        match beside.get(name) {
            Some(member) => put_value(out, member),
            None => out.put_slice(value),
        }
    }
    out.put_slice(own);
    match beside.get("mode") {
        Some(member) => put_value(out, member),
        None => out.put(&[tick.mode() as u8]),
    }
    members::for_each_beside(tick, annex, beside, |name, value| put_member(out, name, value));
    for (key, value) in members::of_annex(tick, annex, beside) {
        write_str(out, key).expect(INFALLIBLE);
        put_value(out, value);
    }
}

/// A text of a topic's, of at most 48 bytes, and what is behind it.
fn split_text(bytes: &[u8]) -> (&[u8], &[u8]) {
    const STR8: u8 = 0xd9;
    let length = match *bytes {
        [STR8, length, ..] => 2 + usize::from(length),
        [short, ..] => 1 + usize::from(short & 0x1f),
        [] => 0,
    };
    bytes.split_at(length.min(bytes.len()))
}

fn put_value(out: &mut Bytes<'_>, value: MemberValue<'_>) {
    match value {
        MemberValue::Number(number) => write_number(out, number),
        MemberValue::Text(text) => write_str(out, text).expect(INFALLIBLE),
        MemberValue::Flag(flag) => out.put(&[if flag { TRUE } else { FALSE }]),
    }
}

#[inline(always)]
fn put_member(out: &mut Bytes<'_>, name: usize, value: Value) {
    out.put_short(&KEYS[name]);
    match value {
        Value::Number(value) => write_number(out, value),
        Value::Boolean(value) => out.put(&[if value { TRUE } else { FALSE }]),
    }
}

fn write_side(out: &mut Bytes<'_>, levels: impl ExactSizeIterator<Item = DepthLevel>) {
    write_array_len(out, levels.len() as u32).expect(INFALLIBLE);
    for level in levels {
        out.put(b"\x83\xa5price");
        write_number(out, level.price);
        out.put(b"\xa8quantity");
        write_number(out, level.quantity);
        out.put(b"\xa6orders");
        write_number(out, level.orders);
    }
}

fn write_integer(out: &mut Bytes<'_>, value: i64) {
    write_sint(out, value).expect(INFALLIBLE);
}

fn write_number(out: &mut Bytes<'_>, value: f64) {
    if let Some(integer) = as_integer(value) {
        write_sint(out, integer).expect(INFALLIBLE);
    } else if value.is_finite() {
        write_f64(out, value).expect(INFALLIBLE);
    } else {
        out.put(&[NIL]);
    }
}

#[cfg(test)]
mod tests {
    use openalgo_shm_ring::message::{FIELD_COUNT, Field, MarketDataMessage, Mode, SYNONYMS};

    use super::super::{BrokerText, Format, TopicText, longest_frame, write_frame};
    use super::*;

    fn frame(tick: &MarketDataMessage) -> Vec<u8> {
        let context = Context {
            format: Format::MessagePack,
            mode: Mode::Ltp,
            sequence: 7,
            broker: &BrokerText::new("z"),
            snapshot: None,
        };
        let mut out = vec![0; longest_frame(0)];
        let length = write_frame(&mut out, &TopicText::new("NSE", "TCS"), tick.view(), &context);
        out.truncate(length);
        out
    }

    #[test]
    fn a_tick_is_one_binary_frame() {
        let mut tick = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
        tick.set(Field::Ltp, 150.25).set(Field::Volume, f64::NAN).set(Field::Timestamp, 5.0);
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
        assert_eq!(frame(&tick), expected);
    }

    #[test]
    fn a_field_has_every_name_that_it_came_under() {
        let mut tick = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
        tick.set(Field::Ltp, 7.0).set(Field::Timestamp, 5.0);
        // Two of the price, one of the volume, which is absent.
        for number in [1, 0, 2] {
            tick.set_synonym(number).unwrap();
        }
        assert!(frame(&tick).ends_with(
            b"\xa4data\x87\xa6symbol\xa3TCS\xa8exchange\xa3NSE\xa4mode\x01\xa3ltp\x07\xa9timestamp\x05\xaalast_price\x07\xb1last_traded_price\x07\xa6broker\xa1z"
        ));
    }

    #[test]
    fn the_map_has_as_many_members_as_it_says_also_with_all_synonyms() {
        let mut tick = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
        for field in Field::ALL {
            tick.set(field, 1.0);
        }
        for number in 0..SYNONYMS.len() {
            tick.set_synonym(number).unwrap();
        }
        let frame = frame(&tick);
        let data = frame.windows(5).position(|bytes| bytes == b"\xa4data").unwrap() + 5;
        let members = 3 + FIELD_COUNT + SYNONYMS.len();
        assert_eq!(frame[data..data + 3], [0xde, 0, members as u8]);
        let is_value = |byte: u8| byte == 1 || byte == TRUE;
        let mut rest = &frame[data + 3 + b"\xa6symbol\xa3TCS\xa8exchange\xa3NSE\xa4mode\x02".len()..];
        for _ in 3..members {
            let length = usize::from(rest[0] - 0xa0);
            assert!(is_value(rest[1 + length]));
            rest = &rest[length + 2..];
        }
        assert_eq!(rest, b"\xa6broker\xa1z");
    }
}
