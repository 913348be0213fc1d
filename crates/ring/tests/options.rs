//! Bad options and bad messages: each gets an error that says what was wrong and what is expected.

mod scratch;

use openalgo_shm_ring::layout::{
    Kind, LINE, MAX_BUFFER_SIZE, MAX_CONSUMERS, MAX_DEPTH_LEVELS, MAX_LANES, MAX_TOPICS, Policy,
    smallest_buffer,
};
use openalgo_shm_ring::message::{DepthLevel, FIELDS_WORD, LEVELS_WORD, MarketDataMessage, Mode, TOPIC_WORD};
use openalgo_shm_ring::{
    ConsumerOptions, DEFAULT_BUFFER_SIZE, Error, ErrorCode, LockFreeRingBuffer, MAX_NAME_BYTES, RingConfig,
    check_name,
};
use scratch::{sized, words_of_lines};

fn refused(config: RingConfig) -> Error {
    LockFreeRingBuffer::on_heap(config).err().expect("these options are wrong")
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    let wrong = [
        (RingConfig::mpmc().buffer_size(0), "buffer size 0"),
        (RingConfig::mpmc().buffer_size(2047), "expected 2048 (two messages of 14 lines) to 4294967296"),
        (RingConfig::mpmc().buffer_size(MAX_BUFFER_SIZE + 1), "buffer size"),
        (RingConfig::mpmc().buffer_size(usize::MAX), "buffer size"),
        (RingConfig::mpmc().lanes(0), "lanes 0 is out of range: expected 1 to 64"),
        (RingConfig::mpmc().lanes(MAX_LANES + 1), "lanes 65"),
        (RingConfig::mpmc().consumers(0), "consumers 0"),
        (RingConfig::mpmc().consumers(MAX_CONSUMERS + 1), "consumers 257"),
        (RingConfig::mpmc().depth_levels(MAX_DEPTH_LEVELS + 1), "depth levels 201"),
        (RingConfig::mpmc().depth_levels(usize::MAX), "depth levels"),
        (RingConfig::mpmc().topics(0), "topics 0 is out of range: expected 1 to 262144"),
        (RingConfig::mpmc().topics(MAX_TOPICS + 1), "topics 262145"),
        (RingConfig::mpmc().topics(usize::MAX), "topics"),
        (
            RingConfig::mpmc().depth_levels(200).buffer_size(32767),
            "expected 32768 (two messages of 181 lines)",
        ),
        (
            RingConfig::mpmc().of_kind(Kind::Interest, 12).buffer_size(511),
            "expected 512 (two messages of 3 lines)",
        ),
        (RingConfig::mpmc().of_kind(Kind::Interest, words_of_lines(182)), "at most 181 lines fit"),
        (RingConfig::mpmc().of_kind(Kind::Interest, usize::MAX), "words are out of range"),
    ];
    for (config, expected) in wrong {
        let error = refused(config);
        assert_eq!(error.code(), ErrorCode::InvalidOption, "{config:?}");
        assert!(error.message().contains(expected), "{error}, expected '{expected}'");
    }
}

#[test]
fn a_lane_has_as_many_lines_as_fit_rounded_down_to_a_power_of_two() {
    let capacity =
        |bytes, levels| RingConfig::mpmc().buffer_size(bytes).depth_levels(levels).layout().unwrap().capacity;
    assert_eq!(capacity(32 * LINE, 5), 32);
    assert_eq!(capacity(64 * LINE - 1, 5), 32);
    assert_eq!(capacity(64 * LINE, 5), 64);
    assert_eq!(capacity(DEFAULT_BUFFER_SIZE, 5), 16_384);
    assert_eq!(capacity(MAX_BUFFER_SIZE, MAX_DEPTH_LEVELS), 1 << 26);
}

