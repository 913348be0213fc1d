//! What the encoder keeps of topics, and what it says of itself.

use std::sync::Arc;

use openalgo_shm_frames::{ANY, Drained, MAX_TOPICS, MOST_ENTRIES, TickEncoder, Topic, TopicTable};
use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode, SYNONYMS, TopicName};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, MessageCounts, RingConfig, Start, clock};

const LTP_AS_JSON: u8 = 1 << Mode::Ltp as u8;

fn ring() -> LockFreeRingBuffer {
    LockFreeRingBuffer::on_heap(RingConfig::mpmc().lanes(1).consumers(2).buffer_size(4096 * 64)).unwrap()
}

fn encoder(ring: &LockFreeRingBuffer, table: &TopicTable) -> TickEncoder {
    TickEncoder::new(ring.consumer(ConsumerOptions::new("encoder")).unwrap(), table.clone())
}

fn name(symbol: &str) -> TopicName {
    TopicName::new("NSE", symbol).unwrap()
}

fn ask(table: &TopicTable, symbol: &str) -> Arc<Topic> {
    table.ask(&name(symbol)).unwrap()
}

fn tick(symbol: &str) -> MarketDataMessage {
    let mut tick = MarketDataMessage::new("NSE", symbol, Mode::Ltp).unwrap();
    tick.set(Field::Ltp, 1.0);
    tick
}

/// The topics of the frames of all that is in the ring.
fn drain(encoder: &mut TickEncoder) -> Vec<u32> {
    let mut arena = vec![0; 16 * encoder.longest_tick()];
    let mut entries = Vec::new();
    while encoder.drain(&mut arena, &mut entries).is_full {}
    entries.iter().map(|entry| entry.topic).collect()
}

const fn is_send<T: Send>() {}
const _: () = is_send::<TickEncoder>();

#[test]
fn a_topic_that_never_ticked_here_is_kept_only_as_long_as_it_is_wanted() {
    let (ring, table) = (ring(), TopicTable::new());
    let [mut encoder, mut other] = [(); 2].map(|()| encoder(&ring, &table));
    let topic = ask(&table, "TCS");
    encoder.want(&topic, LTP_AS_JSON);
    other.want(&topic, LTP_AS_JSON);
    let number = topic.number();
    drop(topic);
    assert_eq!(encoder.topic(number).unwrap().symbol(), "TCS");
    encoder.want(&ask(&table, "TCS"), 0);
    assert!(encoder.topic(number).is_none());
    assert!(table.find(&name("TCS")).is_some(), "the other encoder wants it");
    other.want(&ask(&table, "TCS"), 0);
    assert!(table.find(&name("TCS")).is_none());
}

#[test]
fn a_topic_that_ticked_in_one_encoder_alone_leaves_the_other_but_keeps_its_number() {
    let (rings, table) = ([ring(), ring()], TopicTable::new());
    let [mut encoder, mut other] = rings.each_ref().map(|ring| encoder(ring, &table));
    let topic = ask(&table, "TCS");
    other.want(&topic, LTP_AS_JSON);
    rings[0].producer("feed").unwrap().publish(tick("TCS").as_words()).unwrap();
    drain(&mut encoder);
    other.want(&topic, 0);
    assert!(encoder.topic(topic.number()).is_some() && other.topic(topic.number()).is_none());
    assert!(topic.has_ticked() && Arc::ptr_eq(&table.find(&name("TCS")).unwrap(), &topic));
}

#[test]
fn a_number_given_again_means_its_new_topic_alone() {
    let (ring, table) = (ring(), TopicTable::new());
    let mut encoder = encoder(&ring, &table);
    let mut producer = ring.producer("feed").unwrap();
    let [first, second] = ["A", "B"].map(|symbol| ask(&table, symbol));
    encoder.want(&first, LTP_AS_JSON);
    encoder.want(&second, LTP_AS_JSON);
    encoder.want(&first, 0);
    let number = first.number();
    drop(first);
    let third = ask(&table, "C");
    assert_eq!(third.number(), number);
    encoder.want(&third, LTP_AS_JSON);
    for symbol in ["A", "C", "B"] {
        producer.publish(tick(symbol).as_words()).unwrap();
    }
    assert_eq!(drain(&mut encoder), [number, second.number()], "nobody wants A any more");
    assert_eq!(encoder.topic(number).unwrap().symbol(), "C");
}

#[test]
fn a_topic_that_has_ticked_keeps_its_number_and_its_last_values() {
    let (ring, table) = (ring(), TopicTable::new());
    let mut encoder = encoder(&ring, &table);
    let mut producer = ring.producer("feed").unwrap();
    let topic = ask(&table, "TCS");
    encoder.want(&topic, LTP_AS_JSON);
    producer.publish(tick("TCS").as_words()).unwrap();
    assert_eq!(drain(&mut encoder), [topic.number()]);
    encoder.want(&topic, 0);
    assert!(Arc::ptr_eq(&ask(&table, "TCS"), &topic));
    assert!(encoder.snapshot(topic.number(), Mode::Ltp as u8, None, &mut Vec::new()));
    assert_eq!(table.ticked(0, 10).iter().map(|topic| topic.symbol()).collect::<Vec<_>>(), ["TCS"]);
}

