//! `cargo bench --manifest-path benches/ring/Cargo.toml`: the single steps, in one thread.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use openalgo_shm_frames::{TickEncoder, TopicTable};
use openalgo_shm_ring::message::{
    DepthLevel, Field, LINE_WORDS, MarketDataMessage, Mode, TopicName, TopicNumber,
};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, Producer, RingConfig};

/// Ticks of a batch: one of each symbol of a watchlist.
const BATCH: usize = 64;
const EXCHANGE: &str = "NSE";
const SYMBOL: &str = "RELIANCE";

fn ticks() -> [(&'static str, MarketDataMessage); 3] {
    let tick = |mode| MarketDataMessage::new(EXCHANGE, SYMBOL, mode).expect("a valid name");
    let mut ltp: MarketDataMessage = tick(Mode::Ltp);
    ltp.set(Field::Ltp, 2875.35).set(Field::Volume, 8_412_311.0);
    ltp.set(Field::Ltt, 1_663_660_800_000.0).set(Field::Timestamp, 1_663_660_800_123.0);
    let mut quote: MarketDataMessage = tick(Mode::Quote);
    for field in &Field::ALL[..=Field::TotalSellQuantity as usize] {
        quote.set(*field, 2870.05);
    }
    let mut depth: MarketDataMessage = tick(Mode::Depth);
    for field in &Field::ALL[..=Field::TotalSellQuantity as usize] {
        depth.set(*field, 2870.05);
    }
    let side = [DepthLevel { price: 2875.3, quantity: 150.0, orders: 3.0 }; 5];
    depth.set_depth(&side, &side).expect("five levels fit");
    [("LTP", ltp), ("quote", quote), ("depth 5", depth)]
}

fn ring() -> LockFreeRingBuffer {
    LockFreeRingBuffer::on_heap(RingConfig::mpmc().lanes(1)).expect("a ring")
}

/// The topics of the watchlist in a producer's table.
fn watchlist(producer: &mut Producer) -> Vec<TopicNumber> {
    let names = (0..BATCH).map(|number| format!("{SYMBOL}{number}"));
    names.map(|name| producer.topic(EXCHANGE, &name).expect("room for a topic")).collect()
}

fn publish_watchlist(producer: &mut Producer, topics: &[TopicNumber], tick: &MarketDataMessage) {
    let batch = topics.iter().map(|topic| (*topic, tick.as_words()));
    producer.publish_batch_to(batch).expect("they fit");
}

/// Times `measured` alone: `before` fills the ring for it each time. What counts is the median of the rounds that
/// criterion asks for, so that being interrupted costs nothing.
fn timed<S>(
    bench: &mut Bencher<'_, WallTime>,
    state: &mut S,
    before: impl Fn(&mut S),
    measured: impl Fn(&mut S) -> usize,
) {
    bench.iter_custom(|rounds| {
        let one = |_| {
            before(state);
            let start = Instant::now();
            let count = measured(state);
            let spent = start.elapsed();
            assert_eq!(count, BATCH, "the whole batch");
            spent
        };
        let mut times: Vec<Duration> = (0..rounds).map(one).collect();
        times.sort_unstable();
        times[times.len() / 2] * u32::try_from(rounds).expect("fewer rounds")
    });
}

fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    for (name, tick) in ticks() {
        let ring = ring();
        let mut producer = ring.producer("bench").expect("a lane");
        let topic = producer.topic(EXCHANGE, SYMBOL).expect("room for a topic");
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("write_to", name), |bench| {
            bench.iter(|| producer.write_to(topic, black_box(tick.as_words()), 1));
        });
        group.bench_function(BenchmarkId::new("write, topic by name", name), |bench| {
            bench.iter(|| producer.write(black_box(tick.as_words()), 1));
        });
        group.bench_function(BenchmarkId::new("publish_to", name), |bench| {
            bench.iter(|| producer.publish_to(topic, black_box(tick.as_words())));
        });
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(BenchmarkId::new("publish_batch_to, 64", name), |bench| {
            let batch = || std::iter::repeat_n((topic, black_box(tick.as_words())), BATCH);
            bench.iter(|| producer.publish_batch_to(batch()));
        });
    }
}

fn poll(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read a batch of 64");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, tick) in ticks() {
        let ring = ring();
        let mut producer = ring.producer("bench").expect("a lane");
        let topics = watchlist(&mut producer);
        let consumer = ring.consumer(ConsumerOptions::new("bench")).expect("room to register");
        let mut ends = (producer, consumer);
        group.bench_function(BenchmarkId::new("poll", name), |bench| {
            timed(
                bench,
                &mut ends,
                |(producer, _)| publish_watchlist(producer, &topics, &tick),
                |(_, consumer)| {
                    consumer.poll(BATCH, |tick| {
                        black_box(tick.field(Field::Ltp));
                    })
                },
            );
        });
        let mut heads = [[0; LINE_WORDS]; BATCH];
        let mut rest = vec![0; (BATCH + 1) * ring.layout().longest_rest()];
        let mut state = (ends, &mut heads, &mut rest);
        group.bench_function(BenchmarkId::new("poll_into", name), |bench| {
            timed(
                bench,
                &mut state,
                |((producer, _), ..)| publish_watchlist(producer, &topics, &tick),
                |((_, consumer), heads, rest)| consumer.poll_into(&mut heads[..], rest),
            );
        });
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read and encode a batch of 64, topics looked up");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, tick) in ticks() {
        let ring = ring();
        let mut producer = ring.producer("bench").expect("a lane");
        let topics = watchlist(&mut producer);
        let table = TopicTable::new();
        let consumer = ring.consumer(ConsumerOptions::new("bench")).expect("room to register");
        let mut encoder = TickEncoder::new(consumer, table.clone());
        for number in 0..BATCH {
            let topic = TopicName::new(EXCHANGE, &format!("{SYMBOL}{number}")).expect("a valid name");
            encoder.want(&table.ask(&topic).expect("room for a topic"), 1 << tick.view().mode() as u8);
        }
        let (mut arena, mut entries) = (vec![0; 1 << 20], Vec::new());
        group.bench_function(name, |bench| {
            timed(
                bench,
                &mut (&mut producer, &mut encoder, &mut arena, &mut entries),
                |(producer, .., entries)| {
                    entries.clear();
                    publish_watchlist(producer, &topics, &tick);
                },
                |(_, encoder, arena, entries)| encoder.drain(arena, entries).entries,
            );
        });
    }
}

criterion_group!(benches, publish, poll, encode);
criterion_main!(benches);
