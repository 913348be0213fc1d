//! A tick comes out of a ring as it went in: every field, every level, its name. However it is published and
//! read, and wherever in its lane it lies.

mod scratch;

use openalgo_shm_ring::layout::{LINE, longest_tick, smallest_buffer};
use openalgo_shm_ring::message::{
    CarriedAge, DepthLevel, FIELD_COUNT, Field, HEAD_PAYLOAD, Head, MarketDataMessage, MemberValue,
    MessageView, Mode, SYNONYMS, TickImage,
};
use openalgo_shm_ring::{Consumer, ConsumerOptions, ErrorCode, LockFreeRingBuffer, Producer, RingConfig};
use proptest::prelude::*;

/// Levels a side that the ticks of these tests have room for.
const LEVELS: usize = 7;

#[derive(Debug, Clone)]
struct Tick {
    exchange: String,
    symbol: String,
    mode: Mode,
    presence: u32,
    /// Any bits: numbers, infinities, and what is no number.
    bits: Vec<u64>,
    buys: usize,
    sells: usize,
    /// Of the levels.
    seed: u64,
    /// Numbers of synonyms.
    synonyms: Vec<usize>,
}

impl Tick {
    fn has(&self, field: Field) -> bool {
        self.presence & field.bit() != 0
    }

    fn levels(&self) -> Vec<DepthLevel> {
        let mut random = scratch::Random(self.seed);
        let mut next = || f64::from_bits(random.next());
        (0..self.buys + self.sells)
            .map(|_| DepthLevel { price: next(), quantity: next(), orders: next() })
            .collect()
    }

    fn message(&self) -> MarketDataMessage<LEVELS> {
        let mut message = MarketDataMessage::new(&self.exchange, &self.symbol, self.mode).unwrap();
        for field in Field::ALL.into_iter().filter(|&field| self.has(field)) {
            message.set(field, f64::from_bits(self.bits[field as usize]));
        }
        let levels = self.levels();
        // The one before the levels, the others after them.
        let (first, others) = self.synonyms.split_at(self.synonyms.len().min(1));
        first.iter().for_each(|&number| _ = message.set_synonym(number).unwrap());
        message.set_depth(&levels[..self.buys], &levels[self.buys..]).unwrap();
        others.iter().for_each(|&number| _ = message.set_synonym(number).unwrap());
        self.check_content(message.view());
        message
    }

    fn synonym_words(&self) -> [u64; 2] {
        self.synonyms.iter().fold([0; 2], |mut words, number| {
            words[number / 64] |= 1 << (number % 64);
            words
        })
    }

    fn check(&self, view: MessageView, sequence: u64, topic: u32) {
        self.check_content(view);
        assert_eq!((view.sequence(), view.topic(), view.lane()), (sequence, topic, 0));
        assert_eq!((view.exchange(), view.symbol()), (self.exchange.clone(), self.symbol.clone()));
        // What is kept of a tick from a ring has everything but its name.
        let (head, rest) = view.parts();
        let kept = (*head, rest.to_vec());
        let kept = MessageView::of_parts(&kept.0, &kept.1);
        self.check_content(kept);
        assert!(kept.name().is_none());
    }

    fn check_content(&self, view: MessageView) {
        let expected: Vec<_> = Field::ALL
            .into_iter()
            .filter(|&field| self.has(field))
            .map(|field| (field, self.bits[field as usize]))
            .collect();
        for field in Field::ALL {
            let bits = self.has(field).then(|| self.bits[field as usize]);
            assert_eq!(view.field(field).map(f64::to_bits), bits, "{field:?}");
        }
        let mut fields = Vec::new();
        view.for_each_field(|field, value| fields.push((field, value.to_bits())));
        assert_eq!(fields, expected, "in the order of the presence bits");
        assert_eq!(view.mode(), self.mode);
        let bits = |level: DepthLevel| [level.price, level.quantity, level.orders].map(f64::to_bits);
        let levels: Vec<_> = self.levels().into_iter().map(bits).collect();
        assert_eq!(view.levels(), levels.len());
        assert_eq!(view.buys().map(bits).collect::<Vec<_>>(), levels[..self.buys]);
        assert_eq!(view.sells().map(bits).collect::<Vec<_>>(), levels[self.buys..]);
        assert_eq!(view.synonyms(), self.synonym_words());
    }
}