#[test]
fn a_drain_says_what_it_read_and_whether_the_ring_may_hold_more() {
    let (ring, table) = (ring(), TopicTable::new());
    let mut encoder = encoder(&ring, &table);
    let mut producer = ring.producer("feed").unwrap();
    let mut publish =
        |count| (0..count).for_each(|_| assert!(producer.publish(tick("TCS").as_words()).unwrap()));
    let (mut arena, mut entries) = (vec![0; 2 * encoder.longest_tick()], Vec::new());
    assert_eq!(encoder.drain(&mut arena, &mut entries), Drained::default());
    publish(70);
    let unwanted = Drained { ticks: 70, entries: 0, is_full: false };
    assert_eq!(encoder.drain(&mut arena, &mut entries), unwanted, "what nobody wants takes no room");
    encoder.want_exchange(ANY, LTP_AS_JSON | LTP_AS_JSON << 4);
    publish(100);
    let mut ticks = 0;
    loop {
        let before = entries.len();
        let drained = encoder.drain(&mut arena, &mut entries);
        let new = &entries[before..];
        assert_eq!((new.len(), drained.entries), (2 * drained.ticks, drained.entries));
        assert!(new.chunks(2).all(|tick| (tick[0].variant, tick[1].variant) == (5, 1)));
        assert!(new.chunks(2).all(|tick| tick[0].is_first && !tick[1].is_first));
        assert!(new.windows(2).all(|pair| pair[0].offset + pair[0].length == pair[1].offset));
        assert!(new.iter().all(|entry| (entry.offset + entry.length) as usize <= arena.len()));
        assert!(new.chunks(2).all(|tick| tick[0].publish_ns == tick[1].publish_ns && tick[0].publish_ns > 0));
        ticks += drained.ticks;
        if !drained.is_full {
            break;
        }
    }
    assert_eq!((ticks, entries.len()), (100, 200));
    let too_small = &mut arena[..encoder.longest_tick() - 1];
    assert_eq!(encoder.drain(too_small, &mut entries), Drained { is_full: true, ..Drained::default() });
}

#[test]
fn a_drain_ends_although_the_ring_holds_more_than_it_may_append() {
    let (ring, table) = (
        LockFreeRingBuffer::on_heap(RingConfig::mpmc().lanes(1).consumers(1).buffer_size(1 << 22)).unwrap(),
        TopicTable::new(),
    );
    let mut encoder = encoder(&ring, &table);
    let mut producer = ring.producer("feed").unwrap();
    let (mut arena, mut entries) = (vec![0; 1 << 25], Vec::new());
    for (variants, frames) in [(0, 0), (LTP_AS_JSON, 1), (LTP_AS_JSON | LTP_AS_JSON << 4, 2)] {
        encoder.want_exchange(ANY, variants);
        let published = MOST_ENTRIES + 1_000;
        let ticks = std::iter::repeat_n(tick("TCS"), published).collect::<Vec<_>>();
        producer.publish_batch(ticks.iter().map(MarketDataMessage::as_words)).unwrap();
        let mut read = 0;
        loop {
            entries.clear();
            let drained = encoder.drain(&mut arena, &mut entries);
            assert!(drained.ticks <= MOST_ENTRIES && drained.entries <= MOST_ENTRIES);
            assert_eq!((drained.entries, entries.len()), (frames * drained.ticks, frames * drained.ticks));
            read += drained.ticks;
            if !drained.is_full {
                break;
            }
        }
        assert_eq!(read, published);
    }
}