#[test]
fn the_smallest_lane_has_room_for_two_of_the_longest_messages() {
    assert_eq!([1, 2, 3, 10, 177].map(|lines| smallest_buffer(lines) / LINE), [2, 4, 8, 32, 512]);
    for longest in 1..=177 {
        let words = words_of_lines(longest);
        let config = RingConfig::mpmc().of_kind(Kind::Events, words).buffer_size(smallest_buffer(longest));
        let layout = config.layout().unwrap();
        assert_eq!((layout.longest, layout.topics), (longest, 0));
        assert!(layout.capacity >= 2 * longest && layout.capacity < 4 * longest);
        assert!(config.buffer_size(smallest_buffer(longest) - 1).layout().is_err());
        let ring = LockFreeRingBuffer::on_heap(config.lanes(1)).unwrap();
        let (mut producer, mut consumer) =
            (ring.producer("writer").unwrap(), ring.consumer(ConsumerOptions::new("reader")).unwrap());
        for number in 0..5 {
            assert!(producer.publish(&vec![number; words]).unwrap());
            assert_eq!(consumer.poll_words(2, |record| assert!(record.words().eq(vec![number; words]))), 1);
        }
    }
}

#[test]
fn the_presets_are_what_they_say() {
    let spsc = RingConfig::spsc().layout().unwrap();
    assert_eq!((spsc.lanes, spsc.consumers, spsc.policy), (1, 1, Policy::Lossless));
    let mpmc = RingConfig::mpmc().layout().unwrap();
    assert_eq!((mpmc.lanes, mpmc.depth_levels, mpmc.policy), (8, 5, Policy::Overwrite));
    assert_eq!((mpmc.capacity, mpmc.longest, mpmc.topics), (16_384, 14, 32_768));
    assert_eq!(RingConfig::default(), RingConfig::mpmc());
}

#[test]
fn names_that_could_leave_the_directory_are_refused() {
    let long = "n".repeat(MAX_NAME_BYTES + 1);
    for name in ["", "a/b", "/a", "..", ".hidden", "a b", "ring.lock", "a\0b", "größe", &long] {
        let error = check_name(name).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ShmName, "{name:?}");
        assert!(error.message().contains("no slash"), "{error}");
        assert_eq!(LockFreeRingBuffer::open(name).err(), Some(error.clone()));
        assert_eq!(LockFreeRingBuffer::create(name, RingConfig::mpmc()).err(), Some(error.clone()));
        assert_eq!(LockFreeRingBuffer::unlink(name).err(), Some(error));
    }
    for name in ["a", "ws_proxy_buffer", "ws_proxy_buffer.interest", "A-1.b_2"] {
        check_name(name).unwrap();
    }
}

#[test]
fn publishers_and_subscribers_need_a_name_of_48_bytes_at_most() {
    let ring = LockFreeRingBuffer::on_heap(RingConfig::mpmc()).unwrap();
    let long = "n".repeat(49);
    for name in ["", "tab\tbed", &long] {
        assert_eq!(ring.producer(name).err().map(|error| error.code()), Some(ErrorCode::InvalidSymbol));
        let consumer = ring.consumer(ConsumerOptions::new(name));
        assert_eq!(consumer.err().map(|error| error.code()), Some(ErrorCode::InvalidSymbol));
    }
    assert!(!ring.is_in_use(), "a refused name takes no place");
    assert!(ring.producer(&long[..48]).is_ok());
}

#[test]
fn a_book_deeper_than_the_ring_is_refused_and_disturbs_nothing() {
    let ring = LockFreeRingBuffer::on_heap(RingConfig::mpmc().depth_levels(5)).unwrap();
    let mut producer = ring.producer("writer").unwrap();
    let mut consumer = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let mut tick = MarketDataMessage::<20>::new("NSE", "TCS", Mode::Depth).unwrap();
    tick.set_depth(&[DepthLevel::default(); 20], &[DepthLevel::default(); 20]).unwrap();
    let error = producer.publish(tick.as_words()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::BookTooDeep);
    assert!(error.message().contains("20 levels") && error.message().contains("made for 5"), "{error}");
    assert_eq!((producer.tail(), consumer.poll(10, |_| {})), (0, 0));

    tick.set_depth(&[DepthLevel::default(); 5], &[DepthLevel::default(); 5]).unwrap();
    assert!(producer.publish(tick.as_words()).unwrap());
    assert_eq!(consumer.poll(10, |tick| assert_eq!(tick.buys().len() + tick.sells().len(), 10)), 1);
}

