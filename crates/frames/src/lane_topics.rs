//! From the number of a topic in a lane's table to the encoder's number of that topic, without a look at the
//! name. Numbers of a lane mean the same name for the life of a segment, and topics that have ticked keep
//! their number, so that no entry is ever changed.

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
    /// The topic behind a lane's number. `intern` is asked when a number is first seen; what it refuses stays
    /// refused.
    #[inline]
    pub fn of(&mut self, lane: usize, number: u32, intern: impl FnOnce() -> Option<u32>) -> Option<u32> {
        let known = self.lanes.get(lane).and_then(|numbers| numbers.get(number as usize));
        let topic = match known {
            Some(&topic) if topic != UNKNOWN => topic,
            _ => self.enter(lane, number, intern().unwrap_or(REFUSED)),
        };
        (topic != REFUSED).then_some(topic)
    }

    #[cold]
    fn enter(&mut self, lane: usize, number: u32, topic: u32) -> u32 {
        if self.lanes.len() <= lane {
            self.lanes.resize(lane + 1, Vec::new());
        }
        let numbers = &mut self.lanes[lane];
        if numbers.len() <= number as usize {
            numbers.resize(number as usize + 1, UNKNOWN);
        }
        numbers[number as usize] = topic;
        topic
    }

    /// Forgets all, as the numbers of another segment mean other names.
    pub fn clear(&mut self) {
        self.lanes.clear();
    }
}
