//! Figures of a thread, for the control plane to read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Figures that are written down once: as fields, as words, and by their number.
macro_rules! figures {
    ($(#[$about:meta])* $name:ident, $count:ident { $($(#[$doc:meta])* $field:ident,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[$doc])* pub $field: u64,)*
        }

        const $count: usize = [$(stringify!($field)),*].len();

        impl $name {
            const fn words(self) -> [u64; $count] {
                [$(self.$field),*]
            }

            const fn of_words(words: [u64; $count]) -> Self {
                let [$($field),*] = words;
                Self { $($field),* }
            }
        }
    };
}

figures! {
    /// What a thread has done since the start of [`Delivery`](crate::Delivery), and what it has now.
    ThreadFigures, COUNT {
        /// Messages read, of all segments.
        received,
        /// Messages overwritten before they were read, or left in a segment that was created anew.
        lost,
        /// Messages skipped because what was found cannot be one.
        corrupt,
        /// Published and not read yet.
        lag,
        /// Ticks read and not kept, because too many instruments tick.
        dropped,
        /// Reads of the ring that brought something.
        batches,
        /// Ticks handed to clients.
        sent,
        /// Ticks that newer ones took the place of, for slow clients.
        conflated,
        /// Clients that get only the newest tick of each topic and mode now.
        conflated_clients,
        /// Different sets of subscriptions now.
        audiences,
        /// Times that the thread has panicked and was started anew.
        restarts,
    }
}

impl ThreadFigures {
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
