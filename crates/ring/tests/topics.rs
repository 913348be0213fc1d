//! The topic table of a lane: a number means the same name for the life of the segment.

mod scratch;

use openalgo_shm_ring::layout::LINE;
use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode, TopicName, TopicNumber};
use openalgo_shm_ring::{
    Consumer, ConsumerOptions, ErrorCode, LockFreeRingBuffer, Producer, RingConfig, Start,
};

fn config(lanes: usize, topics: usize) -> RingConfig {
    RingConfig::mpmc().lanes(lanes).consumers(2).depth_levels(0).topics(topics).buffer_size(64 * LINE)
}

fn ring(lanes: usize, topics: usize) -> LockFreeRingBuffer {
    LockFreeRingBuffer::on_heap(config(lanes, topics)).unwrap()
}

fn tick(symbol: &str) -> MarketDataMessage<0> {
    let mut tick = MarketDataMessage::new("NSE", symbol, Mode::Ltp).unwrap();
    tick.set(Field::Ltp, 1.0);
    tick
}

fn publish(producer: &mut Producer, symbol: &str) {
    assert!(producer.publish(tick(symbol).as_words()).unwrap());
}

/// Lane, number and symbol of all that can be read.
fn read(consumer: &mut Consumer) -> Vec<(usize, u32, String)> {
    let mut found = Vec::new();
    consumer.poll(usize::MAX, |tick| found.push((tick.lane(), tick.topic(), tick.symbol())));
    found
}

fn names(consumer: &Consumer, lane: usize) -> Vec<String> {
    (0..).map_while(|number| consumer.topic_name(lane, number)).map(|name| name.symbol()).collect()
}

