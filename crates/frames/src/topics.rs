//! The topics of an encoder by number: those that have ticked stay for good, those that were only asked for
//! stay as long as somebody wants them. So names that nobody trades leave nothing behind, and take no place
//! of one that ticks.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;
use openalgo_shm_ring::message::{Head, MessageView, TopicName};

use crate::encode::TopicText;
use crate::tick_encoder::Variants;

/// Most topics whose ticks are kept; ticks of further ones are counted and dropped. As many again may be asked
/// for before they tick. All brokers' symbols together are about 150,000.
pub const MAX_TOPICS: usize = 262_144;

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
    head: Head,
    rest: Box<[u64]>,
    pub publisher: u32,
}

#[derive(Default)]
pub(crate) struct Topics {
    /// By number; `None` where the number is free.
    places: Vec<Option<Topic>>,
    index: HashMap<TopicName, u32, RandomState>,
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

    pub fn get_mut(&mut self, topic: u32) -> Option<&mut Topic> {
        self.places.get_mut(topic as usize)?.as_mut()
    }

    /// The number of a topic that has ticked or was asked for.
    pub fn find(&self, name: &TopicName) -> Option<u32> {
        self.index.get(name).copied()
    }

    /// The number of a topic that somebody is about to want; `None` if too many are wanted that never ticked.
    pub fn intern_wanted(&mut self, name: &TopicName) -> Option<u32> {
        let known = self.find(name);
        let has_room = self.index.len() - self.ticked.len() < MAX_TOPICS;
        known.or_else(|| has_room.then(|| self.add(name)))
    }

    /// The number of a topic that has a tick, which it keeps for good; `None` if too many have ticked.
    #[cold]
    pub fn intern_ticked(&mut self, name: &TopicName) -> Option<u32> {
        let known = self.find(name);
        if let Some(topic) = known.filter(|&topic| self.get(topic).is_some_and(Topic::has_ticked)) {
            return Some(topic);
        }
        if self.ticked.len() == MAX_TOPICS {
            return None;
        }
        let topic = known.unwrap_or_else(|| self.add(name));
        self.ticked.push(topic);
        Some(topic)
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

    fn add(&mut self, name: &TopicName) -> u32 {
        let topic = self.free.pop_first().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[topic as usize] = Some(Topic {
            text: TopicText::new(&name.exchange(), &name.symbol()),
            wanted: 0,
            sequences: [0; 3],
            last: [const { None }; 3],
        });
        self.index.insert(*name, topic);
        topic
    }

    fn forget(&mut self, topic: u32) {
        let Some(Topic { text, .. }) = self.places[topic as usize].take() else { return };
        if let Ok(name) = TopicName::new(text.exchange(), text.symbol()) {
            self.index.remove(&name);
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

    /// Keeps a tick as the newest of its mode, in its predecessor's memory if that has the right size.
    pub fn keep(&mut self, tick: MessageView<'_>, publisher: u32) {
        let (head, rest) = tick.parts();
        let last = &mut self.last[tick.mode() as usize - 1];
        match last {
            Some(last) if last.rest.len() == rest.len() => {
                last.head = *head;
                last.rest.copy_from_slice(rest);
                last.publisher = publisher;
            }
            _ => *last = Some(LastTick { head: *head, rest: rest.into(), publisher }),
        }
    }
}

impl LastTick {
    pub fn view(&self) -> MessageView<'_> {
        MessageView::of_parts(&self.head, &self.rest)
    }
}
