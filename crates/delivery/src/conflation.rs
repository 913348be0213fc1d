//! What a client that is behind still has to get: of each topic and mode the newest tick alone, in the order in which
//! these came.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::batch::{Frame, FrameKey};

#[derive(Default)]
pub(crate) struct Conflation {
    /// In the order of arrival; `None` where a newer frame has taken the place of this one.
    frames: Vec<Option<(FrameKey, Frame)>>,
    places: HashMap<FrameKey, usize, RandomState>,
    /// Frames before this place were taken out.
    first: usize,
    replaced: u64,
}

impl Conflation {
    /// Ticks that newer ones have taken the place of.
    pub const fn replaced(&self) -> u64 {
        self.replaced
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Keeps a frame. True if it took the place of an older one.
    pub fn put(&mut self, key: FrameKey, frame: Frame) -> bool {
        if self.frames.len() > 2 * self.places.len() + 64 {
            self.compact();
        }
        let older = self.places.insert(key, self.frames.len());
        self.frames.push(Some((key, frame)));
        if let Some(place) = older {
            self.frames[place] = None;
            self.replaced += 1;
        }
        older.is_some()
    }

    /// Takes out the oldest frames, at least one, while they are within `most` bytes together; drops those that are
    /// not wanted any more.
    pub fn take(&mut self, most: usize, mut is_wanted: impl FnMut(FrameKey) -> bool) -> Vec<Frame> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(place) = self.frames.get_mut(self.first) {
            let length = place.as_ref().map_or(0, |(_, frame)| frame.len());
            if !taken.is_empty() && bytes + length > most {
                break;
            }
            self.first += 1;
            let Some((key, frame)) = place.take() else { continue };
            self.places.remove(&key);
            if is_wanted(key) {
                bytes += length;
                taken.push(frame);
            }
        }
        taken
    }

    /// Drops a frame.
    pub fn forget(&mut self, key: FrameKey) {
        if let Some(place) = self.places.remove(&key) {
            self.frames[place] = None;
        }
    }

    /// Drops what is not wanted any more. Returns how many frames were looked at.
    pub fn retain(&mut self, is_wanted: impl Fn(FrameKey) -> bool) -> usize {
        let looked_at = self.places.len();
        let unwanted: Vec<FrameKey> = self.places.keys().copied().filter(|&key| !is_wanted(key)).collect();
        unwanted.into_iter().for_each(|key| self.forget(key));
        looked_at
    }

    /// Forgets the places of frames that are gone.
    fn compact(&mut self) {
        self.frames.retain(Option::is_some);
        self.first = 0;
        for (place, (key, _)) in self.frames.iter().flatten().enumerate() {
            self.places.insert(*key, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Frame {
        text.as_bytes().into()
    }

    fn texts(frames: Vec<Frame>) -> Vec<String> {
        frames.iter().map(|frame| String::from_utf8_lossy(frame).into_owned()).collect()
    }

    #[test]
    fn the_newest_of_each_key_is_kept_in_the_order_of_arrival() {
        let mut conflation = Conflation::default();
        for (topic, text) in [(1, "a"), (2, "b"), (1, "c"), (3, "d")] {
            conflation.put(FrameKey::new(topic, 1), frame(text));
        }
        assert_eq!(conflation.replaced(), 1);
        assert_eq!(texts(conflation.take(2, |_| true)), ["b", "c"]);
        assert_eq!(texts(conflation.take(0, |_| true)), ["d"]);
        assert!(conflation.is_empty());
    }

    #[test]
    fn modes_of_a_topic_are_kept_apart_and_formats_are_not() {
        assert_ne!(FrameKey::new(1, 1), FrameKey::new(1, 2));
        assert_eq!(FrameKey::new(1, 1), FrameKey::new(1, 5));
    }

    #[test]
    fn what_is_not_wanted_any_more_is_dropped() {
        let mut conflation = Conflation::default();
        conflation.put(FrameKey::new(1, 1), frame("left"));
        conflation.put(FrameKey::new(2, 1), frame("kept"));
        assert_eq!(texts(conflation.take(100, |key| key.topic() == 2)), ["kept"]);
    }

    #[test]
    fn what_is_forgotten_does_not_come_and_its_place_is_free() {
        let mut conflation = Conflation::default();
        for topic in 1..=4 {
            conflation.put(FrameKey::new(topic, 1), frame(&topic.to_string()));
        }
        conflation.forget(FrameKey::new(2, 1));
        conflation.put(FrameKey::new(2, 1), frame("new"));
        assert_eq!(conflation.retain(|key| key.topic() != 3), 4);
        assert_eq!(conflation.replaced(), 0);
        assert_eq!(texts(conflation.take(100, |_| true)), ["1", "4", "new"]);
        assert!(conflation.is_empty());
    }

    #[test]
    fn memory_is_bounded_by_the_keys_however_many_ticks_come() {
        let mut conflation = Conflation::default();
        for tick in 0..100_000 {
            conflation.put(FrameKey::new(tick % 10, 1), frame("x"));
        }
        assert!(conflation.frames.len() < 200, "{}", conflation.frames.len());
        assert_eq!(conflation.replaced(), 99_990);
        assert_eq!(conflation.take(usize::MAX, |_| true).len(), 10);
    }
}
