//! What the thread tells a client in words of its own.

use openalgo_shm_frames::encode::Format;

use crate::batch::Frame;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;

/// Tells a client that has caught up how many ticks newer ones have replaced: `{"type":"skipped","count":n}`.
pub(crate) fn skipped(count: u64, format: Format) -> Frame {
    let (opcode, message) = match format {
        Format::Json => (TEXT, format!(r#"{{"type":"skipped","count":{count}}}"#).into_bytes()),
        Format::MessagePack => {
            let mut message = b"\x82\xa4type\xa7skipped\xa5count\xcf".to_vec();
            message.extend_from_slice(&count.to_be_bytes());
            (BINARY, message)
        }
    };
    // Always below 126 bytes.
    let mut frame = vec![opcode, message.len() as u8];
    frame.extend_from_slice(&message);
    frame.into()
}

/// Whether these are frames of which one is a close frame: nothing may follow it. They are those of a server, whole
/// and without masks; what is not is taken as it is.
pub(crate) fn holds_close(mut bytes: &[u8]) -> bool {
    const CLOSE: u8 = 8;
    loop {
        let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else { return false };
        if first & 15 == CLOSE {
            return true;
        }
        let (header, length): (usize, u64) = match second & 0x7f {
            126 => {
                let Some(length) = bytes.get(2..4) else { return false };
                (4, u64::from(u16::from_be_bytes([length[0], length[1]])))
            }
            127 => {
                let Some(length) = bytes.get(2..10) else { return false };
                (10, u64::from_be_bytes(length.try_into().unwrap_or_default()))
            }
            short => (2, u64::from(short)),
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(rest) = bytes.get(header.saturating_add(length)..) else { return false };
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_is_one_frame_of_the_clients_format() {
        assert_eq!(&skipped(12, Format::Json)[..], b"\x81\x1d{\"type\":\"skipped\",\"count\":12}");
        let packed = skipped(7, Format::MessagePack);
        assert_eq!(usize::from(packed[1]), packed.len() - 2);
        assert_eq!(&packed[packed.len() - 9..], b"\xcf\0\0\0\0\0\0\0\x07");
    }

    #[test]
    fn a_close_frame_is_found_behind_others_and_not_in_their_payloads() {
        let text = b"\x81\x03abc";
        let close = b"\x88\x02\x03\xe8";
        assert!(holds_close(close));
        assert!(holds_close(&[text.as_slice(), close].concat()));
        assert!(!holds_close(&[b"\x82\x02".as_slice(), b"\x88\x88"].concat()));
        let long = [b"\x82\x7e\x01\x00".as_slice(), &[0x88; 256], close].concat();
        assert!(holds_close(&long));
        assert!(!holds_close(&long[..260]));
        for cut in [b"".as_slice(), b"\x81", b"\x81\x7e\x01", b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(!holds_close(cut));
        }
    }
}
