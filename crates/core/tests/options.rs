//! Bad options and bad messages: each gets an error that says what was wrong and what is expected.

mod scratch;

use openalgo_shm_core::layout::{Kind, MAX_BUFFER_SIZE, MAX_CONSUMERS, MAX_DEPTH_LEVELS, MAX_LANES, Policy};
use openalgo_shm_core::message::{DepthLevel, MarketDataMessage, Mode};
use openalgo_shm_core::{
    ConsumerOptions, DEFAULT_BUFFER_SIZE, Error, ErrorCode, LockFreeRingBuffer, MAX_NAME_BYTES, RingConfig,
    check_name,
};
use scratch::message;

fn refused(config: RingConfig) -> Error {
    LockFreeRingBuffer::on_heap(config).err().expect("these options are wrong")
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    let wrong = [
        (RingConfig::mpmc().buffer_size(0), "buffer size 0"),
        (RingConfig::mpmc().buffer_size(1279), "expected 1280 (two slots of 640 bytes)"),
        (RingConfig::mpmc().buffer_size(MAX_BUFFER_SIZE + 1), "buffer size"),
        (RingConfig::mpmc().buffer_size(usize::MAX), "buffer size"),
        (RingConfig::mpmc().lanes(0), "lanes 0 is out of range: expected 1 to 64"),
        (RingConfig::mpmc().lanes(MAX_LANES + 1), "lanes 65"),
        (RingConfig::mpmc().consumers(0), "consumers 0"),
        (RingConfig::mpmc().consumers(MAX_CONSUMERS + 1), "consumers 257"),
        (RingConfig::mpmc().depth_levels(MAX_DEPTH_LEVELS + 1), "depth levels 201"),
        (RingConfig::mpmc().depth_levels(usize::MAX), "depth levels"),
        (RingConfig::mpmc().of_kind(Kind::Interest, 0), "stride 0"),
        (RingConfig::mpmc().of_kind(Kind::Interest, 100), "stride 100"),
        (RingConfig::mpmc().of_kind(Kind::Interest, 129), "not a multiple of 64"),
        (RingConfig::mpmc().of_kind(Kind::Interest, usize::MAX), "stride"),
    ];
    for (config, expected) in wrong {
        let error = refused(config);
        assert_eq!(error.code(), ErrorCode::InvalidOption, "{config:?}");
        assert!(error.message().contains(expected), "{error}, expected '{expected}'");
    }
}

#[test]
fn a_lane_has_as_many_slots_as_fit_rounded_down_to_a_power_of_two() {
    let capacity =
        |bytes, levels| RingConfig::mpmc().buffer_size(bytes).depth_levels(levels).layout().unwrap().capacity;
    assert_eq!(capacity(2 * 640, 5), 2);
    assert_eq!(capacity(4 * 640 - 1, 5), 2);
    assert_eq!(capacity(4 * 640, 5), 4);
    assert_eq!(capacity(DEFAULT_BUFFER_SIZE, 5), 1024);
    assert_eq!(capacity(DEFAULT_BUFFER_SIZE, MAX_DEPTH_LEVELS), 64);
}

#[test]
fn the_presets_are_what_they_say() {
    let spsc = RingConfig::spsc().layout().unwrap();
    assert_eq!((spsc.lanes, spsc.consumers, spsc.policy), (1, 1, Policy::Lossless));
    let mpmc = RingConfig::mpmc().layout().unwrap();
    assert_eq!((mpmc.lanes, mpmc.depth_levels, mpmc.policy), (8, 5, Policy::Overwrite));
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
fn a_message_that_does_not_fit_its_slot_or_itself_is_refused() {
    let config = scratch::plain(RingConfig::mpmc(), 4);
    let ring = LockFreeRingBuffer::on_heap(config).unwrap();
    let mut producer = ring.producer("writer").unwrap();
    let slot_words = ring.layout().slot_words();
    let extent = |prefix: u64, start: u64, length: u64| prefix | start << 16 | length << 32;
    let wrong = [
        message(&vec![0; slot_words]),
        vec![],
        vec![0],
        vec![0, extent(2, 0, 0), 0],
        vec![0, extent(5, 0, 0), 0],
        vec![0, extent(3, 15, 2), 0],
        vec![0, extent(3, 65535, 65535), 0],
        // A run over the slot's own words would overwrite the stamp.
        vec![0, extent(3, 0, 3), 0],
        vec![0, extent(3, 2, 1), 0],
    ];
    for words in wrong {
        let error = producer.publish(&words).unwrap_err();
        assert_eq!(error.code(), ErrorCode::MessageTooLong, "{words:?}");
    }
    let mixed = [message(&[1]), vec![0], message(&[2])];
    let error = producer.publish_batch(mixed.iter().map(Vec::as_slice)).unwrap_err();
    assert_eq!(
        (error.code(), producer.tail()),
        (ErrorCode::MessageTooLong, 1),
        "what came before is published"
    );
    assert!(producer.publish(&message(&vec![7; slot_words - 3])).unwrap(), "a full slot fits");
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
    assert_eq!(codes[8], "ERR_SHM_NOT_FOUND");
}
