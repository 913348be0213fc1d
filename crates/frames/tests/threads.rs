//! An encoder and a feed as threads on heap memory: what Miri and ThreadSanitizer watch.

use openalgo_shm_frames::TickEncoder;
use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, RingConfig};

const MESSAGES: u64 = if cfg!(miri) { 20 } else { 10_000 };

#[test]
fn an_encoder_reads_while_a_feed_writes() {
    let config = RingConfig::mpmc().lanes(1).consumers(1).topics(8).buffer_size(32 * 64);
    let ring = LockFreeRingBuffer::on_heap(config).unwrap();
    let mut encoder = TickEncoder::new(ring.consumer(ConsumerOptions::new("encoder")).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer = ring.producer("feed").unwrap();
            let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
            for number in 0..MESSAGES {
                tick.set(Field::Ltp, number as f64).set(Field::Open, number as f64);
                producer.publish(tick.as_words()).unwrap();
            }
        });
        let room = 4 * encoder.longest_tick();
        let (mut arena, mut entries, mut stamps) = (vec![0; room], vec![0; 64], vec![0.0; 16]);
        while encoder.consumer().positions()[0] < MESSAGES {
            encoder.drain(&mut arena, &mut entries, &mut stamps);
        }
    });
    let consumer = encoder.consumer();
    assert_eq!((consumer.received() + consumer.lost(), consumer.corrupt()), (MESSAGES, 0));
}
