//! Frames back into messages.

use serde_json::{Map, Number, Value};

/// The message in a frame of either format.
pub fn message(frame: &[u8]) -> Value {
    let (length, payload) = match frame[1] {
        126 => (usize::from(u16::from_be_bytes([frame[2], frame[3]])), &frame[4..]),
        length => (usize::from(length), &frame[2..]),
    };
    assert_eq!(length, payload.len());
    match frame[0] {
        0x81 => {
            let message = serde_json::from_slice(payload).unwrap();
            let written = payload.iter().filter(|&&byte| byte == b':').count();
            assert_eq!(written, colons(&message), "a name is there twice");
            message
        }
        0x82 => {
            let mut rest = payload;
            let message = unpacked(&mut rest);
            assert!(rest.is_empty(), "bytes behind the message");
            message
        }
        opcode => panic!("opcode {opcode:#x}"),
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    rest.split_off(..count).expect("the message is whole")
}

fn unsigned(rest: &mut &[u8], bytes: usize) -> u64 {
    take(rest, bytes).iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn signed(rest: &mut &[u8], bytes: usize) -> i64 {
    let unused = 64 - 8 * bytes as u32;
    (unsigned(rest, bytes) << unused) as i64 >> unused
}

fn text(rest: &mut &[u8], length: usize) -> String {
    String::from_utf8(take(rest, length).to_vec()).unwrap()
}

/// Colons that JSON without any repeated name has.
fn colons(value: &Value) -> usize {
    let of_text = |text: &str| text.matches(':').count();
    match value {
        Value::Object(members) => members.iter().map(|(name, value)| 1 + of_text(name) + colons(value)).sum(),
        Value::Array(items) => items.iter().map(colons).sum(),
        Value::String(text) => of_text(text),
        _ => 0,
    }
}

/// One value of those kinds of MessagePack that messages have.
fn unpacked(rest: &mut &[u8]) -> Value {
    let kind = take(rest, 1)[0];
    match kind {
        0..0x80 => kind.into(),
        0x80..0x90 => map(rest, usize::from(kind & 15)),
        0x90..0xa0 => array(rest, usize::from(kind & 15)),
        0xa0..0xc0 => text(rest, usize::from(kind & 31)).into(),
        0xc0 => Value::Null,
        0xc2 | 0xc3 => (kind == 0xc3).into(),
        0xcb => Number::from_f64(f64::from_bits(unsigned(rest, 8))).unwrap().into(),
        0xcc..0xd0 => unsigned(rest, 1 << (kind - 0xcc)).into(),
        0xd0..0xd4 => signed(rest, 1 << (kind - 0xd0)).into(),
        0xd9 => {
            let length = unsigned(rest, 1) as usize;
            text(rest, length).into()
        }
        0xdc => {
            let length = unsigned(rest, 2) as usize;
            array(rest, length)
        }
        0xde => {
            let length = unsigned(rest, 2) as usize;
            map(rest, length)
        }
        0xe0.. => (kind as i8).into(),
        _ => panic!("kind {kind:#x}"),
    }
}

fn array(rest: &mut &[u8], length: usize) -> Value {
    (0..length).map(|_| unpacked(rest)).collect()
}

fn map(rest: &mut &[u8], length: usize) -> Value {
    let mut members = Map::new();
    for _ in 0..length {
        let name = unpacked(rest);
        let name = name.as_str().expect("a name").to_owned();
        assert!(members.insert(name.clone(), unpacked(rest)).is_none(), "{name} is there twice");
    }
    members.into()
}
