//! What an encoder does with a ring that another process filled with anything.

use openalgo_shm_frames::{ANY, MOST_ENTRIES, TickEncoder, TopicTable};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, Start};

pub fn encode(ring: &LockFreeRingBuffer) {
    let Ok(consumer) = ring.consumer(ConsumerOptions::new("encoder").from(Start::Oldest)) else { return };
    let table = TopicTable::new();
    let mut encoder = TickEncoder::new(consumer, table.clone());
    encoder.want_exchange(ANY, u8::MAX);
    let (mut arena, mut entries) = (vec![0; 8 * encoder.longest_tick()], Vec::new());
    let drained = encoder.drain(&mut arena, &mut entries);
    assert!(drained.entries == entries.len() && entries.len() <= MOST_ENTRIES);
    assert!(entries.iter().all(|entry| (entry.offset + entry.length) as usize <= arena.len()));
    let mut frame = Vec::new();
    for topic in table.ticked(0, usize::MAX) {
        for variant in 0..=8 {
            encoder.snapshot(topic.number(), variant, None, &mut frame);
            encoder.snapshot(topic.number(), variant, Some(1), &mut frame);
        }
    }
}
