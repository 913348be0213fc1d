//! What the encoder keeps of topics, and what it says of itself.

use openalgo_shm_frames::{ANY, MAX_TOPICS, TickEncoder};
use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode, SYNONYMS};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, MessageCounts, RingConfig, Start, clock};

const LTP_AS_JSON: u8 = 1 << Mode::Ltp as u8;

fn ring() -> LockFreeRingBuffer {
    LockFreeRingBuffer::on_heap(RingConfig::mpmc().lanes(1).consumers(2).buffer_size(4096 * 64)).unwrap()
}

fn encoder(ring: &LockFreeRingBuffer) -> TickEncoder {
    TickEncoder::new(ring.consumer(ConsumerOptions::new("encoder")).unwrap())
}

fn tick(symbol: &str) -> MarketDataMessage {
    let mut tick = MarketDataMessage::new("NSE", symbol, Mode::Ltp).unwrap();
    tick.set(Field::Ltp, 1.0);
    tick
}

/// The topics of the frames of all that is in the ring.
fn drain(encoder: &mut TickEncoder) -> Vec<i32> {
    let mut arena = vec![0; 16 * encoder.longest_tick()];
    let (mut entries, mut stamps) = (vec![0; 4096], vec![0.0; 1024]);
    let mut topics = Vec::new();
    while encoder.consumer().lag() > 0 {
        let count = encoder.drain(&mut arena, &mut entries, &mut stamps);
        topics.extend(entries.iter().step_by(4).take(count));
    }
    topics
}

#[test]
fn names_that_are_wanted_no_more_leave_nothing_behind() {
    let ring = ring();
    let mut encoder = encoder(&ring);
    let kept = encoder.topic("NSE", "KEPT").unwrap().unwrap();
    encoder.want(kept, LTP_AS_JSON);
    for round in 0..100 {
        let asked: Vec<u32> = (0..3_000)
            .map(|name| encoder.topic("NSE", &format!("INVENTED{round}-{name}")).unwrap().unwrap())
            .inspect(|&topic| assert_ne!(topic, kept))
            .collect();
        asked.iter().for_each(|&topic| encoder.want(topic, LTP_AS_JSON));
        asked.iter().for_each(|&topic| encoder.want(topic, 0));
        assert_eq!(encoder.find_topic("NSE", &format!("INVENTED{round}-7")), None);
        assert_eq!(encoder.topic_name(asked[0]), None);
        assert_eq!(encoder.topic_count(), 1);
    }
    assert_eq!(encoder.find_topic("NSE", "KEPT"), Some(kept));
}

#[test]
fn a_number_given_again_means_its_new_topic_alone() {
    let ring = ring();
    let mut encoder = encoder(&ring);
    let mut producer = ring.producer("feed").unwrap();
    let [first, second] = ["A", "B"].map(|symbol| encoder.topic("NSE", symbol).unwrap().unwrap());
    encoder.want(first, LTP_AS_JSON);
    encoder.want(second, LTP_AS_JSON);
    encoder.want(first, 0);
    assert_eq!(encoder.topic("NSE", "C").unwrap(), Some(first));
    encoder.want(first, LTP_AS_JSON);
    for symbol in ["A", "C", "B"] {
        producer.publish(tick(symbol).as_words()).unwrap();
    }
    assert_eq!(drain(&mut encoder), [first as i32, second as i32], "nobody wants A any more");
    assert_eq!(encoder.topic_name(first), Some(("NSE", "C")));
}

#[test]
fn a_topic_that_has_ticked_keeps_its_number_and_its_last_tick() {
    let ring = ring();
    let mut encoder = encoder(&ring);
    let mut producer = ring.producer("feed").unwrap();
    let topic = encoder.topic("NSE", "TCS").unwrap().unwrap();
    encoder.want(topic, LTP_AS_JSON);
    producer.publish(tick("TCS").as_words()).unwrap();
    assert_eq!(drain(&mut encoder), [topic as i32]);
    encoder.want(topic, 0);
    assert_eq!(encoder.topic("NSE", "TCS").unwrap(), Some(topic));
    assert!(encoder.snapshot(topic, Mode::Ltp as u8, &mut Vec::new()));
    assert_eq!(encoder.ticked(), [topic]);
}

