//! What the clients of a thread want together: the encoder writes nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use openalgo_shm_frames::encode::Format;
use openalgo_shm_frames::{ANY, TickEncoder, Topic, Variants};
use openalgo_shm_ring::message::Mode;

use crate::subscription::{MODES, Subscription, WILDCARD};

/// Number of the variant of a mode in a format: its bit in [`Variants`].
pub(crate) const fn variant_of(mode: Mode, format: Format) -> u8 {
    mode as u8 + 4 * format as u8
}

/// Subscriptions by variant.
#[derive(Default)]
struct Counts([u32; 8]);

impl Counts {
    fn variants(&self) -> Variants {
        (0..8).fold(0, |bits, variant| bits | u8::from(self.0[variant] > 0) << variant)
    }
}

/// Counts the subscriptions of each topic and variant, and tells the encoder when there are the first and none.
#[derive(Default)]
pub(crate) struct Demand {
    topics: HashMap<u32, (Arc<Topic>, Counts), RandomState>,
}

impl Demand {
    /// One client's subscription to a topic was `before` and is `after`.
    pub fn change(
        &mut self,
        encoder: &mut TickEncoder,
        topic: &Arc<Topic>,
        format: Format,
        before: Subscription,
        after: Subscription,
    ) {
        let entry = self.topics.entry(topic.number());
        let (topic, counts) = entry.or_insert_with(|| (Arc::clone(topic), Counts::default()));
        let variants = counts.variants();
        for mode in MODES {
            let count = &mut counts.0[variant_of(mode, format) as usize];
            match (before.has(mode), after.has(mode)) {
                (false, true) => *count += 1,
                (true, false) => *count = count.saturating_sub(1),
                _ => {}
            }
        }
        let wanted = counts.variants();
        if wanted != variants {
            tell(encoder, topic, wanted);
        }
        if wanted == 0 {
            let number = topic.number();
            self.topics.remove(&number);
        }
    }

    /// The topic or wildcard of a number that somebody wants.
    pub fn topic(&self, number: u32) -> Option<&Arc<Topic>> {
        self.topics.get(&number).map(|(topic, _)| topic)
    }
}

fn tell(encoder: &mut TickEncoder, topic: &Arc<Topic>, variants: Variants) {
    if topic.symbol() != WILDCARD {
        encoder.want(topic, variants);
    } else if topic.exchange() == WILDCARD {
        encoder.want_exchange(ANY, variants);
    } else {
        encoder.want_exchange(topic.exchange(), variants);
    }
}
