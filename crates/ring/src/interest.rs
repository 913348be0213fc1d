//! Interest: what the clients of the proxies want, so that feeds subscribe at the broker for exactly that.
//!
//! One message says that one proxy wants one topic in some modes (none: no longer). A proxy repeats its
//! whole interest every second, so a feed that starts late, or was lapped, is right again within a second.
//! A message without a topic ends a repetition: what was missing in several is no longer wanted.
//!
//! Names travel in the message and not in a topic table: clients may ask for any name, and a table keeps
//! what was once written to it.
//!
//! ```text
//! word 0 modes (bit m for mode m), 32 bits · depth levels, 32 bits     1 round, 32 bits · session, 32 bits
//!      2 exchange, 16 bytes · symbol, 48 bytes, as in a topic table; all zeros: end of a repetition
//! ```

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::config::RingConfig;
use crate::message::{Mode, Record, TOPIC_WORDS, TopicName};
use crate::segment::layout::{Kind, MAX_DEPTH_LEVELS};

/// Words of a message: two lines.
pub const WORDS: usize = 2 + TOPIC_WORDS;

/// The ring that carries the interest in a ring of ticks: its name, and what it is made with.
pub fn ring_of(ticks: &str) -> (String, RingConfig) {
    let config = RingConfig::mpmc().lanes(64).buffer_size(1 << 20).of_kind(Kind::Interest, WORDS);
    (format!("{ticks}.interest"), config)
}

/// Topics that are kept of one proxy. All that OpenAlgo's contract lists hold are about 200,000; a faulty proxy must
/// not fill the memory.
pub const MOST_TOPICS: usize = 262_144;
/// Repetitions in which a topic may be missing: messages can be lost.
const MISSING_ROUNDS: u32 = 3;
const MODES: [Mode; 3] = [Mode::Ltp, Mode::Quote, Mode::Depth];

/// One message: what one proxy wants of one topic, or the end of a repetition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// `None` at the end of a repetition.
    pub topic: Option<TopicName>,
    /// Bit m for mode m; 0: no longer wanted.
    pub modes: u8,
    /// Deepest book wanted, levels a side.
    pub depth: u32,
    /// Numbers the repetitions of one proxy.
    pub round: u32,
    /// Tells a lane's owner from the one before it.
    pub session: u32,
}

impl Message {
    /// The words of a message.
    pub fn to_words(&self) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        words[0] = u64::from(self.modes) | u64::from(self.depth) << 32;
        words[1] = u64::from(self.round) | u64::from(self.session) << 32;
        if let Some(topic) = &self.topic {
            words[2..].copy_from_slice(topic.words());
        }
        words
    }

    /// Reads a message, which may hold anything. `None` for a topic that is no name.
    pub fn read(record: Record<'_>) -> Option<Self> {
        let mut words = [0; WORDS];
        for (word, value) in words.iter_mut().zip(record.words()) {
            *word = value;
        }
        let name: [u64; TOPIC_WORDS] = words[2..].try_into().expect("the rest of the message");
        let topic = match name {
            [0, ..] => None,
            _ => Some(TopicName::from_words(name)?),
        };
        Some(Self {
            topic,
            modes: words[0] as u8 & 0b1110,
            depth: ((words[0] >> 32) as u32).min(MAX_DEPTH_LEVELS as u32),
            round: words[1] as u32,
            session: (words[1] >> 32) as u32,
        })
    }
}

/// What a feed is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// True if the topic is wanted in this mode, false if no longer.
    pub wanted: bool,
    /// Exchange and symbol.
    pub topic: TopicName,
    /// The mode.
    pub mode: Mode,
    /// Deepest book that anybody wants, levels a side; 0 for modes without a book.
    pub depth: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Wanted {
    modes: u8,
    depth: u32,
}

impl Wanted {
    const fn has(self, mode: Mode) -> bool {
        self.modes >> mode as u8 & 1 != 0
    }

    fn change(self, wanted: bool, topic: TopicName, mode: Mode) -> Change {
        let depth = if matches!(mode, Mode::Depth) { self.depth } else { 0 };
        Change { wanted, topic, mode, depth }
    }
}

