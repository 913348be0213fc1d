//! A tick as the bytes that go to WebSocket clients: one complete, unmasked frame.
//!
//! The message has OpenAlgo's form, with additions that its clients ignore: `seq`, and for snapshots
//! `snapshot`, `age_ms` and `oldest_age_ms`. JSON goes into text frames, MessagePack (for clients that ask for it) into binary ones.

mod bytes;
mod digits;
mod json;
mod members;
mod msgpack;

use openalgo_shm_ring::message::{Annex, MessageView, Mode};

use self::bytes::OVERRUN;

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
    // Topic twice with every byte escaped as \u00xx, publisher, fields under all their names.
    FRAME_HEADER_BYTES + OVERRUN + 256 + 2 * 64 * 6 + 48 * 6 + members::LONGEST + levels * 110
}

/// The constant parts of a topic's messages, made once.
#[derive(Debug, Clone)]
pub(crate) struct TopicText {
    json: json::TopicText,
    msgpack: Box<[u8]>,
}

impl TopicText {
    pub(crate) fn new(exchange: &str, symbol: &str) -> Self {
        Self { json: json::TopicText::new(exchange, symbol), msgpack: msgpack::topic_text(exchange, symbol) }
    }
}

/// What names a publisher at the end of a message, made once.
#[derive(Debug, Clone)]
pub(crate) struct BrokerText {
    json: Box<[u8]>,
    msgpack: Box<[u8]>,
}

impl BrokerText {
    pub(crate) fn new(broker: &str) -> Self {
        Self { json: json::broker_text(broker), msgpack: msgpack::broker_text(broker) }
    }
}

/// True if the adapter gave a book, be it empty.
#[inline(always)]
pub(super) fn has_depth(tick: MessageView<'_>) -> bool {
    tick.levels() > 0 || tick.annex().is_some_and(Annex::has_empty_book)
}

/// What a frame says beside the tick itself.
pub(crate) struct Context<'a> {
    /// How it is written.
    pub format: Format,
    /// The subscriber's mode.
    pub mode: Mode,
    /// Number of the message in its topic and mode.
    pub sequence: u64,
    /// The publisher.
    pub broker: &'a BrokerText,
    /// For a snapshot: how old it is.
    pub snapshot: Option<SnapshotAge>,
}

/// Ages of what is in a snapshot, ms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SnapshotAge {
    /// Of the newest tick.
    pub newest_ms: u64,
    /// Of the oldest value, if it is older than the newest tick.
    pub oldest_ms: Option<u64>,
}

/// Writes the frame at the beginning of `room`, which has [`longest_frame`] bytes. Returns its length.
pub(crate) fn write_frame(
    room: &mut [u8],
    topic: &TopicText,
    tick: MessageView<'_>,
    context: &Context<'_>,
) -> usize {
    let (header, message) = room.split_at_mut(FRAME_HEADER_BYTES);
    let length = match context.format {
        Format::Json => json::write_message(message, &topic.json, tick, context),
        Format::MessagePack => msgpack::write_message(message, &topic.msgpack, tick, context),
    };
    if length < usize::from(LENGTH_IN_TWO_BYTES) {
        header[..2].copy_from_slice(&[context.format.opcode(), length as u8]);
        room.copy_within(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + length, 2);
        return 2 + length;
    }
    let [high, low] = (length as u16).to_be_bytes();
    header.copy_from_slice(&[context.format.opcode(), LENGTH_IN_TWO_BYTES, high, low]);
    FRAME_HEADER_BYTES + length
}

#[cfg(test)]
mod tests {
    use openalgo_shm_ring::message::{DepthLevel, Field, MarketDataMessage, SYNONYMS};

    use super::*;

    #[test]
    fn no_frame_is_longer_than_promised() {
        let number = -1.234_567_890_123_456_7e-300;
        let extreme = DepthLevel { price: number, quantity: number, orders: number };
        let mut tick =
            MarketDataMessage::<200>::new(&"\"".repeat(16), &"\"".repeat(48), Mode::Depth).unwrap();
        for field in Field::ALL {
            tick.set(field, number);
        }
        for number in 0..SYNONYMS.len() {
            tick.set_synonym(number).unwrap();
        }
        tick.set_depth(&[extreme; 200], &[extreme; 200]).unwrap();
        let view = tick.view();
        let topic = TopicText::new(&view.exchange(), &view.symbol());
        let broker = BrokerText::new(&"\"".repeat(48));
        for format in [Format::Json, Format::MessagePack] {
            let mut room = vec![0; 1 << 17];
            let context = Context {
                format,
                mode: Mode::Depth,
                sequence: u64::MAX >> 1,
                broker: &broker,
                snapshot: Some(SnapshotAge { newest_ms: 1 << 50, oldest_ms: Some(1 << 50) }),
            };
            let length = write_frame(&mut room, &topic, view, &context);
            let most = longest_frame(400) - OVERRUN;
            assert!(length <= most, "{length} > {most}");
        }
        assert!(longest_frame(400) < 65_536);
    }
}
