//! Publishing and reading never allocate, whatever happens in the ring meanwhile.

mod scratch;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use openalgo_shm_core::layout::Policy;
use openalgo_shm_core::message::{DepthLevel, Field, MarketDataMessage, Mode};
use openalgo_shm_core::{ConsumerOptions, LockFreeRingBuffer, RingConfig, WaitStrategy};
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
        let config = RingConfig::mpmc().lanes(2).buffer_size(64 * 640).policy(policy);
        let ring = LockFreeRingBuffer::create(&name, config).unwrap();
        let mut producer = ring.producer("writer").unwrap();
        let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
        let mut watcher = ring.consumer(ConsumerOptions::new("watcher").register(false)).unwrap();
        let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Depth).unwrap();
        let mut records = vec![0; 16 * ring.layout().slot_words()];
        let level = DepthLevel { price: 1.0, quantity: 1.0, orders: 1.0 };

        let count = allocations(|| {
            for round in 0..1000 {
                tick.set(Field::Ltp, f64::from(round));
                tick.set_depth(&[level; 5], &[level; 3]).unwrap();
                // Until a lossless ring is full; an overwriting one laps its readers.
                for _ in 0..20 {
                    producer.publish(tick.as_words()).unwrap();
                }
                producer.publish_batch((0..80).map(|_| tick.as_words())).unwrap();
                watcher.wait(WaitStrategy::Adaptive, std::time::Duration::ZERO);
                watcher.poll(10, |tick| assert!(tick.field(Field::Ltp).is_some()));
                reader.poll_into(&mut records, 16);
                reader.poll_words(usize::MAX, |_| {});
            }
        });
        assert_eq!(count, 0, "{policy:?}");
        assert!(watcher.lost() > 0 && (reader.lost() > 0) == (policy == Policy::Overwrite));
    }
}