fn tick(depth: usize) -> impl Strategy<Value = Tick> {
    let head = (1 << HEAD_PAYLOAD) - 1;
    let presence = prop_oneof![
        any::<u32>(),
        // One line.
        any::<u32>().prop_map(move |bits| bits & head),
        (0..FIELD_COUNT).prop_map(|bit| 1 << bit),
        Just(u32::MAX),
    ];
    let levels = prop_oneof![Just((0, 0)), (0..=depth, 0..=depth)];
    let mode = prop_oneof![Just(Mode::Ltp), Just(Mode::Quote), Just(Mode::Depth)];
    let bits = proptest::collection::vec(any::<u64>(), FIELD_COUNT);
    let synonyms = prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec(0..64_usize, 1..9),
        proptest::collection::vec(0..SYNONYMS.len(), 1..9),
        Just((0..SYNONYMS.len()).collect()),
    ];
    let names = ("[A-Z]{1,16}|[é€]{1,5}", "[A-Z0-9&-]{1,48}|[A-Z]{1,4}|[é€]{1,16}");
    (names, mode, presence, bits, levels, any::<u64>(), synonyms).prop_map(
        |((exchange, symbol), mode, presence, bits, (buys, sells), seed, synonyms)| Tick {
            exchange,
            symbol,
            mode,
            presence,
            bits,
            buys,
            sells,
            seed,
            synonyms,
        },
    )
}

/// A ring, one publisher and one reader that keeps up.
struct Pair {
    ring: LockFreeRingBuffer,
    producer: Producer,
    consumer: Consumer,
    heads: Vec<Head>,
    rest: Vec<u64>,
}

impl Pair {
    fn new(depth: usize, larger: u32) -> Self {
        let bytes = smallest_buffer(longest_tick(depth)) << larger;
        let config =
            RingConfig::mpmc().lanes(1).consumers(1).depth_levels(depth).topics(512).buffer_size(bytes);
        let ring = LockFreeRingBuffer::on_heap(config).unwrap();
        assert_eq!(ring.layout().capacity, bytes / LINE);
        let longest = ring.layout().longest_rest();
        Self {
            producer: ring.producer("writer").unwrap(),
            consumer: ring.consumer(ConsumerOptions::new("reader")).unwrap(),
            heads: vec![Head::default(); 3],
            rest: vec![u64::MAX; 3 * longest],
            ring,
        }
    }

