use super::{explore, race, small_ring};
use crate::layout::Policy;
use crate::region::Region;
use crate::ring::{read_header, write_header};

#[test]
fn who_sees_the_magic_word_sees_the_whole_header() {
    explore(3, |order| {
        let layout = *small_ring(Policy::Lossless).layout();
        let region = Region::heap(layout.total_bytes() / 8);
        let create = {
            let region = region.clone();
            move || write_header(&region, &layout)
        };
        let attach = move || match read_header(&region) {
            Ok(found) => assert_eq!(found, layout),
            Err(error) => assert!(error.message().contains("its first word is 0x0"), "{error}"),
        };
        race(order, create, attach);
    });
}
