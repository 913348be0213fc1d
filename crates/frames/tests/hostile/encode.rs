//! What an encoder does with a ring that another process filled with anything.

use openalgo_shm_frames::{ANY, TickEncoder};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, Start};

pub fn encode(ring: &LockFreeRingBuffer) {
    let Ok(consumer) = ring.consumer(ConsumerOptions::new("encoder").from(Start::Oldest)) else { return };
    let mut encoder = TickEncoder::new(consumer);
    encoder.want_exchange(ANY, u8::MAX);
    let mut arena = vec![0; 8 * encoder.longest_tick()];
    let (mut entries, mut stamps) = (vec![0; 256], vec![0.0; 64]);
    let count = encoder.drain(&mut arena, &mut entries, &mut stamps);
    assert!(count <= stamps.len());
    let mut frame = Vec::new();
    for topic in 0..encoder.topic_count() as u32 {
        for variant in 0..8 {
            encoder.snapshot(topic, variant, &mut frame);
        }
    }
}
