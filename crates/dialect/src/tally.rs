//! What was found in ticks and could not be used, by key.

/// Distinct keys that are kept by name: a feed with endless new keys must not fill the memory.
const MOST_KEYS: usize = 256;

/// Counts by key, in the order in which the keys were first seen.
#[derive(Debug, Default, Clone)]
pub struct Tally(Vec<(Box<str>, u64)>);

impl Tally {
    /// Counts one more. The first 256 keys are kept.
    pub fn count(&mut self, key: &str) {
        self.add(key, 1);
    }

    fn add(&mut self, key: &str, more: u64) {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| **known == *key) {
            *count += more;
        } else if self.0.len() < MOST_KEYS {
            self.0.push((key.into(), more));
        }
    }

    /// Takes over what another has counted, and empties it.
    #[inline]
    pub fn absorb(&mut self, other: &mut Self) {
        if !other.0.is_empty() {
            self.absorb_some(other);
        }
    }

    fn absorb_some(&mut self, other: &mut Self) {
        for (key, count) in other.0.drain(..) {
            self.add(&key, count);
        }
    }

    /// The keys and how often each was seen.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(key, count)| (&**key, *count))
    }
}
