//! What the library does with a segment that another process filled with anything.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use openalgo_shm_ring::layout::{Kind, LINE, Policy};
use openalgo_shm_ring::message::{DepthLevel, Field, Head, MarketDataMessage, MessageView, Mode};
use openalgo_shm_ring::stats::PublisherNames;
use openalgo_shm_ring::{Consumer, ConsumerOptions, LockFreeRingBuffer, Producer, RingConfig, Start};

/// Words of the longest message that is no tick: three lines.
const WORDS: usize = 18;

/// A ring of one of eight shapes, small enough that every word of it is reached.
fn config(choice: u8) -> RingConfig {
    let policy = if choice & 1 == 0 { Policy::Overwrite } else { Policy::Lossless };
    let ring = RingConfig::mpmc().lanes(2).consumers(2).policy(policy);
    let ring =
        if choice & 2 == 0 { ring.depth_levels(1).topics(4) } else { ring.of_kind(Kind::Interest, WORDS) };
    ring.buffer_size(LINE * if choice & 4 == 0 { 32 } else { 64 })
}

/// A tick of one line, seven or twelve, of one of six topics: more than the table of a lane has room for.
fn tick(number: usize) -> MarketDataMessage<1> {
    let mut tick =
        MarketDataMessage::<1>::new("NSE", &format!("S{}", number % 6), Mode::Quote).expect("valid");
    tick.set(Field::Ltp, 1.0);
    if number % 2 == 1 {
        for field in Field::ALL {
            tick.set(field, 2.0);
        }
        let level = [DepthLevel::default()];
        tick.set_depth(&level, &level).expect("room for a level");
        tick.set_synonym(0).and_then(|tick| tick.set_synonym(64)).expect("both exist");
    }
    tick
}

