use super::{explore, race};
use crate::segment::Region;
use crate::segment::layout::NAME_BYTES;
use crate::segment::record::{self, WhoWords, name_words};

#[test]
fn a_monitor_never_mixes_two_owners() {
    explore(2, |order| {
        let region = Region::heap(32);
        let at = WhoWords::lane(0);
        let own_twice = {
            let region = region.clone();
            move || {
                for owner in ["a", "b"] {
                    let name = name_words("publisher name", &owner.repeat(NAME_BYTES)).expect("it fits");
                    record::write(&region, at, &name);
                }
            }
        };
        let watch = move || {
            if let Some(who) = record::read(&region, at) {
                let owner = if who.generation == 1 { "a" } else { "b" };
                assert_eq!(who.name, owner.repeat(NAME_BYTES));
                assert_eq!(who.pid, std::process::id());
            }
        };
        race(order, own_twice, watch);
    });
}