#[test]
fn frames_and_last_values_have_the_names_under_which_a_field_came() {
    let (ring, table) = (ring(), TopicTable::new());
    let mut encoder = encoder(&ring, &table);
    let mut producer = ring.producer("feed").unwrap();
    let topic = ask(&table, "TCS");
    encoder.want(&topic, LTP_AS_JSON | 1 << Mode::Quote as u8);
    let mut quote: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
    quote.set(Field::Ltp, 7.0).set(Field::Open, 8.0);
    let number = |name| SYNONYMS.iter().position(|synonym| synonym.1 == name).unwrap();
    quote.set_synonym(number("last_price")).unwrap().set_synonym(number("open_price")).unwrap();
    let (mut arena, mut entries) = (vec![0; 1 << 20], Vec::new());
    // The second takes the memory of the first; what comes in another mode changes nothing.
    for tick in [&quote, &quote, &tick("TCS")] {
        producer.publish(tick.as_words()).unwrap();
        entries.clear();
        let count = encoder.drain(&mut arena, &mut entries).entries;
        for entry in &entries {
            let frame = &arena[entry.offset as usize..][..entry.length as usize];
            let frame = String::from_utf8_lossy(frame);
            let is_quote = tick.view().mode() == Mode::Quote;
            assert_eq!(frame.contains(r#","last_price":7,"open_price":8},"#), is_quote, "{frame}");
        }
        assert_eq!(count, tick.view().mode() as usize);
        let mut snapshot = Vec::new();
        assert!(encoder.snapshot(topic.number(), Mode::Quote as u8, None, &mut snapshot));
        let snapshot = String::from_utf8_lossy(&snapshot).into_owned();
        assert!(snapshot.contains(r#","last_price":7,"open_price":8},"#), "{snapshot}");
    }
}

#[test]
fn lanes_that_number_their_topics_differently_name_the_same_topics() {
    let config = RingConfig::mpmc().lanes(2).consumers(1).buffer_size(4096 * 64);
    let rings = [(); 2].map(|()| LockFreeRingBuffer::on_heap(config).unwrap());
    let table = TopicTable::new();
    let mut encoder = encoder(&rings[0], &table);
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
                    topics.iter().map(|&topic| encoder.topic(topic).unwrap().symbol()).collect();
                assert_eq!(names, symbols);
            }
        }
    }
    assert_eq!(table.ticked_count(), 4);
}

#[test]
fn no_name_that_is_only_asked_for_takes_the_place_of_one_that_ticks() {
    let (ring, table) = (ring(), TopicTable::new());
    let mut encoder = encoder(&ring, &table);
    let mut producer = ring.producer("feed").unwrap();
    encoder.want_exchange(ANY, LTP_AS_JSON);
    for number in 0..MAX_TOPICS {
        encoder.want(&ask(&table, &number.to_string()), LTP_AS_JSON);
    }
    assert!(table.ask(&name("ONE MORE")).is_none());
    producer.publish(tick("RELIANCE").as_words()).unwrap();
    assert_eq!((drain(&mut encoder), encoder.dropped()), (vec![MAX_TOPICS as u32], 0));
    assert_eq!(ask(&table, "RELIANCE").number(), MAX_TOPICS as u32);
    encoder.want(&ask(&table, "7"), 0);
    assert_eq!(ask(&table, "ONE MORE").number(), 7);
}

#[test]
fn ticks_of_more_topics_than_are_kept_are_counted_and_dropped() {
    let config = RingConfig::mpmc().lanes(2).consumers(1).topics(MAX_TOPICS);
    let ring = LockFreeRingBuffer::on_heap(config).unwrap();
    let table = TopicTable::new();
    let mut encoder = encoder(&ring, &table);
    let [mut producer, mut other] = ["feed", "other"].map(|name| ring.producer(name).unwrap());
    let asked = ask(&table, "ASKED");
    encoder.want(&asked, LTP_AS_JSON);
    for first in (0..MAX_TOPICS).step_by(1024) {
        let ticks: Vec<MarketDataMessage> =
            (first..first + 1024).map(|name| tick(&name.to_string())).collect();
        producer.publish_batch(ticks.iter().map(MarketDataMessage::as_words)).unwrap();
        assert_eq!(drain(&mut encoder), [0; 0]);
    }
    assert_eq!((table.ticked_count(), encoder.dropped()), (MAX_TOPICS, 0));
    for symbol in ["ASKED", "NEW", "7", "NEW"] {
        other.publish(tick(symbol).as_words()).unwrap();
    }
    drain(&mut encoder);
    assert_eq!(encoder.dropped(), 3);
    assert!(!encoder.snapshot(asked.number(), Mode::Ltp as u8, None, &mut Vec::new()));
}

#[test]
fn the_latency_of_a_tick_lasts_until_it_is_read_however_many_are_before_it() {
    let ring = ring();
    let mut producer = ring.producer("feed").unwrap();
    let (mut arena, mut entries) = (vec![0; 64 << 20], Vec::new());
    // Latencies are recorded to a hundredth: more rounds if this thread was away for long before it drained.
    let grew = (0..100).any(|_| {
        let mut encoder = encoder(&ring, &TopicTable::new());
        encoder.want_exchange(ANY, u8::MAX);
        let stamp = clock::monotonic_ns();
        for _ in 0..4_000 {
            producer.write(tick("TCS").as_words(), stamp).unwrap();
        }
        producer.flush();
        assert_eq!(encoder.drain(&mut arena, &mut entries).entries, 2 * 4_000);
        let latency = encoder.latency();
        assert_eq!(latency.len(), 4_000);
        latency.max() > latency.value_at_quantile(0.5)
    });
    assert!(grew, "all ticks of a drain have the same latency");
}

#[test]
fn a_ring_made_anew_ends_no_account_and_what_was_left_in_the_old_one_is_lost() {
    let rings = [ring(), ring()];
    let mut encoder = encoder(&rings[0], &TopicTable::new());
    encoder.want_exchange(ANY, LTP_AS_JSON);
    // Room for some hundred frames.
    let (mut arena, mut entries) = (vec![0; 2 * encoder.longest_tick()], Vec::new());
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
    assert!(encoder.drain(&mut arena, &mut entries).entries > 0);
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
