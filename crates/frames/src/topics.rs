//! The topics of one encoder: those that have ticked here, and those that are wanted here.

use std::sync::Arc;

use crate::encode::TopicText;
use crate::last_values::LastValues;
use crate::topic_table::Topic;
use crate::variants::Variants;

/// No place.
const NONE: u32 = u32::MAX;

/// What an encoder knows of a topic.
pub(crate) struct LocalTopic {
    pub topic: Arc<Topic>,
    /// Beside `topic`, so that a tick needs no look at it.
    pub number: u32,
    pub wanted: Variants,
    /// Made when the topic is first encoded.
    pub text: Option<TopicText>,
    /// Numbers of the messages of each mode.
    pub sequences: [u64; 3],
    /// Last values that came from another proxy, which have no numbers.
    pub carried: u64,
    pub last: LastValues,
}

/// Topics by place. A topic that has ticked here keeps its place for good.
#[derive(Default)]
pub(crate) struct Topics {
    places: Vec<Option<LocalTopic>>,
    free: Vec<u32>,
    /// Places by topic number.
    by_number: Vec<u32>,
}

impl Topics {
    #[inline]
    pub fn at_mut(&mut self, place: u32) -> Option<&mut LocalTopic> {
        self.places.get_mut(place as usize)?.as_mut()
    }

    pub fn get(&self, number: u32) -> Option<&LocalTopic> {
        self.places[self.place_of(number)? as usize].as_ref()
    }

    pub fn get_mut(&mut self, number: u32) -> Option<&mut LocalTopic> {
        let place = self.place_of(number)?;
        self.at_mut(place)
    }

    /// Sets what is wanted. A topic that never ticked here and is wanted no more is dropped.
    pub fn want(&mut self, topic: &Arc<Topic>, variants: Variants) {
        let place = match self.place_of(topic.number()) {
            None if variants == 0 => return,
            None => self.enter(topic),
            Some(place) => place,
        };
        let Some(local) = self.at_mut(place) else { return };
        debug_assert!(Arc::ptr_eq(&local.topic, topic), "the topic is of the encoder's table");
        local.wanted = variants;
        if variants == 0 && !local.has_ticked() {
            self.places[place as usize] = None;
            self.free.push(place);
            self.by_number[topic.number() as usize] = NONE;
        }
    }

    /// The place of a topic, which it gets if it has none.
    pub fn enter(&mut self, topic: &Arc<Topic>) -> u32 {
        let number = topic.number() as usize;
        if let Some(place) = self.place_of(topic.number()) {
            return place;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        self.places[place as usize] = Some(LocalTopic::new(topic));
        if self.by_number.len() <= number {
            self.by_number.resize(number + 1, NONE);
        }
        self.by_number[number] = place;
        place
    }

    fn place_of(&self, number: u32) -> Option<u32> {
        self.by_number.get(number as usize).copied().filter(|&place| place != NONE)
    }
}

impl LocalTopic {
    fn new(topic: &Arc<Topic>) -> Self {
        Self {
            number: topic.number(),
            topic: topic.clone(),
            wanted: 0,
            text: None,
            sequences: [0; 3],
            carried: 0,
            last: LastValues::default(),
        }
    }

    /// Every tick counts for the lowest mode.
    const fn has_ticked(&self) -> bool {
        self.ticks() > 0
    }

    /// All that have come, with those of another proxy.
    pub const fn ticks(&self) -> u64 {
        self.sequences[0] + self.carried
    }

    /// The constant parts of its messages.
    pub fn text(&mut self) -> &TopicText {
        self.text.get_or_insert_with(|| text_of(&self.topic))
    }
}

#[cold]
pub(crate) fn text_of(topic: &Topic) -> TopicText {
    TopicText::new(topic.exchange(), topic.symbol())
}
