//! Figures of a thread, for the control plane to read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a thread has done since the start of [`Delivery`](crate::Delivery), and what it has now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThreadFigures {
    /// Messages read, of all segments.
    pub received: u64,
    /// Messages overwritten before they were read, or left in a segment that was created anew.
    pub lost: u64,
    /// Messages skipped because what was found cannot be one.
    pub corrupt: u64,
    /// Published and not read yet.
    pub lag: u64,
    /// Ticks read and not kept, because too many instruments tick.
    pub dropped: u64,
    /// Reads of the ring that brought something.
    pub batches: u64,
    /// Ticks handed to clients.
    pub sent: u64,
    /// Ticks that newer ones took the place of, for slow clients.
    pub conflated: u64,
    /// Clients that get only the newest tick of each topic and mode now.
    pub conflated_clients: u64,
    /// Different sets of subscriptions now.
    pub audiences: u64,
    /// Times that the thread has panicked and was started anew.
    pub restarts: u64,
}

const COUNT: usize = 11;

impl ThreadFigures {
    const fn words(self) -> [u64; COUNT] {
        let Self { received, lost, corrupt, lag, dropped, batches, .. } = self;
        let Self { sent, conflated, conflated_clients, audiences, restarts, .. } = self;
        [
            received,
            lost,
            corrupt,
            lag,
            dropped,
            batches,
            sent,
            conflated,
            conflated_clients,
            audiences,
            restarts,
        ]
    }

    const fn of_words(words: [u64; COUNT]) -> Self {
        let [received, lost, corrupt, lag, dropped, batches, rest @ ..] = words;
        let [sent, conflated, conflated_clients, audiences, restarts] = rest;
        Self {
            received,
            lost,
            corrupt,
            lag,
            dropped,
            batches,
            sent,
            conflated,
            conflated_clients,
            audiences,
            restarts,
        }
    }

    /// Counts of a thread that goes on where this one has ended: what it has now is nothing.
    pub(crate) fn counted(self) -> Self {
        Self { lag: 0, conflated_clients: 0, audiences: 0, ..self }
    }

    /// Those of two threads together.
    pub fn plus(self, other: Self) -> Self {
        let (mut words, more) = (self.words(), other.words());
        words.iter_mut().zip(more).for_each(|(word, more)| *word = word.saturating_add(more));
        Self::of_words(words)
    }
}

/// The same, shared: one thread writes them. Each is right on its own, so every access is relaxed.
#[derive(Debug, Default)]
pub(crate) struct SharedFigures([AtomicU64; COUNT]);

impl SharedFigures {
    pub fn show(&self, figures: ThreadFigures) {
        for (word, value) in self.0.iter().zip(figures.words()) {
            word.store(value, Ordering::Relaxed);
        }
    }

    pub fn read(&self) -> ThreadFigures {
        ThreadFigures::of_words(std::array::from_fn(|index| self.0[index].load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_come_out_as_they_were_shown_and_add_up() {
        let words = std::array::from_fn(|index| index as u64 + 1);
        let figures = ThreadFigures::of_words(words);
        let shared = SharedFigures::default();
        shared.show(figures);
        assert_eq!(shared.read(), figures);
        assert_eq!(figures.plus(figures).words(), words.map(|word| 2 * word));
        assert_eq!((figures.received, figures.restarts), (1, 11));
    }
}
