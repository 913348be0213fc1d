//! What the library does with a segment that another process filled with anything.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use openalgo_shm_core::layout::{Kind, Policy};
use openalgo_shm_core::message::{Field, MarketDataMessage, Mode};
use openalgo_shm_core::monitor::PublisherNames;
use openalgo_shm_core::{Consumer, ConsumerOptions, LockFreeRingBuffer, RingConfig, Start, TickEncoder};

const STRIDE: usize = 512;

/// A ring of one of eight shapes, small enough that every word of it is reached.
fn config(choice: u8) -> RingConfig {
    let policy = if choice & 1 == 0 { Policy::Overwrite } else { Policy::Lossless };
    let ring = RingConfig::mpmc().lanes(2).consumers(2).policy(policy);
    let ring = if choice & 2 == 0 { ring.depth_levels(1) } else { ring.of_kind(Kind::Interest, STRIDE) };
    ring.buffer_size(STRIDE * if choice & 4 == 0 { 2 } else { 8 })
}

/// Uses the input as a segment: byte 0 says how. Either all that follows is the segment, or a sound
/// segment is made and changed, eight bytes at a time: every change is two bytes of word number and six
/// of its value, spread so that small numbers, huge numbers and neighbours of the limits are all near.
pub fn use_as_segment(label: &str, input: &[u8]) {
    let Some((&choice, rest)) = input.split_first() else { return };
    let name = format!("{label}-{}", std::process::id());
    let _ = LockFreeRingBuffer::unlink(&name);
    if choice & 0x80 == 0 {
        if std::fs::write(Path::new("/dev/shm").join(&name), rest).is_ok() {
            attach_and_use(&name);
        }
    } else {
        let ring = LockFreeRingBuffer::create(&name, config(choice)).expect("room for a small segment");
        let mut tick = MarketDataMessage::<1>::new("NSE", "TCS", Mode::Quote).expect("valid");
        tick.set(Field::Ltp, 1.0);
        let (mut producer, consumer) = (ring.producer("p"), ring.consumer(ConsumerOptions::new("c")));
        // Used before, while and after it is changed.
        let (before, after) = rest.split_at(rest.len() / 16 * 8);
        let file = File::options().write(true).open(Path::new("/dev/shm").join(&name)).expect("just made");
        if let Ok(producer) = &mut producer {
            for _ in 0..choice >> 3 & 7 {
                let _ = producer.publish(tick.as_words());
            }
        }
        change(&file, before, ring.layout().total_bytes());
        if let Ok(mut consumer) = consumer {
            poll(&mut consumer);
        }
        drop(producer);
        change(&file, after, ring.layout().total_bytes());
        attach_and_use(&name);
        use_ring(&ring);
    }
    let _ = LockFreeRingBuffer::unlink(&name);
}

fn change(file: &File, changes: &[u8], bytes: usize) {
    for change in changes.as_chunks::<8>().0 {
        let word = usize::from(u16::from_le_bytes([change[0], change[1]])) % (bytes / 8);
        let small = u64::from(u32::from_le_bytes([change[2], change[3], change[4], change[5]]));
        let value = match change[6] % 6 {
            0 => small,
            1 => u64::MAX - small,
            2 => (1 << (change[7] % 64)) + small,
            3 => (1_u64 << (change[7] % 64)).wrapping_sub(small),
            4 => small << 32 | small,
            _ => small << 16 | u64::from(change[7]),
        };
        file.write_all_at(&value.to_le_bytes(), word as u64 * 8).expect("inside of the segment");
    }
}

fn attach_and_use(name: &str) {
    let Ok(ring) = LockFreeRingBuffer::open(name) else { return };
    // Whatever the header says, it is not larger than the file.
    assert!(
        ring.layout().total_bytes()
            <= std::fs::metadata(Path::new("/dev/shm").join(name)).map_or(0, |file| file.len() as usize)
    );
    use_ring(&ring);
}

fn use_ring(ring: &LockFreeRingBuffer) {
    let _ = ring.stats();
    let mut names = PublisherNames::default();
    let consumers = [(Start::Newest, false), (Start::Oldest, false), (Start::Oldest, true)]
        .map(|(from, register)| ring.consumer(ConsumerOptions::new("reader").from(from).register(register)));
    let mut consumers: Vec<_> = consumers.into_iter().filter_map(Result::ok).collect();
    consumers.iter_mut().for_each(poll);
    for lane in 0..ring.layout().lanes + 1 {
        let publisher = names.of(ring, lane);
        let _ = names.name(publisher);
    }
    let words = vec![0x0003; ring.layout().slot_words()];
    if let Ok(mut producer) = ring.producer("writer") {
        for _ in 0..2 * ring.layout().capacity.min(64) {
            let _ = producer.publish(&words);
        }
        let _ = producer.publish_batch([words.as_slice(), &words]);
        consumers.iter_mut().for_each(poll);
    }
    if ring.layout().kind == Kind::Ticks && ring.layout().slot_words() < 1000 {
        encode(ring);
    }
    let _ = (ring.stats(), ring.is_in_use(), ring.is_current());
}

fn poll(consumer: &mut Consumer) {
    let slot_words = consumer.ring().layout().slot_words();
    let most = 2 * consumer.ring().layout().lanes * consumer.ring().layout().capacity;
    for _ in 0..3 {
        let count = consumer.poll_words(usize::MAX, |record| assert_eq!(record.len(), slot_words));
        assert!(count <= most, "{count} messages out of {most} slots");
    }
    // Who is told that there is something finds it: a doorbell that rings for nothing rings for ever.
    let seen = |consumer: &Consumer| (consumer.received(), consumer.lost(), consumer.corrupt());
    let (ready, before) = (consumer.is_ready(), seen(consumer));
    consumer.poll_words(1, |_| {});
    assert!(!ready || seen(consumer) != before, "ready for nothing");
    let _ = consumer.lag();
}

fn encode(ring: &LockFreeRingBuffer) {
    let Ok(consumer) = ring.consumer(ConsumerOptions::new("encoder").from(Start::Oldest)) else { return };
    let mut encoder = TickEncoder::new(consumer);
    encoder.want_exchange(openalgo_shm_core::ANY, u8::MAX);
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