/// Uses the input as a segment: byte 0 says how. Either all that follows is the segment, or a sound
/// segment is made and changed, eight bytes at a time: every change is two bytes of word number and six
/// of its value, spread so that small numbers, huge numbers and neighbours of the limits are all near.
///
/// `encode` is what the caller does with a ring of ticks beside publishing and reading.
pub fn use_as_segment(label: &str, input: &[u8], encode: impl Fn(&LockFreeRingBuffer)) {
    let Some((&choice, rest)) = input.split_first() else { return };
    let name = format!("{label}-{}", std::process::id());
    let _ = LockFreeRingBuffer::unlink(&name);
    if choice & 0x80 == 0 {
        if std::fs::write(Path::new("/dev/shm").join(&name), rest).is_ok() {
            attach_and_use(&name, &encode);
        }
    } else {
        let ring = LockFreeRingBuffer::create(&name, config(choice)).expect("room for a small segment");
        let (mut producer, consumer) = (ring.producer("p"), ring.consumer(ConsumerOptions::new("c")));
        // Used before, while and after it is changed.
        let (before, after) = rest.split_at(rest.len() / 16 * 8);
        let file = File::options().write(true).open(Path::new("/dev/shm").join(&name)).expect("just made");
        if let Ok(producer) = &mut producer {
            for number in 0..usize::from(choice >> 3 & 7) {
                let _ = publish(producer, number);
            }
        }
        change(&file, before, ring.layout().total_bytes());
        if let Ok(mut consumer) = consumer {
            poll(&mut consumer);
        }
        drop(producer);
        change(&file, after, ring.layout().total_bytes());
        attach_and_use(&name, &encode);
        use_ring(&ring, &encode);
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

fn attach_and_use(name: &str, encode: impl Fn(&LockFreeRingBuffer)) {
    let Ok(ring) = LockFreeRingBuffer::open(name) else { return };
    // Whatever the header says, it is not larger than the file.
    assert!(
        ring.layout().total_bytes()
            <= std::fs::metadata(Path::new("/dev/shm").join(name)).map_or(0, |file| file.len() as usize)
    );
    use_ring(&ring, encode);
}

fn use_ring(ring: &LockFreeRingBuffer, encode: impl Fn(&LockFreeRingBuffer)) {
    let _ = ring.stats();
    let mut names = PublisherNames::default();
    let consumers = [(Start::Newest, false), (Start::Oldest, false), (Start::Oldest, true)]
        .map(|(from, register)| ring.consumer(ConsumerOptions::new("reader").from(from).register(register)));
    let mut consumers: Vec<_> = consumers.into_iter().filter_map(Result::ok).collect();
    consumers.iter_mut().for_each(poll);
    for lane in 0..ring.layout().lanes + 1 {
        let publisher = names.of(ring.segment(), lane);
        let _ = names.name(publisher);
    }
    if let Ok(mut producer) = ring.producer("writer") {
        for number in 0..2 * ring.layout().capacity.min(64) {
            let _ = publish(&mut producer, number);
        }
        consumers.iter_mut().for_each(poll);
    }
    if ring.layout().kind == Kind::Ticks && ring.layout().longest < 100 {
        encode(ring);
    }
    let _ = (ring.stats(), ring.is_in_use(), ring.is_current());
}

fn publish(producer: &mut Producer, number: usize) -> bool {
    let layout = *producer.segment().layout();
    if layout.kind == Kind::Ticks {
        let tick = tick(number);
        let _ = producer.publish_batch([tick.as_words()]);
        let topic = producer.topic("NSE", "S0");
        return topic.and_then(|topic| producer.publish_to(topic, tick.as_words())).unwrap_or(false);
    }
    let words = vec![3; 4 + layout.longest_rest()];
    let words = &words[..words.len() - number % words.len()];
    let _ = producer.publish_batch([words]);
    producer.publish(words).unwrap_or(false)
}

fn poll(consumer: &mut Consumer) {
    let layout = *consumer.segment().layout();
    let most = 2 * layout.lanes * layout.capacity;
    let mut heads = vec![Head::default(); 8];
    let mut rest = vec![0; 4 * layout.longest_rest()];
    for _ in 0..3 {
        let count = poll_all(consumer, usize::MAX);
        assert!(count <= most, "{count} messages out of {most} lines");
        if layout.kind == Kind::Ticks {
            let count = consumer.poll_into(&mut heads, &mut rest);
            heads[..count].iter().for_each(|head| check(consumer.view(head, &rest), layout.depth_levels));
        }
    }
    // A reader that is told of a message finds one: a doorbell that rings for nothing rings for ever.
    let seen = |consumer: &Consumer| (consumer.received(), consumer.lost(), consumer.corrupt());
    let (ready, before) = (consumer.is_ready(), seen(consumer));
    poll_all(consumer, 1);
    assert!(!ready || seen(consumer) != before, "ready for nothing");
    let _ =
        (consumer.lag(), consumer.positions(), consumer.topic_name(0, 0), consumer.topic_name(99, u32::MAX));
}

fn poll_all(consumer: &mut Consumer, max: usize) -> usize {
    let layout = *consumer.segment().layout();
    if layout.kind == Kind::Ticks {
        consumer.poll(max, |tick| check(tick, layout.depth_levels))
    } else {
        let longest = 4 + layout.longest_rest();
        consumer.poll_words(max, |record| {
            assert!(record.len() <= longest);
            assert_eq!(record.words().count(), record.len());
        })
    }
}

/// Whatever is in it, a tick that is shown has a name, and all that it says it has.
fn check(tick: MessageView, depth: usize) {
    assert!(tick.buys().len() <= depth && tick.sells().len() <= depth);
    assert_eq!(tick.buys().len() + tick.sells().len(), tick.levels());
    let mut fields = 0;
    tick.for_each_field(|field, value| {
        assert_eq!(tick.field(field).map(f64::to_bits), Some(value.to_bits()));
        fields += 1;
    });
    assert_eq!(fields, Field::ALL.iter().filter(|&&field| tick.field(field).is_some()).count());
    let _ = (tick.mode(), tick.exchange(), tick.symbol(), tick.publish_ns(), tick.synonyms(), tick.parts());
}