struct Topic {
    /// What each proxy wants, and the round in which it said so last.
    wishes: HashMap<usize, (Wanted, u32)>,
    union: Wanted,
}

struct Proxy {
    session: u32,
    topics: HashSet<TopicName>,
}

/// The interest of all proxies together, from the messages of each. A proxy is known by its lane. Changes are given to
/// the caller, each (topic, mode) once however many want it; a mode that is wanted already comes again when the deepest
/// book that anybody wants changes.
#[derive(Default)]
pub struct Union {
    topics: HashMap<TopicName, Topic>,
    proxies: HashMap<usize, Proxy>,
    refused: u64,
}

impl Union {
    /// Takes in one message.
    pub fn apply(&mut self, lane: usize, message: &Message, each: &mut impl FnMut(Change)) {
        if self.proxies.get(&lane).is_none_or(|proxy| proxy.session != message.session) {
            // The lane changed hands between two messages.
            self.drop_proxy(lane, each);
            self.proxies.insert(lane, Proxy { session: message.session, topics: HashSet::new() });
        }
        match message.topic {
            Some(topic) => self.wish(lane, topic, message, each),
            None => self.end_round(lane, message.round, each),
        }
    }

    fn wish(&mut self, lane: usize, name: TopicName, message: &Message, each: &mut impl FnMut(Change)) {
        let proxy = self.proxies.get_mut(&lane).expect("it was just looked up");
        if message.modes == 0 {
            if proxy.topics.remove(&name) {
                self.withdraw(lane, name, each);
            }
            return;
        }
        if proxy.topics.len() >= MOST_TOPICS && !proxy.topics.contains(&name) {
            self.refused += 1;
            return;
        }
        proxy.topics.insert(name);
        let wanted = Wanted { modes: message.modes, depth: message.depth };
        let topic = self
            .topics
            .entry(name)
            .or_insert_with(|| Topic { wishes: HashMap::new(), union: Wanted::default() });
        topic.wishes.insert(lane, (wanted, message.round));
        self.settle(name, each);
    }

    /// What a proxy has not repeated for three rounds is no longer wanted.
    fn end_round(&mut self, lane: usize, round: u32, each: &mut impl FnMut(Change)) {
        let Self { topics, proxies, .. } = self;
        let proxy = proxies.get_mut(&lane).expect("it was just looked up");
        let said = |name: &TopicName| topics.get(name)?.wishes.get(&lane).map(|(_, round)| *round);
        // Rounds wrap around. One that seems to lie ahead is no round of this proxy.
        let is_missing = |name: &TopicName| round.wrapping_sub(said(name).unwrap_or(0)) >= MISSING_ROUNDS;
        let missing: Vec<_> = proxy.topics.extract_if(is_missing).collect();
        for name in missing {
            self.withdraw(lane, name, each);
        }
    }

    /// Forgets a proxy.
    pub fn drop_proxy(&mut self, lane: usize, each: &mut impl FnMut(Change)) {
        let Some(proxy) = self.proxies.remove(&lane) else { return };
        for name in proxy.topics {
            self.withdraw(lane, name, each);
        }
    }

    /// Wishes that were left out because their proxy had [`MOST_TOPICS`] already.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Lanes of the proxies that want something, or did.
    pub fn lanes(&self) -> Vec<usize> {
        self.proxies.keys().copied().collect()
    }

    /// Every (topic, mode) that is wanted.
    pub fn wanted(&self) -> impl Iterator<Item = Change> + '_ {
        self.topics.iter().flat_map(|(name, topic)| {
            let union = topic.union;
            MODES
                .into_iter()
                .filter(move |&mode| union.has(mode))
                .map(move |mode| union.change(true, *name, mode))
        })
    }

    fn withdraw(&mut self, lane: usize, name: TopicName, each: &mut impl FnMut(Change)) {
        if let Some(topic) = self.topics.get_mut(&name) {
            topic.wishes.remove(&lane);
            self.settle(name, each);
        }
    }

    fn settle(&mut self, name: TopicName, each: &mut impl FnMut(Change)) {
        let Some(topic) = self.topics.get_mut(&name) else { return };
        let before = topic.union;
        let mut after = Wanted::default();
        for (wanted, _) in topic.wishes.values() {
            after.modes |= wanted.modes;
            if wanted.has(Mode::Depth) {
                after.depth = after.depth.max(wanted.depth);
            }
        }
        topic.union = after;
        if after.modes == 0 {
            self.topics.remove(&name);
        }
        for mode in MODES {
            let is_new = after.has(mode) && !before.has(mode);
            let is_other_depth = mode == Mode::Depth && after.has(mode) && after.depth != before.depth;
            if is_new || is_other_depth {
                each(after.change(true, name, mode));
            } else if before.has(mode) && !after.has(mode) {
                each(before.change(false, name, mode));
            }
        }
    }
}

