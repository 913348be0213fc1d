//! All audiences of a thread, by what they want.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};
use openalgo_shm_frames::Topic;
use openalgo_shm_frames::encode::Format;
use openalgo_shm_ring::message::Mode;
use slab::Slab;

use crate::audience::{Audience, Signatures};
use crate::batch::{Frame, FrameKey};
use crate::subscription::{MODES, Subscription, WILDCARD};

/// Subscriptions of this number and more are compared with other audiences' only when much of them changes, or when
/// nothing has for a while: to leave an audience of many topics costs a step for each.
const MANY: usize = 64;
/// A change of this part of the subscriptions is much.
const MUCH: usize = 4;

/// A change of one topic or wildcard of a client: what is wanted of it from now on.
pub(crate) type NewSubscription = (Arc<Topic>, Subscription);

/// What came of a change.
pub(crate) struct Changed {
    /// The client's audience from now on.
    pub audience: Option<usize>,
    /// Steps that it took, about 50 ns each.
    pub steps: usize,
    /// Frames that were held back for the client and that no timer sends any more.
    pub freed: Vec<(FrameKey, Frame)>,
}

/// What came of the attempt to put a client together with its equals.
pub(crate) enum Merged {
    Into(Changed),
    /// The others hold what it may have got already.
    Later {
        steps: usize,
    },
    Not,
}

/// Audiences by place, with what they want of a topic.
type Named = indexmap::map::Slice<usize, Subscription>;

#[derive(Default)]
pub(crate) struct Audiences {
    all: Slab<Audience>,
    /// Of equal audiences the one that clients are moved to.
    by_signature: HashMap<u128, usize, RandomState>,
    /// By number of the topic.
    by_topic: Vec<IndexMap<usize, Subscription, RandomState>>,
    wild: IndexSet<usize, RandomState>,
    signatures: Signatures,
    serials: u64,
}