#[test]
fn frames_and_last_values_have_the_names_under_which_a_field_came() {
    let ring = ring();
    let mut encoder = encoder(&ring);
    let mut producer = ring.producer("feed").unwrap();
    let topic = encoder.topic("NSE", "TCS").unwrap().unwrap();
    encoder.want(topic, LTP_AS_JSON | 1 << Mode::Quote as u8);
    let mut quote: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
    quote.set(Field::Ltp, 7.0).set(Field::Open, 8.0);
    let number = |name| SYNONYMS.iter().position(|synonym| synonym.1 == name).unwrap();
    quote.set_synonym(number("last_price")).unwrap().set_synonym(number("open_price")).unwrap();
    let (mut arena, mut entries, mut stamps) = (vec![0; 1 << 20], vec![0; 4 * 64], vec![0.0; 64]);
    // The second takes the memory of the first; what comes in another mode changes nothing.
    for tick in [&quote, &quote, &tick("TCS")] {
        producer.publish(tick.as_words()).unwrap();
        let count = encoder.drain(&mut arena, &mut entries, &mut stamps);
        for entry in entries.as_chunks::<4>().0.iter().take(count) {
            let frame = &arena[entry[2] as usize..][..entry[3] as usize];
            let frame = String::from_utf8_lossy(frame);
            let is_quote = tick.view().mode() == Mode::Quote;
            assert_eq!(frame.contains(r#","last_price":7,"open_price":8},"#), is_quote, "{frame}");
        }
        assert_eq!(count, tick.view().mode() as usize);
        let mut snapshot = Vec::new();
        assert!(encoder.snapshot(topic, Mode::Quote as u8, &mut snapshot));
        let snapshot = String::from_utf8_lossy(&snapshot).into_owned();
        assert!(snapshot.contains(r#","last_price":7,"open_price":8},"#), "{snapshot}");
    }
}

#[test]
fn lanes_that_number_their_topics_differently_name_the_same_topics() {
    let config = RingConfig::mpmc().lanes(2).consumers(1).buffer_size(4096 * 64);
    let rings = [(); 2].map(|()| LockFreeRingBuffer::on_heap(config).unwrap());
    let mut encoder = encoder(&rings[0]);
    encoder.want_exchange(ANY, LTP_AS_JSON);
    // Every lane of both segments counts from 0.
    for (ring, orders) in rings.iter().zip([[["A", "B"], ["B", "C"]], [["C", "B"], ["A", "D"]]]) {
        encoder.reattach(ring.consumer(ConsumerOptions::new("encoder")).unwrap());
        let mut producers = ["feed", "other"].map(|name| ring.producer(name).unwrap());
        for _ in 0..2 {
            for (producer, symbols) in producers.iter_mut().zip(orders) {
                symbols.iter().for_each(|symbol| assert!(producer.publish(tick(symbol).as_words()).unwrap()));
                let topics = drain(&mut encoder);
                let names: Vec<_> =
                    topics.iter().map(|&topic| encoder.topic_name(topic as u32).unwrap().1).collect();
                assert_eq!(names, symbols);
            }
        }
    }
    assert_eq!(encoder.ticked().len(), 4);
}

#[test]
fn no_name_that_is_only_asked_for_takes_the_place_of_one_that_ticks() {
    let ring = ring();
    let mut encoder = encoder(&ring);
    let mut producer = ring.producer("feed").unwrap();
    encoder.want_exchange(ANY, LTP_AS_JSON);
    for name in 0..MAX_TOPICS {
        let topic = encoder.topic("X", &name.to_string()).unwrap().unwrap();
        encoder.want(topic, LTP_AS_JSON);
    }
    assert_eq!(encoder.topic("NSE", "ONE MORE").unwrap(), None);
    producer.publish(tick("RELIANCE").as_words()).unwrap();
    let reliance = MAX_TOPICS as u32;
    assert_eq!((drain(&mut encoder), encoder.dropped()), (vec![reliance as i32], 0));
    assert_eq!(encoder.topic("NSE", "RELIANCE").unwrap(), Some(reliance));
    encoder.want(7, 0);
    assert_eq!(encoder.topic("NSE", "ONE MORE").unwrap(), Some(7));
}

#[test]
fn ticks_of_more_topics_than_are_kept_are_counted_and_dropped() {
    let config = RingConfig::mpmc().lanes(2).consumers(1).topics(MAX_TOPICS);
    let ring = LockFreeRingBuffer::on_heap(config).unwrap();
    let mut encoder = encoder(&ring);
    let [mut producer, mut other] = ["feed", "other"].map(|name| ring.producer(name).unwrap());
    let asked = encoder.topic("NSE", "ASKED").unwrap().unwrap();
    for first in (0..MAX_TOPICS).step_by(1024) {
        let ticks: Vec<MarketDataMessage> =
            (first..first + 1024).map(|name| tick(&name.to_string())).collect();
        producer.publish_batch(ticks.iter().map(MarketDataMessage::as_words)).unwrap();
        assert_eq!(drain(&mut encoder), [0; 0]);
    }
    assert_eq!((encoder.ticked().len(), encoder.dropped()), (MAX_TOPICS, 0));
    for symbol in ["ASKED", "NEW", "7", "NEW"] {
        other.publish(tick(symbol).as_words()).unwrap();
    }
    drain(&mut encoder);
    assert_eq!(encoder.dropped(), 3);
    assert!(!encoder.snapshot(asked, Mode::Ltp as u8, &mut Vec::new()));
}

#[test]
fn the_latency_of_a_tick_lasts_until_it_is_read_however_many_are_before_it() {
    let ring = ring();
    let mut encoder = encoder(&ring);
    encoder.want_exchange(ANY, u8::MAX);
    let mut producer = ring.producer("feed").unwrap();
    let (mut arena, mut entries, mut stamps) = (vec![0; 8 << 20], vec![0; 4 * 16_384], vec![0.0; 16_384]);
    // Latencies are recorded to a hundredth: more rounds if this thread was away for long before it drained.
    let grew = (0..100).any(|_| {
        let stamp = clock::monotonic_ns();
        for _ in 0..4_000 {
            producer.write(tick("TCS").as_words(), stamp).unwrap();
        }
        producer.flush();
        assert_eq!(encoder.drain(&mut arena, &mut entries, &mut stamps), 2 * 4_000);
        let latency = encoder.latency(true);
        assert_eq!(latency.count, 4_000);
        latency.max > latency.p50
    });
    assert!(grew, "all ticks of a drain have the same latency");
}

#[test]
fn a_ring_made_anew_ends_no_account_and_what_was_left_in_the_old_one_is_lost() {
    let rings = [ring(), ring()];
    let mut encoder = encoder(&rings[0]);
    encoder.want_exchange(ANY, LTP_AS_JSON);
    let (mut arena, mut entries, mut stamps) = (vec![0; 1 << 20], vec![0; 4 * 512], vec![0.0; 512]);
    let mut published = 0;
    let mut publish = |ring: &LockFreeRingBuffer, count: u64| {
        let mut producer = ring.producer("feed").unwrap();
        for _ in 0..count {
            producer.publish(tick("TCS").as_words()).unwrap();
        }
        published += count;
        published
    };
    // Lapped, a part read, a part left.
    publish(&rings[0], rings[0].layout().capacity as u64 + 1_000);
    assert!(encoder.drain(&mut arena, &mut entries, &mut stamps) > 0);
    let left = encoder.consumer().lag();
    let before = encoder.counts();
    assert!(left > 0 && before.lost > 0);
    publish(&rings[1], 4_000);
    let newer = rings[1].consumer(ConsumerOptions::new("encoder").from(Start::Oldest)).unwrap();
    encoder.reattach(newer);
    let skipped = encoder.consumer().positions()[0];
    assert!(skipped > 0);
    assert_eq!(encoder.counts(), MessageCounts { lost: before.lost + left + skipped, ..before });
    drain(&mut encoder);
    let MessageCounts { received, lost, corrupt } = encoder.counts();
    assert_eq!((received, corrupt), (before.received + 4_000 - skipped, 0));
    assert_eq!(received + lost, publish(&rings[1], 0));
}
