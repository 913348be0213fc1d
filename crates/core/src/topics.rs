//! The topics of an encoder by number: those that have ticked stay for good, those that were only asked for
//! as long as somebody wants them. So names that nobody trades leave nothing behind, and take no place of
//! one that ticks.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use crate::encode::TopicText;
use crate::encoder::Variants;
use crate::extent::Extent;
use crate::message::{EXCHANGE_BYTES, LEVELS_WORD, TOPIC_WORDS, text_from, topic_words};

/// Most topics whose ticks are kept; ticks of further ones are counted and dropped. As many again may be asked
/// for before they tick. All brokers' symbols together are about 150,000.
pub const MAX_TOPICS: usize = 262_144;

type Key = [u64; TOPIC_WORDS];

pub(crate) struct Topic {
    pub text: TopicText,
    pub wanted: Variants,
    /// Numbers of the messages of each mode.
    pub sequences: [u64; 3],
    /// Newest tick of each mode.
    pub last: [Option<LastTick>; 3],
}

/// A tick as the last value of a topic.
pub(crate) struct LastTick {
    /// As in the ring, as far as in use.
    pub words: Box<[u64]>,
    pub publisher: u32,
}

#[derive(Default)]
pub(crate) struct Topics {
    /// By number; `None` where the number is free.
    places: Vec<Option<Topic>>,
    index: HashMap<Key, u32, RandomState>,
    /// Numbers below the highest in use that are nobody's.
    free: BTreeSet<u32>,
    /// Those that have ticked, in the order of their first ticks.
    ticked: Vec<u32>,
}

impl Topics {
    /// One more than the highest number in use.
    pub fn end(&self) -> usize {
        self.places.len()
    }

    /// Numbers of those that have ticked, in the order of their first ticks. It only grows.
    pub fn ticked(&self) -> &[u32] {
        &self.ticked
    }

    pub fn get(&self, topic: u32) -> Option<&Topic> {
        self.places.get(topic as usize)?.as_ref()
    }

    fn get_mut(&mut self, topic: u32) -> Option<&mut Topic> {
        self.places.get_mut(topic as usize)?.as_mut()
    }

    /// The number of a topic that has ticked or was asked for.
    pub fn find(&self, key: &Key) -> Option<u32> {
        self.index.get(key).copied()
    }

    /// The number of a topic that somebody is about to want; `None` if too many are wanted that never ticked.
    pub fn ask(&mut self, key: &Key) -> Option<u32> {
        let known = self.find(key);
        let has_room = self.index.len() - self.ticked.len() < MAX_TOPICS;
        known.or_else(|| has_room.then(|| self.add(key)))
    }

    /// Sets what is wanted. A topic that is wanted no more and never ticked is forgotten: its number is in no
    /// frame, and may be given again.
    pub fn want(&mut self, topic: u32, variants: Variants) {
        let Some(entry) = self.get_mut(topic) else { return };
        entry.wanted = variants;
        if variants == 0 && !entry.has_ticked() {
            self.forget(topic);
        }
    }

    /// The topic of a tick that has come; `None` if there are too many.
    pub fn ticking(&mut self, key: &Key) -> Option<(u32, &mut Topic)> {
        let known = self.find(key);
        let topic = match known.filter(|&topic| self.get(topic).is_some_and(Topic::has_ticked)) {
            Some(topic) => topic,
            None => self.first_tick(key, known)?,
        };
        Some((topic, self.get_mut(topic)?))
    }

    #[cold]
    fn first_tick(&mut self, key: &Key, known: Option<u32>) -> Option<u32> {
        if self.ticked.len() == MAX_TOPICS {
            return None;
        }
        let topic = known.unwrap_or_else(|| self.add(key));
        self.ticked.push(topic);
        Some(topic)
    }

    #[cold]
    fn add(&mut self, key: &Key) -> u32 {
        let (mut exchange, mut symbol) = (String::new(), String::new());
        text_from(&key[..EXCHANGE_BYTES / 8], &mut exchange);
        text_from(&key[EXCHANGE_BYTES / 8..], &mut symbol);
        let topic = self.free.pop_first().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[topic as usize] = Some(Topic {
            text: TopicText::new(&exchange, &symbol),
            wanted: 0,
            sequences: [0; 3],
            last: [const { None }; 3],
        });
        self.index.insert(*key, topic);
        topic
    }

    fn forget(&mut self, topic: u32) {
        let Some(Topic { text, .. }) = self.places[topic as usize].take() else { return };
        if let Ok(key) = topic_words(text.exchange(), text.symbol()) {
            self.index.remove(&key);
        }
        self.free.insert(topic);
        while let Some(None) = self.places.last() {
            self.places.pop();
            self.free.remove(&(self.places.len() as u32));
        }
    }
}

impl Topic {
    /// Every tick counts for the lowest mode.
    const fn has_ticked(&self) -> bool {
        self.sequences[0] > 0
    }
}

impl LastTick {
    /// Keeps the words in use, in the predecessor's memory if that is large enough.
    pub fn keep(before: Option<Self>, record: &[u64], publisher: u32) -> Self {
        let used = Extent::from_word(record[1]).end().max(LEVELS_WORD).min(record.len());
        match before {
            Some(mut last) if last.words.len() == used => {
                last.words.copy_from_slice(&record[..used]);
                last.publisher = publisher;
                last
            }
            _ => Self { words: record[..used].into(), publisher },
        }
    }
}
