//! Lanes and consumer records: which one an owner gets, and which consumers a producer waits for.

mod scratch;

use openalgo_shm_ring::layout::Policy;
use openalgo_shm_ring::{ConsumerOptions, ErrorCode, LockFreeRingBuffer, RingConfig, Start};
use scratch::{plain, words};

fn ring(lanes: usize, consumers: usize, policy: Policy, capacity: usize) -> LockFreeRingBuffer {
    let config = plain(RingConfig::mpmc().lanes(lanes).consumers(consumers).policy(policy), capacity);
    LockFreeRingBuffer::on_heap(config).unwrap()
}

#[test]
fn when_all_lanes_are_taken_the_error_names_their_owners() {
    let ring = ring(2, 1, Policy::Overwrite, 4);
    let _zerodha = ring.producer("zerodha").unwrap();
    let angel = ring.producer("angel").unwrap();
    let error = ring.producer("dhan").err().unwrap();
    assert_eq!(error.code(), ErrorCode::NoFreeLane);
    let pid = std::process::id();
    assert!(error.message().contains(&format!("zerodha (pid {pid}), angel (pid {pid})")), "{error}");
    drop(angel);
    assert_eq!(ring.producer("dhan").unwrap().lane(), 1);
}

#[test]
fn a_publisher_that_returns_gets_its_lane_and_goes_on_with_its_sequences() {
    let ring = ring(3, 1, Policy::Overwrite, 4);
    let mut first = ring.producer("first").unwrap();
    let second = ring.producer("second").unwrap();
    assert_eq!((first.lane(), second.lane()), (0, 1));
    first.publish(&[1]).unwrap();
    drop((first, second));
    assert_eq!(ring.producer("second").unwrap().lane(), 1, "its own");
    assert_eq!(ring.producer("new").unwrap().lane(), 2, "never used before others' lanes");
    let first = ring.producer("first").unwrap();
    assert_eq!((first.lane(), first.tail()), (0, 1));
}

#[test]
fn a_successor_goes_on_after_the_last_committed_message_however_many_were_not_flushed() {
    for unflushed in 0..20 {
        let ring = ring(1, 1, Policy::Overwrite, 4);
        let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
        let mut first = ring.producer("first").unwrap();
        for number in 0..unflushed {
            first.write(&[number], 0).unwrap();
        }
        drop(first);
        let mut second = ring.producer("second").unwrap();
        assert_eq!(second.tail(), unflushed);
        second.publish(&[unflushed]).unwrap();
        let mut last = None;
        consumer.poll_words(usize::MAX, |record| last = Some(words(record)[0]));
        assert_eq!(last, Some(unflushed), "a reader that was lapped finds the successor's message");
    }
}

#[test]
fn a_lossless_ring_refuses_while_its_registered_reader_needs_the_line() {
    let ring = ring(1, 2, Policy::Lossless, 4);
    let mut producer = ring.producer("writer").unwrap();
    let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    assert!((0..4).all(|number| producer.publish(&[number]).unwrap()));
    assert!(!producer.publish(&[4]).unwrap());
    assert_eq!(ring.stats().lanes[0].messages_rejected, 1);
    assert_eq!(producer.publish_batch(std::iter::repeat_n([0].as_slice(), 5)), Ok(0));
    assert_eq!(ring.stats().lanes[0].messages_rejected, 6);
    assert_eq!(reader.poll_words(1, |record| assert_eq!(words(record), [0])), 1);
    assert!(producer.publish(&[4]).unwrap());
    assert!(!producer.publish(&[5]).unwrap());
    drop(reader);
    assert!((0..100).all(|number| producer.publish(&[number]).unwrap()), "no consumer holds it back");
}

#[test]
fn a_batch_into_a_full_lossless_ring_says_how_many_it_took() {
    let ring = ring(1, 1, Policy::Lossless, 8);
    let mut producer = ring.producer("writer").unwrap();
    let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let messages: Vec<_> = (0..20).map(|number| [number]).collect();
    let mut sent = 0;
    let mut received = Vec::new();
    while sent < messages.len() {
        sent += producer.publish_batch(messages[sent..].iter().map(<[u64; 1]>::as_slice)).unwrap();
        reader.poll_words(5, |record| received.push(words(record)[0]));
    }
    reader.poll_words(usize::MAX, |record| received.push(words(record)[0]));
    assert_eq!(received, (0..20).collect::<Vec<_>>());
    assert_eq!(reader.lost(), 0);
}

#[test]
fn a_consumer_that_joins_a_lossless_ring_late_loses_nothing_from_then_on() {
    for before in 0..12 {
        let ring = ring(1, 2, Policy::Lossless, 4);
        let mut producer = ring.producer("writer").unwrap();
        (0..before).for_each(|number| assert!(producer.publish(&[number]).unwrap()));
        let mut reader = ring.consumer(ConsumerOptions::new("late")).unwrap();
        let sent = (before..before + 10).take_while(|number| producer.publish(&[*number]).unwrap()).count();
        assert_eq!(sent, 4, "a whole lane and no more");
        let mut received = Vec::new();
        reader.poll_words(usize::MAX, |record| received.push(words(record)[0]));
        assert_eq!(received, (before..before + 4).collect::<Vec<_>>());
        assert_eq!(reader.lost(), 0);
    }
}

