//! The limit: sends finished frames to every client, one write a client and round, and does nothing else.
//! `--port --clients --topics --mode --gather --rate (0: as fast as it goes)`
//! `--ring NAME (in step: sends when ticks have come through that ring) --wait spin|adaptive|sleep (for them)`
//!
//! In step, a rate of 0 sends a finished round for every round of the ring, whatever is in its ticks; any other rate
//! sends what the ring has, each tick with the stamp that it carries.

mod audience;
mod frames;

use std::net::TcpListener;
use std::time::Duration;

use openalgo_shm_fanout_bench::arguments::Arguments;
use openalgo_shm_ring::clock::monotonic_ns;
use openalgo_shm_ring::message::{Field, MessageView};
use openalgo_shm_ring::{Consumer, ConsumerOptions, LockFreeRingBuffer, WaitStrategy};

use crate::audience::Audience;
use crate::frames::Frames;

/// Ticks that one write carries at most.
const MOST_TICKS: usize = 256;
/// A wait without ticks begins anew after this.
const WAIT: Duration = Duration::from_secs(1);

fn main() {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(("127.0.0.1", arguments.number("port", 0))).expect("a free port");
    let mut ring = arguments.text("ring").map(|name| {
        let ring = LockFreeRingBuffer::open(name).expect("a ring");
        ring.consumer(ConsumerOptions::new("bare sender")).expect("a place")
    });
    let wait = match arguments.text("wait").unwrap_or("adaptive") {
        "spin" => WaitStrategy::Spin,
        "adaptive" => WaitStrategy::Adaptive,
        "sleep" => WaitStrategy::Sleep,
        other => panic!("--wait {other}: expected spin, adaptive or sleep"),
    };
    println!("{}", listener.local_addr().expect("bound").port());
    let mut audience = Audience::of(&listener, arguments.number("clients", 1));
    let (rate, gather) = (arguments.number("rate", 0u64), arguments.number("gather", 1usize));
    let frames = Frames::new(arguments.number("topics", 1usize), arguments.number("mode", 1u8));
    match &mut ring {
        Some(consumer) if rate > 0 => in_step(consumer, wait, &frames, &mut audience),
        _ if rate > 0 => paced(rate, &frames, &mut audience),
        _ => flat_out(ring.as_mut(), wait, gather, &frames, &mut audience),
    }
}

fn flat_out(
    mut ring: Option<&mut Consumer>,
    wait: WaitStrategy,
    gather: usize,
    frames: &Frames,
    audience: &mut Audience,
) {
    let mut round = Vec::new();
    let stamp = monotonic_ns();
    for topic in 0..gather {
        frames.append(&mut round, topic, stamp);
    }
    loop {
        if let Some(consumer) = &mut ring {
            let mut come = 0;
            while come < gather {
                come += poll(consumer, gather - come, wait, |_| {});
            }
        }
        audience.send(&round);
    }
}

fn in_step(consumer: &mut Consumer, wait: WaitStrategy, frames: &Frames, audience: &mut Audience) {
    let mut round = Vec::new();
    loop {
        round.clear();
        poll(consumer, MOST_TICKS, wait, |tick| {
            let stamp = tick.field(Field::Seq).unwrap_or_default() as u64;
            // The feed names its topics in their order, so the ring's number of a topic is the bench's.
            frames.append(&mut round, tick.topic() as usize, stamp);
        });
        audience.send(&round);
    }
}

/// Makes its ticks itself, each with the time of its making.
fn paced(rate: u64, frames: &Frames, audience: &mut Audience) {
    let mut round = Vec::new();
    let start = monotonic_ns();
    for number in 0.. {
        let due = start + number * 1_000_000_000 / rate;
        while let left @ 1.. = due.saturating_sub(monotonic_ns()) {
            std::thread::sleep(Duration::from_nanos(left));
        }
        round.clear();
        frames.append(&mut round, number as usize, monotonic_ns());
        audience.send(&round);
    }
}

/// Waits for ticks and gives each to `each`. Returns how many came.
fn poll(
    consumer: &mut Consumer,
    most: usize,
    wait: WaitStrategy,
    mut each: impl FnMut(MessageView<'_>),
) -> usize {
    loop {
        let come = consumer.poll(most, &mut each);
        if come > 0 {
            return come;
        }
        if wait != WaitStrategy::Spin {
            consumer.wait(wait, WAIT);
        }
    }
}