impl Audiences {
    /// Number of audiences.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn get(&self, audience: usize) -> Option<&Audience> {
        self.all.get(audience)
    }

    pub fn get_mut(&mut self, audience: usize) -> Option<&mut Audience> {
        self.all.get_mut(audience)
    }

    /// The audiences that name a topic, with what they want of it; those with a wildcard; and all, by their places.
    pub fn interested(&mut self, topic: u32) -> (&Named, &IndexSet<usize, RandomState>, &mut Slab<Audience>) {
        let named = self.by_topic.get(topic as usize).map_or(NONE, |audiences| audiences.as_slice());
        (named, &self.wild, &mut self.all)
    }

    /// Moves a client from its audience to that of its subscriptions with these changes made.
    pub fn change(
        &mut self,
        client: usize,
        from: Option<usize>,
        format: Format,
        changes: &[NewSubscription],
    ) -> Changed {
        let signature = self.signature_after(from, format, changes);
        let (size, is_alone) = match from.map(|from| &self.all[from]) {
            Some(from) => (from.len().max(from.pacing.len()), from.members.len() == 1),
            None => (0, false),
        };
        let equal = self.by_signature.get(&signature).copied();
        if equal.is_some() && equal == from {
            return Changed { audience: from, steps: 1, freed: Vec::new() };
        }
        // To leave an audience that goes on costs nothing; one that ends with this client is taken apart.
        let may_join = !is_alone || size < MANY || MUCH * changes.len() >= size;
        match (equal, from) {
            (Some(to), _) if may_join && !self.would_repeat(from, to) => self.join(client, from, to),
            (_, Some(from)) if is_alone => self.change_in_place(from, changes, signature),
            _ => self.split(client, from, format, changes, signature),
        }
    }

    /// Moves a client that is alone in its audience to an equal one, if there is one.
    pub fn merge(&mut self, client: usize, from: usize) -> Merged {
        let Some(audience) = self.all.get(from) else { return Merged::Not };
        // The one that was registered may have gone since.
        let to = *self.by_signature.entry(audience.signature).or_insert(from);
        if to == from || audience.members.len() != 1 {
            Merged::Not
        } else if self.would_repeat(Some(from), to) {
            Merged::Later { steps: self.all[to].pacing.len() }
        } else {
            Merged::Into(self.join(client, Some(from), to))
        }
    }

    /// Whether another audience holds what a client of this one may have got already.
    fn would_repeat(&self, from: Option<usize>, to: usize) -> bool {
        from.is_some_and(|from| {
            let (own, other) = (&self.all[from], &self.all[to]);
            let mut held = other.pacing.held_beside(&own.pacing);
            held.any(|(key, _)| own.is_wild() || own.topics_entry(key.topic()).is_some())
        })
    }

    /// Takes a client out. Returns the steps that it took.
    pub fn remove(&mut self, client: usize, from: usize) -> usize {
        let audience = &mut self.all[from];
        audience.members.swap_remove(&client);
        if !audience.members.is_empty() {
            return 1;
        }
        self.unregister(from);
        let audience = self.all.remove(from);
        for (topic, _) in audience.topics() {
            self.unindex(topic, from);
        }
        audience.len()
    }

    fn signature_after(&self, from: Option<usize>, format: Format, changes: &[NewSubscription]) -> u128 {
        let from = from.map(|from| &self.all[from]);
        let mut signature = from.map_or_else(|| self.signatures.empty(format), |from| from.signature);
        for (topic, after) in changes {
            let number = topic.number();
            let before = from.map_or(Subscription::default(), |from| from.named(number));
            signature = self.signatures.after(signature, number, before, *after);
        }
        signature
    }

    fn join(&mut self, client: usize, from: Option<usize>, to: usize) -> Changed {
        let mut freed = Vec::new();
        let mut steps = 1;
        if let Some(from) = from {
            // The other audience may have sent these already, or never will.
            let held = self.all[from].pacing.held_beside(&self.all[to].pacing);
            freed = held.map(|(key, frame)| (key, Arc::clone(frame))).collect();
            steps += self.all[from].pacing.len() + self.remove(client, from);
        }
        self.all[to].members.insert(client);
        Changed { audience: Some(to), steps, freed }
    }

    fn split(
        &mut self,
        client: usize,
        from: Option<usize>,
        format: Format,
        changes: &[NewSubscription],
        signature: u128,
    ) -> Changed {
        self.serials += 1;
        let mut audience = match from {
            Some(from) => self.all[from].copy(self.serials),
            None => Audience::new(self.serials, format, signature),
        };
        if let Some(from) = from {
            self.remove(client, from);
        }
        let freed = apply(&mut audience, changes, signature);
        let steps = audience.len() + audience.pacing.len() + changes.len();
        if audience.len() == 0 {
            return Changed { audience: None, steps, freed };
        }
        audience.members.insert(client);
        let place = self.all.insert(audience);
        for (topic, subscription) in self.all[place].topics() {
            index(&mut self.by_topic, topic, place, subscription);
        }
        self.register(place);
        Changed { audience: Some(place), steps, freed }
    }

    fn change_in_place(&mut self, place: usize, changes: &[NewSubscription], signature: u128) -> Changed {
        self.unregister(place);
        let audience = &mut self.all[place];
        let freed = apply(audience, changes, signature);
        for (topic, _) in changes {
            let number = topic.number();
            // Also where it was a wildcard: those are in no index.
            match self.all[place].topics_entry(number) {
                Some(subscription) => index(&mut self.by_topic, number, place, subscription),
                None => self.unindex(number, place),
            }
        }
        let steps = changes.len() + freed.len();
        if self.all[place].len() == 0 {
            self.all.remove(place);
            return Changed { audience: None, steps, freed };
        }
        self.register(place);
        Changed { audience: Some(place), steps, freed }
    }

    fn register(&mut self, place: usize) {
        let audience = &self.all[place];
        self.by_signature.entry(audience.signature).or_insert(place);
        if audience.is_wild() {
            self.wild.insert(place);
        }
    }

    fn unregister(&mut self, place: usize) {
        let signature = self.all[place].signature;
        if self.by_signature.get(&signature) == Some(&place) {
            self.by_signature.remove(&signature);
        }
        self.wild.swap_remove(&place);
    }

    fn unindex(&mut self, topic: u32, place: usize) {
        if let Some(audiences) = self.by_topic.get_mut(topic as usize) {
            audiences.swap_remove(&place);
            if audiences.is_empty() {
                *audiences = IndexMap::default();
            }
        }
    }
}

const NONE: &Named = Named::new();

fn index(
    by_topic: &mut Vec<IndexMap<usize, Subscription, RandomState>>,
    topic: u32,
    audience: usize,
    subscription: Subscription,
) {
    if by_topic.len() <= topic as usize {
        by_topic.resize_with(topic as usize + 1, IndexMap::default);
    }
    by_topic[topic as usize].insert(audience, subscription);
}

/// Makes the changes, and ends the pacing of what has another interval now. Returns what was held by it.
fn apply(audience: &mut Audience, changes: &[NewSubscription], signature: u128) -> Vec<(FrameKey, Frame)> {
    let mut freed = Vec::new();
    for (topic, after) in changes {
        let number = topic.number();
        let before = audience.named(number);
        audience.set(topic, *after);
        if before == *after || audience.pacing.is_empty() {
            continue;
        }
        if topic.symbol() == WILDCARD {
            // Whatever is not named with an interval of its own may have another one now.
            let mut pacing = std::mem::take(&mut audience.pacing);
            let named = |key: FrameKey| audience.topics_entry(key.topic()).unwrap_or_default();
            let is_own = |key: FrameKey| Mode::from_u8(key.mode()).is_some_and(|mode| named(key).has(mode));
            freed.extend(pacing.end_all(|key| !is_own(key)));
            audience.pacing = pacing;
        } else {
            let keys = MODES.map(|mode| FrameKey::new(number, mode as u8));
            freed.extend(keys.into_iter().filter_map(|key| Some((key, audience.pacing.end(key)?))));
        }
    }
    if !audience.is_paced() {
        freed.extend(std::mem::take(&mut audience.pacing).end_all(|_| true));
    }
    audience.signature = signature;
    freed
}
