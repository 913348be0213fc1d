use memchr::memmem;
use openalgo_shm_fanout_bench::websocket::{server_frame, tick};
use openalgo_shm_ring::clock::monotonic_ns;

/// A finished frame for each topic, in which only the digits of the stamp are written anew.
pub struct Frames {
    frames: Vec<Vec<u8>>,
    /// Where the stamp's digits end, in every frame.
    stamp_ends: Vec<usize>,
    digits: usize,
}

impl Frames {
    pub fn new(topics: usize, mode: u8) -> Self {
        // As many digits as the clock has, and as it will have in an hour.
        let digits = (monotonic_ns() + 3_600_000_000_000).to_string().len();
        let stamp = 10_u64.pow(digits as u32 - 1);
        let frame =
            |topic| server_frame(1, tick(&format!("SYM{topic}"), mode, stamp, topic as u64).as_bytes());
        let frames: Vec<Vec<u8>> = (0..topics).map(frame).collect();
        let end = |frame: &Vec<u8>| {
            memmem::rfind(frame, b"\"seq\":").expect("a tick has a stamp") + b"\"seq\":".len() + digits
        };
        Self { stamp_ends: frames.iter().map(end).collect(), frames, digits }
    }

    /// Appends a tick of that topic with that stamp.
    #[inline]
    pub fn append(&self, bytes: &mut Vec<u8>, topic: usize, stamp: u64) {
        let topic = topic % self.frames.len();
        let end = bytes.len() + self.stamp_ends[topic];
        bytes.extend_from_slice(&self.frames[topic]);
        let mut left = stamp;
        for digit in bytes[end - self.digits..end].iter_mut().rev() {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stamp_is_written_anew() {
        let now = monotonic_ns();
        for mode in [1, 3] {
            let mut bytes = Vec::new();
            Frames::new(3, mode).append(&mut bytes, 2, now);
            let expected = server_frame(1, tick("SYM2", mode, now, 2).as_bytes());
            assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&expected));
        }
    }
}