#[test]
fn a_consumer_that_is_not_registered_holds_no_producer_back() {
    let ring = ring(1, 1, Policy::Lossless, 4);
    let mut producer = ring.producer("writer").unwrap();
    let mut watcher = ring.consumer(ConsumerOptions::new("watcher").register(false)).unwrap();
    assert!((0..10).all(|number| producer.publish(&[number]).unwrap()));
    let mut received = Vec::new();
    watcher.poll_words(usize::MAX, |record| received.push(words(record)[0]));
    assert_eq!((received, watcher.lost()), (vec![8, 9], 8));
}

#[test]
fn a_reader_that_joins_a_lossless_ring_at_its_oldest_message_loses_nothing_that_is_published_from_then_on() {
    for before in [0, 3, 40, 63, 64, 65, 100, 150, 1000] {
        let ring = ring(1, 2, Policy::Lossless, 64);
        let mut producer = ring.producer("writer").unwrap();
        (0..before).for_each(|number| assert!(producer.publish(&[number]).unwrap()));
        let mut reader = ring.consumer(ConsumerOptions::new("late").from(Start::Oldest)).unwrap();
        let mut number = before;
        while producer.publish(&[number]).unwrap() {
            number += 1;
        }
        let mut received = Vec::new();
        reader.poll_words(usize::MAX, |record| received.push(record.words().next().unwrap()));
        let new: Vec<u64> = received.into_iter().filter(|&number| number >= before).collect();
        assert_eq!(new, (before..number).collect::<Vec<_>>(), "{before} before");
    }
}

#[test]
fn consumer_records_run_out_only_for_those_that_need_one() {
    let full = ring(1, 1, Policy::Overwrite, 4);
    let _only = full.consumer(ConsumerOptions::new("only")).unwrap();
    assert!(!full.consumer(ConsumerOptions::new("another")).unwrap().is_registered());
    let must = full.consumer(ConsumerOptions::new("must").register(true));
    assert_eq!(must.err().map(|error| error.code()), Some(ErrorCode::NoFreeConsumer));

    let lossless = ring(1, 1, Policy::Lossless, 4);
    let _only = lossless.consumer(ConsumerOptions::new("only")).unwrap();
    let error = lossless.consumer(ConsumerOptions::new("another")).err().unwrap();
    assert_eq!(error.code(), ErrorCode::NoFreeConsumer);
    assert!(error.message().contains("all 1 consumer records"), "{error}");
}

#[test]
fn the_oldest_start_is_seven_eighths_of_the_ring_back() {
    let ring = ring(1, 1, Policy::Overwrite, 16);
    let mut producer = ring.producer("writer").unwrap();
    let oldest = || ring.consumer(ConsumerOptions::new("reader").from(Start::Oldest)).unwrap().positions()[0];
    (0..10).for_each(|number| assert!(producer.publish(&[number]).unwrap()));
    assert_eq!(oldest(), 0);
    (0..40).for_each(|number| assert!(producer.publish(&[number]).unwrap()));
    assert_eq!(oldest(), 50 - 14);
}

#[test]
fn lanes_are_read_in_turn_so_a_busy_one_starves_nobody() {
    let ring = ring(2, 1, Policy::Overwrite, 1024);
    let mut busy = ring.producer("busy").unwrap();
    let mut calm = ring.producer("calm").unwrap();
    let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    (0..1000).for_each(|number| assert!(busy.publish(&[number]).unwrap()));
    calm.publish(&[7]).unwrap();
    let mut lanes = Vec::new();
    reader.poll_words(200, |record| lanes.push(record.lane()));
    assert!(lanes.contains(&calm.lane()), "within the first turns");
}

#[test]
fn monitors_see_lanes_and_consumers_as_they_are() {
    let ring = ring(3, 2, Policy::Overwrite, 4);
    assert!(ring.stats().lanes.is_empty() && ring.stats().consumers.is_empty() && !ring.is_in_use());
    let mut producer = ring.producer("writer").unwrap();
    let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    (0..7).for_each(|number| assert!(producer.publish(&[number]).unwrap()));
    assert_eq!(ring.stats().consumers[0].lag, 7);
    reader.poll_words(usize::MAX, |_| {});
    let stats = ring.stats();
    let lane = &stats.lanes[0];
    assert_eq!((lane.publisher.as_str(), lane.alive, lane.messages_published), ("writer", true, 7));
    assert!(lane.last_publish_ns > 0 && lane.started_ns > 0);
    let consumer = &stats.consumers[0];
    assert_eq!((consumer.messages_received, consumer.messages_lost, consumer.lag), (2, 5, 0));
    drop((producer, reader));
    let stats = ring.stats();
    assert!(!stats.lanes[0].alive && stats.consumers.is_empty() && !ring.is_in_use());
}

#[test]
fn a_reader_whose_callback_panics_goes_on_with_the_next_message() {
    let ring = ring(1, 1, Policy::Overwrite, 4);
    let mut producer = ring.producer("writer").unwrap();
    let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    (0..2).for_each(|number| assert!(producer.publish(&[number]).unwrap()));
    let poll =
        std::panic::AssertUnwindSafe(|| reader.poll_words(1, |_| std::panic::resume_unwind(Box::new(()))));
    assert!(std::panic::catch_unwind(poll).is_err());
    assert_eq!(reader.poll_words(9, |record| assert_eq!(words(record), [1])), 1);
}
