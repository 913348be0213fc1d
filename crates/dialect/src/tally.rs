//! What was found in ticks and could not be used, by key.

/// Distinct keys that are kept by name: a feed with endless new keys must not fill the memory.
const MOST_KEYS: usize = 256;

/// Counts by key, in the order in which the keys were first seen.
#[derive(Debug, Default, Clone)]
pub struct Tally(Vec<(Box<str>, u64)>);

impl Tally {
    /// Counts one more. The first 256 keys are kept.
    pub fn count(&mut self, key: &str) {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| **known == *key) {
            *count += 1;
        } else if self.0.len() < MOST_KEYS {
            self.0.push((key.into(), 1));
        }
    }

    /// The keys and how often each was seen.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(key, count)| (&**key, *count))
    }

    /// True if nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
