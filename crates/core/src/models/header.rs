use loom::thread;

use super::{explore, small_ring};
use crate::layout::Policy;
use crate::region::Region;
use crate::ring::{read_header, write_header};

#[test]
fn who_sees_the_magic_word_sees_the_whole_header() {
    explore(3, || {
        let layout = *small_ring(Policy::Lossless).layout();
        let region = Region::heap(layout.total_bytes() / 8);
        let creator = thread::spawn({
            let region = region.clone();
            move || write_header(&region, &layout)
        });
        if let Ok(found) = read_header(&region) {
            assert_eq!(found, layout);
        } else {
            assert_ne!(region[1].load(std::sync::atomic::Ordering::Relaxed), u64::MAX);
        }
        creator.join().expect("the creator ended");
        assert_eq!(read_header(&region), Ok(layout));
    });
}
