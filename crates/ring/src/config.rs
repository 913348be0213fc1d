//! What a ring is made with.

use crate::error::{Error, ErrorCode, Result};
use crate::segment::layout::{
    Kind, LINE, Layout, MAX_BUFFER_SIZE, MAX_CONSUMERS, MAX_DEPTH_LEVELS, MAX_LANES, MAX_TOPICS, Policy,
    lines_of_words, longest_tick, smallest_buffer,
};

/// Default name of the ring of ticks.
pub const DEFAULT_NAME: &str = "ws_proxy_buffer";
/// Default bytes of lines in one lane: 16,384 LTP ticks.
pub const DEFAULT_BUFFER_SIZE: usize = 1 << 20;
/// Default depth levels a side.
pub const DEFAULT_DEPTH_LEVELS: usize = 5;
/// Default number of lanes.
pub const DEFAULT_LANES: usize = 8;
/// Default number of consumer records.
pub const DEFAULT_CONSUMERS: usize = 64;
/// Default entries of a lane's topic table. The busiest broker account has 25,000 symbols.
pub const DEFAULT_TOPICS: usize = 32_768;

/// What a ring is made with.
///
/// ```
/// use openalgo_shm_ring::{RingConfig, layout::Policy};
///
/// let config = RingConfig::mpmc().buffer_size(4 << 20).depth_levels(20);
/// assert_eq!(config.layout()?.policy, Policy::Overwrite);
/// # Ok::<(), openalgo_shm_ring::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingConfig {
    kind: Kind,
    lanes: usize,
    consumers: usize,
    buffer_size: usize,
    /// Words of the longest message; not of ticks.
    words: usize,
    topics: usize,
    depth_levels: usize,
    policy: Policy,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self::mpmc()
    }
}

impl RingConfig {
    /// Many producers, any number of consumers, overwriting: market data. The default.
    pub const fn mpmc() -> Self {
        Self {
            kind: Kind::Ticks,
            lanes: DEFAULT_LANES,
            consumers: DEFAULT_CONSUMERS,
            buffer_size: DEFAULT_BUFFER_SIZE,
            words: 0,
            topics: DEFAULT_TOPICS,
            depth_levels: DEFAULT_DEPTH_LEVELS,
            policy: Policy::Overwrite,
        }
    }

    /// One producer, one registered consumer, lossless.
    pub const fn spsc() -> Self {
        Self { lanes: 1, consumers: 1, policy: Policy::Lossless, ..Self::mpmc() }
    }

    /// A ring of messages other than ticks, of at most `words` words each.
    pub const fn of_kind(self, kind: Kind, words: usize) -> Self {
        Self { kind, words, topics: 0, depth_levels: 0, ..self }
    }

    /// Number of lanes: producers at the same time, 1 to 64.
    pub const fn lanes(self, lanes: usize) -> Self {
        Self { lanes, ..self }
    }

    /// Number of consumers that can register, 1 to 256.
    pub const fn consumers(self, consumers: usize) -> Self {
        Self { consumers, ..self }
    }

    /// Bytes of lines in one lane, up to 4 GiB, rounded down to a power of two of lines of 64 bytes. An LTP
    /// tick takes one line.
    pub const fn buffer_size(self, bytes: usize) -> Self {
        Self { buffer_size: bytes, ..self }
    }

    /// Topics that one lane can name, 1 to 262,144; each takes 64 bytes once it is used.
    pub const fn topics(self, topics: usize) -> Self {
        Self { topics, ..self }
    }

    /// Depth levels a side, 0 to 200.
    pub const fn depth_levels(self, levels: usize) -> Self {
        Self { depth_levels: levels, ..self }
    }

    /// What a full lane does.
    pub const fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The layout that follows.
    ///
    /// # Errors
    /// `ERR_INVALID_OPTION`, with the range that was expected.
    pub fn layout(&self) -> Result<Layout> {
        let ticks = self.kind == Kind::Ticks;
        check("depth levels", self.depth_levels, 0, MAX_DEPTH_LEVELS)?;
        check("lanes", self.lanes, 1, MAX_LANES)?;
        check("consumers", self.consumers, 1, MAX_CONSUMERS)?;
        if ticks {
            check("topics", self.topics, 1, MAX_TOPICS)?;
        }
        let most = longest_tick(MAX_DEPTH_LEVELS);
        if !ticks && !(1..=most).contains(&lines_of_words(self.words)) {
            return option(format!(
                "messages of {} words are out of range: at most {most} lines fit",
                self.words
            ));
        }
        let longest = if ticks { longest_tick(self.depth_levels) } else { lines_of_words(self.words) };
        let least = smallest_buffer(longest);
        if !(least..=MAX_BUFFER_SIZE).contains(&self.buffer_size) {
            return option(format!(
                "buffer size {} bytes is out of range: expected {least} (two messages of {longest} lines) to {MAX_BUFFER_SIZE}",
                self.buffer_size
            ));
        }
        let layout = Layout {
            kind: self.kind,
            lanes: self.lanes,
            consumers: self.consumers,
            capacity: 1 << (self.buffer_size / LINE).ilog2(),
            longest,
            topics: self.topics,
            depth_levels: self.depth_levels,
            policy: self.policy,
        };
        layout.fault().map_or(Ok(layout), option)
    }
}

fn check(what: &str, found: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    option(format!("{what} {found} is out of range: expected {least} to {most}"))
}

fn option<T>(what: String) -> Result<T> {
    Err(Error::new(ErrorCode::InvalidOption, what))
}
