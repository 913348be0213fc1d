use super::{explore, race, small_ring};
use crate::segment::layout::{Policy, WORD};
use crate::segment::{Region, read_header, write_header};

#[test]
fn a_process_that_sees_the_magic_word_sees_the_whole_header() {
    explore(3, |order| {
        let layout = *small_ring(Policy::Lossless, 4).layout();
        let region = Region::heap(layout.total_bytes() / WORD);
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
