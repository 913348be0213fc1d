//! A reader that was lapped goes on with a whole message, whatever the sizes of those around it.

mod scratch;

use openalgo_shm_ring::layout::lines_of_words;
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, RingConfig, Start};
use scratch::{Random, sized, words_of_lines};

/// A message of so many lines.
fn message(number: u64, lines: u64) -> Vec<u64> {
    vec![number; words_of_lines(lines as usize)]
}

#[test]
fn it_goes_on_with_the_first_message_of_the_newer_half() {
    let rounds = if cfg!(miri) { 3 } else { 300 };
    for seed in 0..rounds {
        let mut random = Random(seed);
        let longest = 1 + random.below(9);
        let capacity = (2 * longest as usize).next_power_of_two() << random.below(3);
        let ring =
            LockFreeRingBuffer::on_heap(sized(RingConfig::mpmc().lanes(1), longest as usize, capacity));
        let ring = ring.unwrap();
        let mut producer = ring.producer("writer").unwrap();
        let options = |name: &str| ConsumerOptions::new(name).register(false);
        // A reader that stopped at each message that is lapped below, and where each message begins.
        let mut readers = Vec::new();
        let mut begins = Vec::new();
        while producer.position() < 4 * capacity as u64 {
            readers.push(ring.consumer(options("reader")).unwrap());
            begins.push(producer.position());
            let lines = 1 + random.below(longest);
            let words = message(producer.tail(), lines);
            assert_eq!(lines_of_words(words.len()) as u64, lines);
            producer.publish(&words).unwrap();
        }
        let end = producer.position();
        let half = begins.partition_point(|&position| position < end - capacity as u64 / 2) as u64;
        for (first, mut reader) in readers.into_iter().enumerate() {
            let first = first as u64;
            let lapped = begins[first as usize] + (capacity as u64) < end;
            let expected: Vec<_> = (if lapped { half } else { first }..producer.tail()).collect();
            let mut found = Vec::new();
            reader.poll_words(usize::MAX, |record| {
                assert!(record.words().all(|word| word == record.sequence()));
                found.push(record.sequence());
            });
            assert_eq!(found, expected, "seed {seed}, stopped at {first}");
            assert_eq!((reader.lost(), reader.corrupt()), (expected[0] - first, 0), "seed {seed}");
            assert_eq!(reader.line_positions().next(), Some(end));
        }
        // The oldest that surely exists: seven eighths of a lane back.
        let oldest = ring.consumer(options("oldest").from(Start::Oldest)).unwrap();
        let back = end - (capacity - capacity / 8) as u64;
        assert_eq!(oldest.positions(), [begins.partition_point(|&position| position < back) as u64]);
    }
}

#[test]
fn many_laps_are_lost_exactly() {
    let ring = LockFreeRingBuffer::on_heap(sized(RingConfig::mpmc().lanes(1), 3, 8)).unwrap();
    let mut producer = ring.producer("writer").unwrap();
    let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let mut random = Random(7);
    for laps in [1, 2, 3, 10, 1000] {
        for _ in 0..laps * 8 {
            let words = message(producer.tail(), 1 + random.below(3));
            producer.publish(&words).unwrap();
        }
        let before = reader.received();
        reader.poll_words(usize::MAX, |record| assert!(record.words().all(|word| word == record.sequence())));
        assert!(reader.received() > before);
        assert_eq!(reader.received() + reader.lost(), producer.tail());
        assert_eq!((reader.corrupt(), reader.lag()), (0, 0));
    }
}
