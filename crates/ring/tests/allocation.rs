//! Publishing and reading never allocate, whatever happens in the ring meanwhile.

mod scratch;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use openalgo_shm_ring::layout::{LINE, Policy};
use openalgo_shm_ring::message::{DepthLevel, Field, Head, MarketDataMessage, Mode};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, RingConfig, WaitStrategy};
use scratch::ScratchName;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are this function's own.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    run();
    ALLOCATIONS.with(Cell::get) - before
}

#[test]
fn the_count_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn publish_batch_poll_and_wait_do_not_allocate() {
    for policy in [Policy::Overwrite, Policy::Lossless] {
        let name = ScratchName::new("allocation");
        let config = RingConfig::mpmc().lanes(2).topics(4).buffer_size(256 * LINE).policy(policy);
        let ring = LockFreeRingBuffer::create(&name, config).unwrap();
        let mut producer = ring.producer("writer").unwrap();
        let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
        let mut watcher = ring.consumer(ConsumerOptions::new("watcher").register(false)).unwrap();
        let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Depth).unwrap();
        let mut heads = vec![Head::default(); 16];
        let mut rest = vec![0; 16 * ring.layout().longest_rest()];
        let level = DepthLevel { price: 1.0, quantity: 1.0, orders: 1.0 };
        // The first message of a topic allocates: the producer remembers the name.
        let topic = producer.topic("NSE", "TCS").unwrap();

        let count = allocations(|| {
            for round in 0..1000_u32 {
                tick.set(Field::Ltp, f64::from(round));
                let levels = round as usize % 6;
                tick.set_depth(&[level; 5][..levels], &[level; 3][..levels.min(3)]).unwrap();
                // Until a lossless ring is full; an overwriting one laps its readers.
                for _ in 0..20 {
                    producer.publish(tick.as_words()).unwrap();
                    producer.publish_to(topic, tick.as_words()).unwrap();
                }
                producer.publish_batch((0..80).map(|_| tick.as_words())).unwrap();
                producer.publish_batch_to((0..80).map(|_| (topic, tick.as_words()))).unwrap();
                assert_eq!(producer.topic("NSE", "TCS").unwrap(), topic);
                watcher.wait(WaitStrategy::Adaptive, std::time::Duration::ZERO);
                watcher.poll(10, |tick| assert!(tick.field(Field::Ltp).is_some() && tick.name().is_some()));
                let count = reader.poll_into(&mut heads, &mut rest);
                for head in &heads[..count] {
                    assert!(reader.view(head, &rest).field(Field::Ltp).is_some());
                }
                reader.poll(usize::MAX, |_| {});
            }
        });
        assert_eq!(count, 0, "{policy:?}");
        assert_eq!((watcher.corrupt(), reader.corrupt()), (0, 0));
        assert!(watcher.lost() > 0 && (reader.lost() > 0) == (policy == Policy::Overwrite));
    }
}

#[test]
fn messages_of_plain_words_do_not_allocate() {
    for policy in [Policy::Overwrite, Policy::Lossless] {
        let name = ScratchName::new("allocation-words");
        let config = scratch::sized(RingConfig::mpmc().lanes(2).policy(policy), 3, 64);
        let ring = LockFreeRingBuffer::create(&name, config).unwrap();
        let mut producer = ring.producer("writer").unwrap();
        let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
        let words: [u64; 18] = std::array::from_fn(|word| word as u64);
        let count = allocations(|| {
            for round in 0..2000 {
                for length in 0..=words.len() {
                    producer.publish(&words[..length]).unwrap();
                    producer.write(&words[..length], 1).unwrap();
                }
                producer.publish_batch((0..=words.len()).map(|length| &words[..length])).unwrap();
                reader.wait(WaitStrategy::Sleep, std::time::Duration::ZERO);
                reader
                    .poll_words(round % 7 * 20, |record| assert!(record.words().eq(0..record.len() as u64)));
            }
        });
        assert_eq!(count, 0, "{policy:?}");
        assert_eq!(reader.corrupt(), 0);
        assert!(reader.received() > 1000 && (reader.lost() > 0) == (policy == Policy::Overwrite));
    }
}