impl fmt::Debug for Union {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interest of {} proxies in {} topics", self.proxies.len(), self.topics.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(symbol: &str, modes: u8, depth: u32, round: u32, session: u32) -> Message {
        let topic = Some(TopicName::new("NSE", symbol).unwrap());
        Message { topic, modes, depth, round, session }
    }

    fn end(round: u32, session: u32) -> Message {
        Message { topic: None, modes: 0, depth: 0, round, session }
    }

    fn changes(union: &mut Union, lane: usize, message: Message) -> Vec<String> {
        let mut seen = vec![];
        union.apply(lane, &message, &mut |change| {
            let sign = if change.wanted { '+' } else { '-' };
            seen.push(format!("{sign}{} {} {}", change.topic.symbol(), change.mode as u8, change.depth));
        });
        seen
    }

    #[test]
    fn each_mode_once_however_many_want_it() {
        let mut union = Union::default();
        assert_eq!(changes(&mut union, 0, wish("A", 0b0010, 0, 0, 1)), ["+A 1 0"]);
        assert!(changes(&mut union, 1, wish("A", 0b0010, 0, 0, 2)).is_empty());
        assert_eq!(changes(&mut union, 1, wish("A", 0b1010, 5, 0, 2)), ["+A 3 5"]);
        assert_eq!(changes(&mut union, 0, wish("A", 0b1000, 20, 0, 1)), ["+A 3 20"]);
        assert_eq!(changes(&mut union, 0, wish("A", 0, 0, 0, 1)), ["+A 3 5"]);
        assert_eq!(union.wanted().count(), 2);
        assert_eq!(changes(&mut union, 1, wish("A", 0, 0, 0, 2)), ["-A 1 0", "-A 3 5"]);
        assert_eq!(union.wanted().count(), 0);
    }

    #[test]
    fn what_is_not_repeated_ends() {
        let mut union = Union::default();
        changes(&mut union, 0, wish("A", 0b0010, 0, 7, 1));
        assert!(changes(&mut union, 0, end(9, 1)).is_empty());
        assert_eq!(changes(&mut union, 0, end(10, 1)), ["-A 1 0"]);
    }

    #[test]
    fn a_round_that_lies_ahead_does_not_keep_a_topic() {
        let mut union = Union::default();
        changes(&mut union, 0, wish("A", 0b0010, 0, u32::MAX, 1));
        assert!(changes(&mut union, 0, end(0, 1)).is_empty());
        assert_eq!(changes(&mut union, 0, end(2, 1)), ["-A 1 0"]);
        changes(&mut union, 0, wish("A", 0b0010, 0, 1 << 31, 1));
        assert_eq!(changes(&mut union, 0, end(3, 1)), ["-A 1 0"]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of thousands of names")]
    fn endless_names_do_not_fill_the_memory() {
        let mut union = Union::default();
        let mut told = 0;
        for number in 0..MOST_TOPICS + 10 {
            union.apply(0, &wish(&number.to_string(), 0b0010, 0, 0, 1), &mut |_| told += 1);
        }
        assert_eq!((told, union.refused()), (MOST_TOPICS, 10));
    }

    #[test]
    fn a_lane_that_changed_hands_is_another_proxy() {
        let mut union = Union::default();
        changes(&mut union, 0, wish("A", 0b0010, 0, 0, 1));
        assert_eq!(changes(&mut union, 0, wish("B", 0b0010, 0, 0, 2)), ["-A 1 0", "+B 1 0"]);
        let mut gone = 0;
        union.drop_proxy(0, &mut |_| gone += 1);
        assert_eq!((gone, union.lanes().len()), (1, 0));
    }
}