#[test]
fn a_message_longer_than_the_ring_allows_is_refused() {
    let ring = LockFreeRingBuffer::on_heap(sized(RingConfig::mpmc(), 2, 4)).unwrap();
    let mut producer = ring.producer("writer").unwrap();
    for words in [12, 13, 1000] {
        let error = producer.publish(&vec![0; words]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::MessageTooLong, "{words}");
        assert!(error.message().contains(&format!("{words} words")), "{error}");
        assert!(error.message().contains("at most 11 words"), "{error}");
    }
    let mixed = [vec![1], vec![0; 12], vec![2]];
    let error = producer.publish_batch(mixed.iter().map(Vec::as_slice)).unwrap_err();
    assert_eq!(
        (error.code(), producer.tail()),
        (ErrorCode::MessageTooLong, 1),
        "what came before is published"
    );
    assert!(producer.publish(&[7; 11]).unwrap(), "the longest fits");
    assert!(producer.publish(&[]).unwrap(), "and so does one without words");
}

#[test]
fn an_image_that_is_too_short_or_has_no_name_is_refused() {
    let ring = LockFreeRingBuffer::on_heap(RingConfig::mpmc()).unwrap();
    let mut producer = ring.producer("writer").unwrap();
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Depth).unwrap();
    let topic = producer.topic("NSE", "TCS").unwrap();
    tick.set_depth(&[DepthLevel::default(); 2], &[DepthLevel::default()]).unwrap();
    let image = tick.as_words();
    for words in [0, 1, LEVELS_WORD - 1, LEVELS_WORD, LEVELS_WORD + 8] {
        for error in [producer.publish(&image[..words]), producer.publish_to(topic, &image[..words])] {
            assert_eq!(error.unwrap_err().code(), ErrorCode::MessageTooLong, "{words} words");
        }
    }
    let mut nameless = image.to_vec();
    nameless[TOPIC_WORD..FIELDS_WORD].fill(0);
    assert_eq!(producer.publish(&nameless).unwrap_err().code(), ErrorCode::InvalidSymbol);
    let bell = u64::from_le_bytes(*b"TCS\x07\0\0\0\0");
    for symbol in [0, bell, u64::MAX, 1 << 32] {
        nameless[TOPIC_WORD] = image[TOPIC_WORD];
        nameless[TOPIC_WORD + 2] = symbol;
        assert_eq!(producer.publish(&nameless).unwrap_err().code(), ErrorCode::InvalidSymbol, "{symbol:x}");
    }
    assert_eq!(producer.tail(), 0);
    assert_eq!(ring.stats().lanes[0].topics, 1, "no such name is written");
    assert!(producer.publish(&image[..LEVELS_WORD + 9]).unwrap(), "as long as its levels");
    assert!(producer.publish_to(topic, &nameless).unwrap(), "a topic's number replaces the name");
}

#[test]
fn every_error_code_is_stable_and_its_own() {
    let codes = [
        ErrorCode::InvalidOption,
        ErrorCode::InvalidArgument,
        ErrorCode::InvalidSymbol,
        ErrorCode::InvalidField,
        ErrorCode::BookTooDeep,
        ErrorCode::MessageTooLong,
        ErrorCode::TooManyTopics,
        ErrorCode::Closed,
        ErrorCode::ShmName,
        ErrorCode::ShmNotFound,
        ErrorCode::ShmMismatch,
        ErrorCode::ShmLayout,
        ErrorCode::ShmVersion,
        ErrorCode::ShmFull,
        ErrorCode::ShmPermission,
        ErrorCode::ShmBusy,
        ErrorCode::ShmSystem,
        ErrorCode::NoFreeLane,
        ErrorCode::NoFreeConsumer,
    ]
    .map(ErrorCode::as_str);
    let distinct: std::collections::HashSet<_> = codes.iter().collect();
    assert_eq!(distinct.len(), codes.len());
    assert!(codes.iter().all(|code| code.starts_with("ERR_")));
    assert_eq!((codes[6], codes[9]), ("ERR_TOO_MANY_TOPICS", "ERR_SHM_NOT_FOUND"));
}
