//! A tick as the bytes that go to WebSocket clients: one complete, unmasked frame.
//!
//! The message has OpenAlgo's form, with two additions that its clients ignore: `seq`, and for snapshots
//! `snapshot` and `age_ms`. As JSON it is a text frame, as MessagePack (for who asks for it) a binary one.

mod json;
mod members;
mod msgpack;

use crate::message::{FIELD_COUNT, MessageView, Mode};

/// Payloads from 126 bytes on have their length in two bytes of the header.
const LENGTH_IN_TWO_BYTES: u8 = 126;
/// Bytes of a frame's header for such payloads. No tick reaches 65,536 bytes.
const FRAME_HEADER_BYTES: usize = 4;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Format {
    /// JSON in text frames.
    Json = 0,
    /// MessagePack in binary frames.
    MessagePack = 1,
}

impl Format {
    const fn opcode(self) -> u8 {
        match self {
            Self::Json => 0x81,
            Self::MessagePack => 0x82,
        }
    }
}

/// Bytes that a frame with `levels` depth levels on both sides together can at most have.
pub const fn longest_frame(levels: usize) -> usize {
    // Topic twice with every byte escaped as \u00xx, publisher, numbers of at most 25 bytes with their longest name twice.
    FRAME_HEADER_BYTES + 256 + 2 * 64 * 6 + 48 * 6 + FIELD_COUNT * 2 * 50 + levels * 110
}

/// The constant parts of a topic's messages, made once.
#[derive(Debug, Clone)]
pub(crate) struct TopicText {
    json: json::TopicText,
    exchange: Box<str>,
    symbol: Box<str>,
}

impl TopicText {
    pub(crate) fn new(exchange: &str, symbol: &str) -> Self {
        Self {
            json: json::TopicText::new(exchange, symbol),
            exchange: exchange.into(),
            symbol: symbol.into(),
        }
    }

    pub(crate) fn exchange(&self) -> &str {
        &self.exchange
    }

    pub(crate) fn symbol(&self) -> &str {
        &self.symbol
    }
}

/// What a frame says beside the tick itself.
pub(crate) struct Context<'a> {
    /// How it is written.
    pub format: Format,
    /// The subscriber's mode.
    pub mode: Mode,
    /// Number of the message in its topic and mode.
    pub sequence: u64,
    /// Name of the publisher.
    pub broker: &'a str,
    /// Add this to a publish time to get wall-clock ms since 1970.
    pub wall_offset_ns: i64,
    /// For a snapshot: how old the tick is, ms.
    pub snapshot_age_ms: Option<u64>,
}

/// Appends the frame.
pub(crate) fn write_frame(
    out: &mut Vec<u8>,
    topic: &TopicText,
    tick: MessageView<'_>,
    context: &Context<'_>,
) {
    let start = out.len();
    out.extend_from_slice(&[context.format.opcode(), LENGTH_IN_TWO_BYTES, 0, 0]);
    match context.format {
        Format::Json => json::write_message(out, &topic.json, tick, context),
        Format::MessagePack => msgpack::write_message(out, topic, tick, context),
    }
    let length = out.len() - start - FRAME_HEADER_BYTES;
    if length < usize::from(LENGTH_IN_TWO_BYTES) {
        out[start + 1] = length as u8;
        out.drain(start + 2..start + FRAME_HEADER_BYTES);
    } else {
        out[start + 2..start + FRAME_HEADER_BYTES].copy_from_slice(&(length as u16).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{DepthLevel, Field, MarketDataMessage};

    #[test]
    fn no_frame_is_longer_than_promised() {
        let number = -1.234_567_890_123_456_7e-300;
        let extreme = DepthLevel { price: number, quantity: number, orders: number };
        let mut tick =
            MarketDataMessage::<200>::new(&"\"".repeat(16), &"\"".repeat(48), Mode::Depth).unwrap();
        for field in Field::ALL {
            tick.set(field, number);
        }
        tick.set_depth(&[extreme; 200], &[extreme; 200]).unwrap();
        let view = tick.view();
        let topic = TopicText::new(&view.exchange(), &view.symbol());
        let broker = "\"".repeat(48);
        for format in [Format::Json, Format::MessagePack] {
            let mut out = Vec::new();
            let context = Context {
                format,
                mode: Mode::Depth,
                sequence: u64::MAX >> 1,
                broker: &broker,
                wall_offset_ns: 0,
                snapshot_age_ms: Some(1 << 50),
            };
            write_frame(&mut out, &topic, view, &context);
            assert!(out.len() <= longest_frame(400), "{} > {}", out.len(), longest_frame(400));
        }
        assert!(longest_frame(400) < 65_536);
    }
}