#[test]
fn numbers_count_up_from_0_and_a_name_is_written_once() {
    let ring = ring(1, 8);
    let mut producer = ring.producer("writer").unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    for symbol in ["A", "B", "A", "C", "B", "A"] {
        publish(&mut producer, symbol);
    }
    assert_eq!(producer.topic("NSE", "B").unwrap().get(), 1);
    assert_eq!(producer.topic("BSE", "B").unwrap().get(), 3, "another exchange, another topic");
    let numbers: Vec<_> = read(&mut consumer).into_iter().map(|(_, number, _)| number).collect();
    assert_eq!(numbers, [0, 1, 0, 2, 1, 0]);
    assert_eq!(names(&consumer, 0), ["A", "B", "C", "B"]);
    assert_eq!(ring.stats().lanes[0].topics, 4);
    assert!(producer.publish_to(TopicNumber::new(3), tick("ignored").as_words()).unwrap());
    assert_eq!(read(&mut consumer), [(0, 3, "B".into())]);
    for number in [4, 8, u32::MAX] {
        let error = producer.publish_to(TopicNumber::new(number), tick("B").as_words()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
        assert!(
            error.message().contains(&format!("topic {number} is not in the table of lane 0, which has 4"))
        );
    }
}

#[test]
fn a_successor_finds_the_numbers_of_its_predecessor_and_goes_on_behind_them() {
    let ring = ring(1, 8);
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    for owner in 0..4 {
        let mut producer = ring.producer(&format!("owner {owner}")).unwrap();
        publish(&mut producer, "A");
        publish(&mut producer, &format!("of owner {owner}"));
        publish(&mut producer, "B");
    }
    let expected = [
        (0, "A"),
        (1, "of owner 0"),
        (2, "B"),
        (0, "A"),
        (3, "of owner 1"),
        (2, "B"),
        (0, "A"),
        (4, "of owner 2"),
        (2, "B"),
        (0, "A"),
        (5, "of owner 3"),
        (2, "B"),
    ];
    assert_eq!(read(&mut consumer), expected.map(|(number, symbol)| (0, number, symbol.to_owned())));
    // A reader that comes when all are gone finds the names, too.
    let late = ring.consumer(ConsumerOptions::new("late").from(Start::Oldest)).unwrap();
    assert_eq!(names(&late, 0), ["A", "of owner 0", "B", "of owner 1", "of owner 2", "of owner 3"]);
}

#[test]
fn lanes_number_their_topics_each_for_itself() {
    let ring = ring(3, 8);
    let mut producers = [0, 1, 2].map(|lane| ring.producer(&format!("lane {lane}")).unwrap());
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    for (lane, symbols) in [(0, ["A", "B"]), (1, ["B", "A"]), (2, ["C", "B"])] {
        symbols.iter().for_each(|symbol| publish(&mut producers[lane], symbol));
    }
    let found = read(&mut consumer);
    let expected = [(0, 0, "A"), (0, 1, "B"), (1, 0, "B"), (1, 1, "A"), (2, 0, "C"), (2, 1, "B")];
    assert_eq!(found, expected.map(|(lane, number, symbol)| (lane, number, symbol.to_owned())));
    assert_eq!(consumer.topic_name(1, 0), TopicName::new("NSE", "B").ok());
    assert_eq!((consumer.topic_name(3, 0), consumer.topic_name(0, 2)), (None, None));
}

#[test]
fn a_full_table_is_an_error_that_is_counted_and_known_topics_go_on() {
    let ring = ring(2, 3);
    let mut producer = ring.producer("writer").unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    ["A", "B", "C"].iter().for_each(|symbol| publish(&mut producer, symbol));
    for refused in 1..4 {
        let error = producer.publish(tick("D").as_words()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::TooManyTopics);
        assert_eq!(error.code().as_str(), "ERR_TOO_MANY_TOPICS");
        assert!(error.message().contains("has named 3 topics"), "{error}");
        assert!(error.message().contains("`topics` option (at most 262144)"), "{error}");
        let stats = &ring.stats().lanes[0];
        assert_eq!((stats.topics, stats.topics_refused, stats.messages_published), (3, refused, 3));
    }
    assert_eq!(producer.topic("NSE", "E").unwrap_err().code(), ErrorCode::TooManyTopics);
    publish(&mut producer, "B");
    let batch = ["C", "A", "D", "A"].map(tick);
    let error = producer.publish_batch(batch.iter().map(MarketDataMessage::as_words)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooManyTopics);
    assert_eq!(producer.tail(), 6, "what came before it is published");
    let symbols: Vec<_> = read(&mut consumer).into_iter().map(|(_, _, symbol)| symbol).collect();
    assert_eq!(symbols, ["A", "B", "C", "B", "C", "A"]);

    // Another lane has a table of its own; a successor has the same, and counts on.
    let mut other = ring.producer("other").unwrap();
    publish(&mut other, "D");
    drop(producer);
    let mut successor = ring.producer("writer").unwrap();
    assert_eq!((successor.lane(), other.lane()), (0, 1));
    assert!(successor.topic("NSE", "Z").is_err());
    assert_eq!(ring.stats().lanes[0].topics_refused, 6);
    publish(&mut successor, "A");
}

#[test]
fn many_topics_have_their_names_through_many_owners_and_readers() {
    const TOPICS: u32 = if cfg!(miri) { 30 } else { 3000 };
    let ring = ring(1, TOPICS as usize);
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    for owner in 0..10 {
        let mut producer = ring.producer("writer").unwrap();
        for number in 0..TOPICS * (owner + 1) / 10 {
            publish(&mut producer, &format!("S{number}"));
            assert_eq!(read(&mut consumer), [(0, number, format!("S{number}"))]);
        }
    }
    assert_eq!(consumer.corrupt(), 0);
    assert_eq!(ring.stats().lanes[0].topics, u64::from(TOPICS));
}

/// Linux shows the segment as a file, in which anything can be written.
#[cfg(target_os = "linux")]
mod of_hostile_memory {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::scratch::ScratchName;

    const TOPICS: usize = 64;
    /// Records of one lane and two consumers fill the first page.
    const TABLE: u64 = 4096;
    const LINES: u64 = TABLE + (TOPICS * LINE) as u64;
    /// The word of a lane's record that holds the length of its table.
    const LENGTH: u64 = 256 + 144;

    struct Bench {
        name: ScratchName,
        ring: LockFreeRingBuffer,
        file: File,
    }

    impl Bench {
        fn new() -> Self {
            let name = ScratchName::new("topics");
            let ring = LockFreeRingBuffer::create(&name, config(1, TOPICS)).unwrap();
            let file = File::options().read(true).write(true).open(name.path()).unwrap();
            Self { name, ring, file }
        }

        fn write(&self, offset: u64, bytes: &[u8]) {
            self.file.write_all_at(bytes, offset).unwrap();
        }

        fn entry(number: u64) -> u64 {
            TABLE + number * LINE as u64
        }

        fn reader(&self) -> Consumer {
            self.ring.consumer(ConsumerOptions::new("reader")).unwrap()
        }
    }

    /// What a name must not be: each with its exchange and symbol.
    fn no_names() -> Vec<(&'static str, [u8; 64])> {
        let name = |exchange: &[u8], symbol: &[u8]| {
            let mut bytes = [0; 64];
            bytes[..exchange.len()].copy_from_slice(exchange);
            bytes[16..16 + symbol.len()].copy_from_slice(symbol);
            bytes
        };
        vec![
            ("nothing", [0; 64]),
            ("no exchange", name(b"", b"TCS")),
            ("no symbol", name(b"NSE", b"")),
            ("not UTF-8", name(b"NSE", b"T\xffCS")),
            ("an exchange that is not UTF-8", name(b"\xc3", b"TCS")),
            ("a control character", name(b"NSE", b"T\nCS")),
            ("something behind its end", name(b"NSE", b"TCS\0\0x")),
            ("something behind the end of its exchange", name(b"NSE\0x", b"TCS")),
            ("a character that is cut off", name(b"NSE", &[b"x".repeat(47), vec![0xc3]].concat())),
            ("ones", [0xff; 64]),
        ]
    }

    #[test]
    fn ticks_of_an_entry_that_is_no_name_are_corrupt_and_the_others_are_read() {
        for (what, bytes) in no_names() {
            let bench = Bench::new();
            let mut producer = bench.ring.producer("writer").unwrap();
            let mut reader = bench.reader();
            ["A", "B", "C"].iter().for_each(|symbol| publish(&mut producer, symbol));
            bench.write(Bench::entry(1), &bytes);
            assert_eq!(read(&mut reader), [(0, 0, "A".into()), (0, 2, "C".into())], "{what}");
            assert_eq!((reader.received(), reader.corrupt(), reader.lost()), (2, 1, 0), "{what}");
            for _ in 0..50 {
                ["B", "C", "B"].iter().for_each(|symbol| publish(&mut producer, symbol));
                assert_eq!(read(&mut reader), [(0, 2, "C".into())], "{what}");
            }
            assert_eq!((reader.received(), reader.corrupt(), reader.lost()), (52, 101, 0), "{what}");
            assert_eq!(reader.topic_name(0, 1), None, "{what}");
            // A successor does not use the entry: the name gets another number.
            drop(producer);
            let mut successor = bench.ring.producer("successor").unwrap();
            publish(&mut successor, "B");
            assert_eq!(read(&mut reader), [(0, 3, "B".into())], "{what}");
        }
    }

    #[test]
    fn a_number_beyond_the_table_is_corrupt() {
        let bench = Bench::new();
        let mut producer = bench.ring.producer("writer").unwrap();
        let mut reader = bench.reader();
        let numbers = [1, 2, TOPICS as u32 - 1, TOPICS as u32, u32::MAX / 2, u32::MAX];
        for (position, number) in numbers.into_iter().enumerate() {
            publish(&mut producer, "A");
            bench.write(LINES + (2 * position * LINE) as u64 + 8, &number.to_le_bytes());
            publish(&mut producer, "A");
            assert_eq!(read(&mut reader), [(0, 0, "A".into())], "{number}");
            assert_eq!((reader.corrupt(), reader.lost()), (position as u64 + 1, 0));
            assert_eq!(reader.topic_name(0, number), None);
        }
    }

    #[test]
    fn a_length_that_lies_makes_no_names_and_does_no_lasting_harm() {
        for length in [3, TOPICS as u64, TOPICS as u64 + 1, 1 << 32, u64::MAX] {
            let bench = Bench::new();
            let mut producer = bench.ring.producer("writer").unwrap();
            let mut reader = bench.reader();
            publish(&mut producer, "A");
            bench.write(LENGTH, &length.to_le_bytes());
            // The reader meets a number that it does not know, and looks at all entries of the table.
            bench.write(LINES + 8, &2_u32.to_le_bytes());
            assert_eq!(read(&mut reader), []);
            assert_eq!((reader.corrupt(), reader.topic_name(0, 2)), (1, None));
            assert!(bench.ring.stats().lanes[0].topics <= TOPICS as u64);
            // What the owner names from then on is read as ever.
            for symbol in ["B", "C", "A", "D"] {
                publish(&mut producer, symbol);
            }
            let symbols: Vec<_> = read(&mut reader).into_iter().map(|(_, _, symbol)| symbol).collect();
            assert_eq!(symbols, ["B", "C", "A", "D"], "length {length}");
            assert_eq!((reader.corrupt(), reader.lost()), (1, 0));
        }
    }

    #[test]
    fn a_lane_whose_table_is_longer_than_it_can_be_is_refused_to_the_next_owner() {
        for (length, fits) in [(TOPICS as u64, true), (TOPICS as u64 + 1, false), (u64::MAX, false)] {
            let bench = Bench::new();
            drop(bench.ring.producer("writer").unwrap());
            bench.write(LENGTH, &length.to_le_bytes());
            match LockFreeRingBuffer::open(&bench.name).unwrap().producer("writer") {
                Ok(mut producer) => {
                    assert!(fits);
                    assert_eq!(producer.topic("NSE", "A").unwrap_err().code(), ErrorCode::TooManyTopics);
                }
                Err(error) => {
                    assert!(!fits);
                    assert_eq!(error.code(), ErrorCode::ShmLayout);
                    assert!(error.message().contains(&format!("carried {length} topics")), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_name_that_was_written_but_not_counted_is_written_anew() {
        let bench = Bench::new();
        let mut reader = bench.reader();
        let mut producer = bench.ring.producer("writer").unwrap();
        publish(&mut producer, "A");
        drop(producer);
        // As its owner left it, when it was killed before it stored the length.
        let killed = TopicName::new("NSE", "of the dead").unwrap();
        let bytes: Vec<u8> = killed.words().iter().flat_map(|word| word.to_le_bytes()).collect();
        for written in 0..=8 {
            bench.write(Bench::entry(1), &[0; LINE]);
            bench.write(Bench::entry(1), &bytes[..8 * written]);
            assert_eq!(reader.topic_name(0, 1), None);
            drop(bench.ring.producer("next").unwrap());
        }
        let mut successor = bench.ring.producer("successor").unwrap();
        publish(&mut successor, "B");
        assert_eq!(read(&mut reader), [(0, 0, "A".into()), (0, 1, "B".into())]);
    }
}