    /// Publishes these ticks and reads them, each time in the next of the ways to do so.
    fn pass(&mut self, ticks: &[&Tick], way: usize) {
        let messages: Vec<_> = ticks.iter().map(|tick| tick.message()).collect();
        let producer = &mut self.producer;
        let first = producer.tail();
        let topics: Vec<_> =
            ticks.iter().map(|tick| producer.topic(&tick.exchange, &tick.symbol).unwrap()).collect();
        let mut images = messages.iter().map(MarketDataMessage::as_words);
        match way % 5 {
            0 => images.by_ref().for_each(|image| assert!(producer.publish(image).unwrap())),
            1 => assert_eq!(producer.publish_batch(images), Ok(ticks.len())),
            2 => {
                for (topic, image) in topics.iter().zip(images) {
                    assert!(producer.publish_to(*topic, image).unwrap());
                }
            }
            3 => assert_eq!(producer.publish_batch_to(topics.iter().copied().zip(images)), Ok(ticks.len())),
            _ => {
                for (topic, image) in topics.iter().zip(images) {
                    assert!(producer.write_to(*topic, image, 42).unwrap());
                }
            }
        }
        let mut read = 0;
        let mut check = |view: MessageView| {
            ticks[read].check(view, first + read as u64, topics[read].get());
            assert!(way % 5 != 4 || view.publish_ns() == 42);
            read += 1;
        };
        if way.is_multiple_of(2) {
            assert_eq!(self.consumer.poll(ticks.len() + 1, check), ticks.len());
        } else {
            assert_eq!(self.consumer.poll_into(&mut self.heads, &mut self.rest), ticks.len());
            self.heads[..ticks.len()].iter().for_each(|head| check(self.consumer.view(head, &self.rest)));
        }
        assert_eq!((self.consumer.lost(), self.consumer.corrupt()), (0, 0));
        assert_eq!(self.consumer.line_positions().next(), Some(self.producer.position()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 2 } else { 300 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_tick_comes_out_as_it_went_in(
        (larger, depth, ticks) in (0..3u32, 0..=LEVELS).prop_flat_map(|(larger, depth)| {
            (Just(larger), Just(depth), proptest::collection::vec(tick(depth), 1..80))
        }),
        way in 0..10usize,
    ) {
        let mut pair = Pair::new(depth, larger);
        let mut ticks = ticks.iter().peekable();
        let mut round = way;
        while let Some(first) = ticks.next() {
            // Two at once, as many of the longest as the smallest lane holds.
            let both = [Some(first), ticks.next_if(|_| round % 3 == 0)];
            let both: Vec<_> = both.into_iter().flatten().collect();
            pair.pass(&both, round);
            round += 1;
        }
    }
}

/// 2³² subsets are too many; these are all of up to two fields, all without up to two, and all runs.
#[test]
fn subsets_of_the_fields_come_out_as_they_went_in() {
    let mut subsets = vec![0, u32::MAX];
    for one in 0..FIELD_COUNT {
        for other in one..FIELD_COUNT {
            let two = 1_u32 << one | 1 << other;
            let run = u32::MAX << one & u32::MAX >> (FIELD_COUNT - 1 - other);
            subsets.extend([two, !two, run]);
        }
    }
    let mut pair = Pair::new(2, 1);
    let step = if cfg!(miri) { 100 } else { 1 };
    for (way, &presence) in subsets.iter().enumerate().step_by(step) {
        let tick = Tick {
            exchange: "NSE".into(),
            symbol: "TCS".into(),
            mode: Mode::Depth,
            presence,
            bits: (1..=FIELD_COUNT as u64).map(|field| field << 40 | way as u64).collect(),
            buys: way % 3,
            sells: way / 3 % 3,
            seed: way as u64,
            synonyms: vec![],
        };
        pair.pass(&[&tick], way);
    }
}

#[test]
fn poll_into_ends_early_where_its_room_does() {
    let mut pair = Pair::new(5, 3);
    let longest = pair.consumer.segment().layout().longest_rest();
    let mut tick = MarketDataMessage::<5>::new("NSE", "TCS", Mode::Quote).unwrap();
    for field in Field::ALL {
        tick.set(field, 1.0);
    }
    for _ in 0..10 {
        pair.producer.publish(tick.as_words()).unwrap();
    }
    let (mut heads, mut rest) = ([Head::default(); 10], vec![0; 3 * longest]);
    assert_eq!(pair.consumer.poll_into(&mut [], &mut rest), 0);
    assert_eq!(pair.consumer.poll_into(&mut heads, &mut []), 0);
    assert_eq!(pair.consumer.poll_into(&mut heads, &mut rest[..longest - 1]), 0);
    assert_eq!(pair.consumer.poll_into(&mut heads, &mut rest[..longest]), 1);
    assert_eq!(pair.consumer.poll_into(&mut heads[..2], &mut rest), 2);
    // 28 words each, and room for the longest is asked for each time.
    let fit = (3 * longest - longest) / 28 + 1;
    assert_eq!(pair.consumer.poll_into(&mut heads, &mut rest), fit.min(7));
    pair.consumer.poll(10, |_| {});
    assert_eq!((pair.consumer.received(), pair.consumer.lost(), pair.consumer.corrupt()), (10, 0, 0));
}

#[test]
fn a_view_of_what_the_caller_made_up_reads_no_further_than_its_words() {
    let pair = Pair::new(5, 0);
    let mut random = scratch::Random(1);
    for _ in 0..2000 {
        let head: Head = std::array::from_fn(|_| random.next() >> random.below(64));
        let rest: Vec<u64> = (0..random.below(100)).collect();
        for view in [pair.consumer.view(&head, &rest), MessageView::of_parts(&head, &rest)] {
            let mut fields = 0;
            view.for_each_field(|_, _| fields += 1);
            Field::ALL.iter().for_each(|field| fields -= i32::from(view.field(*field).is_some()));
            assert_eq!(fields, 0);
            assert!(view.buys().len() + view.sells().len() <= 2 * rest.len());
            assert!(view.parts().1.len() <= rest.len());
            let _ = (view.name(), view.mode(), view.lane(), view.exchange(), view.synonyms());
        }
    }
}

#[test]
fn sides_of_a_book_may_differ_and_one_may_be_empty() {
    let mut pair = Pair::new(LEVELS, 0);
    for (way, (buys, sells)) in
        (0..=LEVELS).flat_map(|buys| (0..=LEVELS).map(move |sells| (buys, sells))).enumerate()
    {
        let tick = Tick {
            exchange: "NFO".into(),
            symbol: "NIFTY24JAN25000CE".into(),
            mode: Mode::Depth,
            presence: way as u32,
            bits: (0..FIELD_COUNT as u64).collect(),
            buys,
            sells,
            seed: way as u64,
            synonyms: [vec![], vec![way % 64], vec![64, way % 64]][way % 3].clone(),
        };
        pair.pass(&[&tick], way);
    }
}

#[test]
fn a_book_of_200_levels_has_its_synonyms_behind_it() {
    let config = RingConfig::mpmc().lanes(1).depth_levels(200).buffer_size(1 << 17);
    let ring = LockFreeRingBuffer::on_heap(config).unwrap();
    let (mut producer, mut consumer) =
        (ring.producer("writer").unwrap(), ring.consumer(ConsumerOptions::new("reader")).unwrap());
    let mut tick: MarketDataMessage<200> = MarketDataMessage::new("NSE", "TCS", Mode::Depth).unwrap();
    for field in Field::ALL {
        tick.set(field, f64::from(field as u8));
    }
    let levels: Vec<_> =
        (0..400).map(|price| DepthLevel { price: f64::from(price), quantity: 1.0, orders: 2.0 }).collect();
    tick.set_depth(&levels[..200], &levels[200..]).unwrap();
    for number in 0..SYNONYMS.len() {
        tick.set_synonym(number).unwrap();
        assert!(producer.publish(tick.as_words()).unwrap());
        let count = consumer.poll(2, |view| {
            let expected = [u64::MAX >> (63 - number.min(63)), 0x7f >> (SYNONYMS.len() - 1 - number.max(63))];
            assert_eq!(view.synonyms(), expected);
            assert_eq!(view.field(Field::ExchangeTimestamp), Some(31.0));
            assert!(view.buys().chain(view.sells()).eq(levels.iter().copied()));
        });
        assert_eq!(count, 1);
    }
}

#[test]
fn a_number_that_no_synonym_has_is_refused() {
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
    for number in [SYNONYMS.len(), 128, usize::MAX] {
        assert_eq!(tick.set_synonym(number).unwrap_err().code(), ErrorCode::InvalidArgument);
    }
    assert_eq!(tick.view().synonyms(), [0, 0]);
}

#[test]
fn a_tick_that_was_not_published_has_no_sequence_and_no_publish_time() {
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
    tick.set_synonym(0).unwrap().set_synonym(64).unwrap();
    let view = tick.view();
    assert_eq!((view.sequence(), view.publish_ns(), view.synonyms()), (0, 0, [1, 1]));
}

#[test]
fn a_synonym_word_counts_only_if_the_image_says_that_it_has_it() {
    let mut pair = Pair::new(0, 1);
    let tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Ltp).unwrap();
    let mut image = tick.as_words().to_vec();
    (image[0], image[3]) = (5, 6);
    for (count, lines, expected) in [(0, 1, [0, 0]), (1, 2, [5, 0]), (2, 2, [5, 6]), (3, 2, [5, 6])] {
        image[1] = 1 << 32 | count << 34;
        let before = pair.producer.position();
        assert!(pair.producer.publish(&image).unwrap());
        assert_eq!(pair.producer.position() - before, lines);
        let check = |view: MessageView| assert_eq!((view.mode(), view.synonyms()), (Mode::Ltp, expected));
        assert_eq!(pair.consumer.poll(2, check), 1);
    }
    assert_eq!((pair.consumer.lost(), pair.consumer.corrupt()), (0, 0));
}

/// A tick with everything that an annex can say.
fn image_with_annex() -> TickImage {
    let mut image = TickImage::new();
    image.set(Field::Ltp, 1402.5);
    image.set(Field::Open, 1400.0);
    image.set_synonym(64);
    image.set_depth(&[DepthLevel { price: 1402.0, quantity: 5.0, orders: 1.0 }], &[]);
    assert!(image.push_member("token", MemberValue::Text("2885")));
    assert!(image.push_member("ltt", MemberValue::Number(1_748_426_445.0)));
    image.set_age(CarriedAge { newest_ms: 4_000, oldest_ms: 9_000 });
    image
}

#[test]
fn an_annex_travels_behind_the_levels() {
    let mut pair = Pair::new(1, 1);
    let topic = pair.producer.topic("NSE", "RELIANCE").unwrap();
    let mut image = image_with_annex();
    // Twice: an image that is finished can be finished again.
    for _ in 0..2 {
        assert!(pair.producer.publish_to(topic, image.finish(Mode::Depth)).unwrap());
    }
    let check = |tick: MessageView| {
        assert_eq!(tick.field(Field::Open), Some(1400.0));
        assert_eq!(tick.buys().next().map(|level| level.price), Some(1402.0));
        assert_eq!(tick.synonyms(), [0, 1]);
        let annex = tick.annex().unwrap();
        assert_eq!(annex.age(), Some(CarriedAge { newest_ms: 4_000, oldest_ms: 9_000 }));
        assert!(annex.replaces("ltt") && !annex.replaces("mode"));
        let members = annex.members();
        let members: Vec<_> = members.iter().map(|(key, value)| format!("{key} {value:?}")).collect();
        assert_eq!(members, ["token Text(\"2885\")", "ltt Number(1748426445.0)"]);
    };
    assert_eq!(pair.consumer.poll(2, check), 2);
    image.clear();
    image.set(Field::Ltp, 1.0);
    assert!(pair.producer.publish_to(topic, image.finish(Mode::Ltp)).unwrap());
    assert_eq!(pair.consumer.poll(2, |tick| assert!(tick.annex().is_none())), 1);
    assert_eq!((pair.consumer.lost(), pair.consumer.corrupt()), (0, 0));
}

#[test]
fn what_another_proxy_had_kept_is_as_old_as_it_was_there() {
    let mut pair = Pair::new(1, 1);
    let topic = pair.producer.topic("NSE", "RELIANCE").unwrap();
    assert!(pair.producer.write_to(topic, image_with_annex().finish(Mode::Depth), 10_000_000_000).unwrap());
    assert_eq!(pair.consumer.poll(1, |tick| assert_eq!(tick.publish_ns(), 6_000_000_000)), 1);
    let newest_ns = |pair: &Pair| pair.ring.stats().lanes[0].last_publish_ns;
    assert_eq!(newest_ns(&pair), 6_000_000_000, "a lane's last tick is no younger for it");
    let mut live = TickImage::new();
    live.set(Field::Ltp, 1.0);
    assert!(pair.producer.write_to(topic, live.finish(Mode::Ltp), 11_000_000_000).unwrap());
    assert!(pair.producer.write_to(topic, image_with_annex().finish(Mode::Depth), 12_000_000_000).unwrap());
    assert_eq!(newest_ns(&pair), 11_000_000_000, "and no older");
}
