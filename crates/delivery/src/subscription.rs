//! What a client wants of a topic or of a wildcard.

use std::sync::Arc;

use openalgo_shm_frames::Topic;
use openalgo_shm_ring::message::Mode;

/// Symbol of a topic that stands for all symbols of its exchange; with the exchange `*`, too, for everything.
pub const WILDCARD: &str = "*";

/// All modes, lowest first.
pub(crate) const MODES: [Mode; 3] = [Mode::Ltp, Mode::Quote, Mode::Depth];

/// A change of what a client wants: one topic or wildcard in one mode.
#[derive(Clone)]
pub struct Change {
    /// The topic, or with the symbol [`WILDCARD`] all topics of an exchange.
    pub topic: Arc<Topic>,
    /// The mode.
    pub mode: Mode,
    /// Shortest time between two ticks in this mode, ms; 0 for every tick. `None` ends the subscription.
    pub interval_ms: Option<u32>,
}

/// The modes in which a client wants a topic, each with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Subscription {
    /// Bit m for mode m.
    modes: u8,
    /// By mode, ms. 0 where the mode is not wanted, so that equal subscriptions are equal values.
    intervals_ms: [u32; 3],
}

impl Subscription {
    pub const fn is_empty(self) -> bool {
        self.modes == 0
    }

    pub const fn has(self, mode: Mode) -> bool {
        self.modes & 1 << mode as u8 != 0
    }

    /// Shortest time between two ticks, ms.
    pub const fn interval_ms(self, mode: Mode) -> u32 {
        self.intervals_ms[mode as usize - 1]
    }

    pub fn set(&mut self, mode: Mode, interval_ms: Option<u32>) {
        match interval_ms {
            Some(interval) => {
                self.modes |= 1 << mode as u8;
                self.intervals_ms[mode as usize - 1] = interval;
            }
            None => {
                self.modes &= !(1 << mode as u8);
                self.intervals_ms[mode as usize - 1] = 0;
            }
        }
    }

    /// Modes with an interval.
    pub fn paced_modes(self) -> usize {
        self.intervals_ms.iter().filter(|&&interval| interval > 0).count()
    }

    /// Adds what a wildcard asks for: a mode that it has already keeps its interval if `named`, else gets the
    /// shorter one.
    pub fn add_wildcard(&mut self, wildcard: Self, named: Self) {
        for mode in MODES {
            if !wildcard.has(mode) || named.has(mode) {
                continue;
            }
            let interval = wildcard.interval_ms(mode);
            let shortest = if self.has(mode) { self.interval_ms(mode).min(interval) } else { interval };
            self.set(mode, Some(shortest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(modes: &[(Mode, u32)]) -> Subscription {
        let mut subscription = Subscription::default();
        modes.iter().for_each(|&(mode, interval)| subscription.set(mode, Some(interval)));
        subscription
    }

    #[test]
    fn a_mode_that_was_left_leaves_no_interval_behind() {
        let mut subscription = of(&[(Mode::Ltp, 1000), (Mode::Depth, 0)]);
        subscription.set(Mode::Ltp, None);
        assert_eq!(subscription, of(&[(Mode::Depth, 0)]));
    }

    #[test]
    fn a_named_mode_keeps_its_interval_and_wildcards_give_their_shortest() {
        let named = of(&[(Mode::Ltp, 1000)]);
        let mut all = named;
        all.add_wildcard(of(&[(Mode::Ltp, 0), (Mode::Quote, 500)]), named);
        all.add_wildcard(of(&[(Mode::Quote, 200)]), named);
        assert_eq!(all, of(&[(Mode::Ltp, 1000), (Mode::Quote, 200)]));
    }
}
