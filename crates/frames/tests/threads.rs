//! Encoders, a feed and a topic table as threads on heap memory: what Miri and ThreadSanitizer watch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openalgo_shm_frames::{ANY, TickEncoder, Topic, TopicTable};
use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode, TopicName};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, RingConfig};

const MESSAGES: u64 = if cfg!(miri) { 20 } else { 10_000 };
const ROUNDS: u64 = if cfg!(miri) { 30 } else { 20_000 };
const THREADS: u64 = 4;
/// Few, so that threads meet.
const NAMES: u64 = 5;

#[test]
fn encoders_read_while_a_feed_writes() {
    let config = RingConfig::mpmc().lanes(1).consumers(2).topics(8).buffer_size(32 * 64);
    let ring = LockFreeRingBuffer::on_heap(config).unwrap();
    let table = TopicTable::new();
    let consumers = ["one", "other"].map(|name| ring.consumer(ConsumerOptions::new(name)).unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut producer = ring.producer("feed").unwrap();
            let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Quote).unwrap();
            for number in 0..MESSAGES {
                tick.set(Field::Ltp, number as f64).set(Field::Open, number as f64);
                producer.publish(tick.as_words()).unwrap();
            }
        });
        for consumer in consumers {
            let table = table.clone();
            scope.spawn(move || {
                let mut encoder = TickEncoder::new(consumer, table);
                encoder.want_exchange(ANY, 1 << Mode::Ltp as u8);
                let (mut arena, mut entries) = (vec![0; 4 * encoder.longest_tick()], Vec::new());
                while encoder.consumer().positions()[0] < MESSAGES {
                    entries.clear();
                    encoder.drain(&mut arena, &mut entries);
                    assert!(entries.iter().all(|entry| entry.topic == 0));
                }
                let consumer = encoder.consumer();
                assert_eq!((consumer.received() + consumer.lost(), consumer.corrupt()), (MESSAGES, 0));
            });
        }
    });
    assert_eq!(table.ticked_count(), 1);
}

fn name(number: u64) -> TopicName {
    TopicName::new("NSE", &number.to_string()).unwrap()
}

/// Takes a topic and marks its number with its name, gives the oldest of three back, and looks at the others' numbers.
fn take_turn(table: &TopicTable, owners: &[AtomicU64], number: u64, held: &mut Vec<Arc<Topic>>) {
    let topic = table.ask(&name(number)).unwrap();
    assert_eq!(*topic.name(), name(number));
    let owner = &owners[topic.number() as usize];
    owner.store(number, Ordering::Relaxed);
    held.push(topic);
    if held.len() > 2 {
        held.remove(0);
    }
    for topic in held {
        let owner = owners[topic.number() as usize].load(Ordering::Relaxed);
        assert_eq!(topic.symbol(), owner.to_string(), "two topics with one number");
        let found = table.find(topic.name()).expect("it is held");
        assert!(Arc::ptr_eq(&found, topic), "two topics with one name");
    }
}

#[test]
fn no_two_topics_have_a_number_at_once_however_threads_ask_and_drop() {
    let table = TopicTable::new();
    let owners: Vec<AtomicU64> = (0..=NAMES * THREADS).map(|_| AtomicU64::new(0)).collect();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (table, owners) = (&table, &owners);
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..ROUNDS {
                    take_turn(table, owners, (round * (thread + 1) + thread) % NAMES, &mut held);
                }
            });
        }
    });
    assert!((0..NAMES).all(|number| table.find(&name(number)).is_none()));
    let again: Vec<_> = (0..NAMES).map(|number| table.ask(&name(number)).unwrap().number()).collect();
    assert_eq!(again, [0; NAMES as usize], "all numbers are free again");
}

#[test]
fn a_topic_that_ticks_while_others_ask_and_drop_it_has_one_number_for_good() {
    for _ in 0..ROUNDS / 20 {
        let table = TopicTable::new();
        let (asked, ticked) = std::thread::scope(|scope| {
            let asker = scope.spawn(|| {
                drop(table.ask(&name(1)));
                table.ask(&name(1)).unwrap()
            });
            let encoders = [(); 2].map(|()| scope.spawn(|| table.intern_ticked(&name(1)).unwrap()));
            (asker.join().unwrap(), encoders.map(|encoder| encoder.join().unwrap()))
        });
        assert!(ticked.iter().chain(&table.ticked(0, 2)).all(|topic| Arc::ptr_eq(topic, &asked)));
        assert!(asked.has_ticked() && table.ticked_count() == 1);
    }
}
