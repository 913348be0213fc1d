//! `cargo bench --manifest-path benches/ring/Cargo.toml`: the single steps, in one thread.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use openalgo_shm_core::message::{DepthLevel, Field, MarketDataMessage, Mode};
use openalgo_shm_core::{ConsumerOptions, LockFreeRingBuffer, RingConfig, TickEncoder};

const BATCH: usize = 64;

fn ticks() -> [(&'static str, MarketDataMessage); 3] {
    let mut ltp: MarketDataMessage =
        MarketDataMessage::new("NSE", "RELIANCE", Mode::Ltp).expect("a valid name");
    ltp.set(Field::Ltp, 2875.35).set(Field::Volume, 8_412_311.0);
    ltp.set(Field::Ltt, 1_663_660_800_000.0).set(Field::Timestamp, 1_663_660_800_123.0);
    let mut quote: MarketDataMessage =
        MarketDataMessage::new("NSE", "RELIANCE", Mode::Quote).expect("a valid name");
    for field in &Field::ALL[..=Field::TotalSellQuantity as usize] {
        quote.set(*field, 2870.05);
    }
    let mut depth: MarketDataMessage =
        MarketDataMessage::new("NSE", "RELIANCE", Mode::Depth).expect("a valid name");
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

fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish");
    for (name, tick) in ticks() {
        let ring = ring();
        let mut producer = ring.producer("bench").expect("a lane");
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("write", name), |bench| {
            bench.iter(|| producer.write(black_box(tick.as_words()), 1));
        });
        group.bench_function(BenchmarkId::new("publish", name), |bench| {
            bench.iter(|| producer.publish(black_box(tick.as_words())));
        });
        group.throughput(Throughput::Elements(BATCH as u64));
        group.bench_function(BenchmarkId::new("batch of 64", name), |bench| {
            bench.iter(|| producer.publish_batch(std::iter::repeat_n(black_box(tick.as_words()), BATCH)));
        });
    }
}

fn poll(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish a batch of 64 and poll it");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, tick) in ticks() {
        let ring = ring();
        let mut producer = ring.producer("bench").expect("a lane");
        let mut consumer = ring.consumer(ConsumerOptions::new("bench")).expect("room to register");
        group.bench_function(name, |bench| {
            bench.iter(|| {
                producer.publish_batch(std::iter::repeat_n(tick.as_words(), BATCH)).expect("they fit");
                consumer.poll(BATCH, |tick| {
                    black_box(tick.field(Field::Ltp));
                })
            });
        });
    }
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("publish a batch of 64 and encode it");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, tick) in ticks() {
        let ring = ring();
        let mut producer = ring.producer("bench").expect("a lane");
        let mut encoder =
            TickEncoder::new(ring.consumer(ConsumerOptions::new("bench")).expect("room to register"));
        let topic = encoder.topic("NSE", "RELIANCE").expect("a valid name").expect("room for a topic");
        encoder.want(topic, 1 << tick.view().mode() as u8);
        let mut arena = vec![0; 1 << 20];
        let (mut entries, mut stamps) = (vec![0; 4096], vec![0.0; 1024]);
        group.bench_function(name, |bench| {
            bench.iter(|| {
                producer.publish_batch(std::iter::repeat_n(tick.as_words(), BATCH)).expect("they fit");
                encoder.drain(&mut arena, &mut entries, &mut stamps)
            });
        });
    }
}

criterion_group!(benches, publish, poll, encode);
criterion_main!(benches);
