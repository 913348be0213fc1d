//! rtrb: a queue for one producer and one consumer, lossless, between threads.

use std::sync::Mutex;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::link::{Duplex, Link, Payload, Place, Sink, Source, Stream, payload};

type Ends = (Mutex<Option<Producer<Payload>>>, Mutex<Option<Consumer<Payload>>>);

pub struct Rtrb {
    there: Ends,
    back: Ends,
}

impl Rtrb {
    pub fn new(capacity: usize) -> Self {
        let ends = || {
            let (producer, consumer) = RingBuffer::new(capacity);
            (Mutex::new(Some(producer)), Mutex::new(Some(consumer)))
        };
        Self { there: ends(), back: ends() }
    }
}

fn take<T>(end: &Mutex<Option<T>>) -> T {
    end.lock().expect("not poisoned").take().expect("one owner")
}

pub struct Side {
    out: Producer<Payload>,
    r#in: Consumer<Payload>,
}

impl Link for Rtrb {
    type Side = Side;
    const PLACE: Place = Place::Threads;

    fn open(&self, first: bool) -> Side {
        let (out, r#in) = if first { (&self.there, &self.back) } else { (&self.back, &self.there) };
        Side { out: take(&out.0), r#in: take(&r#in.1) }
    }
}

impl Duplex for Side {
    #[inline]
    fn send(&mut self, number: u64) {
        while self.out.push(payload(number)).is_err() {}
    }

    #[inline]
    fn receive(&mut self) -> u64 {
        loop {
            if let Ok(message) = self.r#in.pop() {
                return message.0[0];
            }
        }
    }
}

pub struct Writer(Producer<Payload>);

impl Source for Writer {
    #[inline]
    fn put(&mut self, first: u64, count: usize) {
        if count == 1 {
            while self.0.push(payload(first)).is_err() {
                std::hint::spin_loop();
            }
            return;
        }
        loop {
            if let Ok(chunk) = self.0.write_chunk_uninit(count) {
                chunk.fill_from_iter((first..).map(payload));
                return;
            }
            std::hint::spin_loop();
        }
    }
}

pub struct Reader(Consumer<Payload>);

impl Sink for Reader {
    #[inline]
    fn take(&mut self) -> (u64, u64) {
        let there = self.0.slots().min(256);
        if there == 0 {
            std::hint::spin_loop();
            return (0, 0);
        }
        let chunk = self.0.read_chunk(there).expect("they are there");
        let mut sum = 0;
        for message in chunk {
            sum ^= message.0[4] ^ message.0[7];
        }
        std::hint::black_box(sum);
        (there as u64, 0)
    }
}

impl Stream for Rtrb {
    type Source = Writer;
    type Sink = Reader;
    const PLACE: Place = Place::Threads;

    fn source(&self) -> Writer {
        Writer(take(&self.there.0))
    }

    fn sink(&self) -> Reader {
        Reader(take(&self.there.1))
    }
}
