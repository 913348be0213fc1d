//! photon-ring: a broadcast ring with stamped slots, between threads. Its message has 56 bytes, so that with its stamp
//! it fills one cache line, as ours does: with 64 it would take two.

use std::sync::Mutex;

use photon_ring::{Publisher, Subscribable, Subscriber, TryRecvError, channel};

use crate::link::{Duplex, Link, MESSAGE_WORDS, Place, Sink, Source, Stream, words};

/// A slot without its stamp.
type Payload = [u64; MESSAGE_WORDS - 1];
type Lane = (Mutex<Option<Publisher<Payload>>>, Subscribable<Payload>);

pub struct Photon {
    there: Lane,
    back: Lane,
}

impl Photon {
    pub fn new(capacity: usize) -> Self {
        let lane = || {
            let (publisher, subscribers) = channel(capacity);
            (Mutex::new(Some(publisher)), subscribers)
        };
        Self { there: lane(), back: lane() }
    }
}

fn publisher(lane: &Lane) -> Publisher<Payload> {
    lane.0.lock().expect("not poisoned").take().expect("one publisher")
}

pub struct Side {
    out: Publisher<Payload>,
    r#in: Subscriber<Payload>,
}

impl Link for Photon {
    type Side = Side;
    const PLACE: Place = Place::Threads;

    fn open(&self, first: bool) -> Side {
        let (out, r#in) = if first { (&self.there, &self.back) } else { (&self.back, &self.there) };
        Side { out: publisher(out), r#in: r#in.1.subscribe() }
    }
}

impl Duplex for Side {
    #[inline]
    fn send(&mut self, number: u64) {
        self.out.publish(words(number));
    }

    #[inline]
    fn receive(&mut self) -> u64 {
        loop {
            if let Ok(message) = self.r#in.try_recv() {
                return message[0];
            }
        }
    }
}

pub struct Writer(Publisher<Payload>);

impl Source for Writer {
    #[inline]
    fn put(&mut self, first: u64, count: usize) {
        if count == 1 {
            return self.0.publish(words(first));
        }
        let mut batch = [[0; _]; 16];
        for (message, number) in batch.iter_mut().zip(first..) {
            *message = words(number);
        }
        self.0.publish_batch(&batch[..count]);
    }
}

pub struct Reader {
    r#in: Subscriber<Payload>,
    lost: u64,
}

impl Sink for Reader {
    #[inline]
    fn take(&mut self) -> (u64, u64) {
        match self.r#in.try_recv() {
            Ok(message) => {
                std::hint::black_box(message[4]);
                (1, self.lost)
            }
            Err(TryRecvError::Lagged { skipped }) => {
                self.lost += skipped;
                (0, self.lost)
            }
            Err(_) => (0, self.lost),
        }
    }
}

impl Stream for Photon {
    type Source = Writer;
    type Sink = Reader;
    const PLACE: Place = Place::Threads;

    fn source(&self) -> Writer {
        Writer(publisher(&self.there))
    }

    fn sink(&self) -> Reader {
        Reader { r#in: self.there.1.subscribe(), lost: 0 }
    }
}
