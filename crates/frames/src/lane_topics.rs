//! From the number of a topic in a lane's table to the topic's place in the encoder, without a look at the
//! name. Numbers of a lane mean the same name for the life of a segment, and topics that have ticked keep
//! their place, so that no entry is ever changed.

/// Not seen yet.
const UNKNOWN: u32 = u32::MAX;
/// Seen, and not kept.
const REFUSED: u32 = u32::MAX - 1;

/// One array per lane.
#[derive(Default)]
pub(crate) struct LaneTopics {
    lanes: Vec<Vec<u32>>,
}

impl LaneTopics {
    /// The place of the topic behind a lane's number. `enter` is asked when a number is first seen; what it refuses
    /// stays refused.
    #[inline]
    pub fn of(&mut self, lane: usize, number: u32, enter: impl FnOnce() -> Option<u32>) -> Option<u32> {
        let known = self.lanes.get(lane).and_then(|numbers| numbers.get(number as usize));
        let place = match known {
            Some(&place) if place != UNKNOWN => place,
            _ => self.set(lane, number, enter().unwrap_or(REFUSED)),
        };
        (place != REFUSED).then_some(place)
    }

    #[cold]
    fn set(&mut self, lane: usize, number: u32, place: u32) -> u32 {
        if self.lanes.len() <= lane {
            self.lanes.resize(lane + 1, Vec::new());
        }
        let numbers = &mut self.lanes[lane];
        if numbers.len() <= number as usize {
            numbers.resize(number as usize + 1, UNKNOWN);
        }
        numbers[number as usize] = place;
        place
    }

    /// Forgets all, as the numbers of another segment mean other names.
    pub fn clear(&mut self) {
        self.lanes.clear();
    }
}
