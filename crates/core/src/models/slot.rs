use std::sync::Arc;

use loom::sync::atomic::AtomicU64;

use super::{assert_whole, explore, message, race};
use crate::extent::Extent;
use crate::slot::{self, Read, committed};

/// A slot that is written twice, as by a lane of one slot.
#[test]
fn a_reader_has_a_whole_message_or_none_while_the_slot_is_written_again() {
    explore(3, |order| {
        let slot: Arc<[AtomicU64]> = (0..5).map(|_| AtomicU64::new(0)).collect();
        let write_twice = {
            let slot = Arc::clone(&slot);
            move || {
                for sequence in 0..2 {
                    slot::write(&slot, sequence, Extent::prefix(5), 300 + sequence, &message(sequence));
                }
            }
        };
        let read_both = move || {
            for sequence in 0..2 {
                let mut copy = [0; 5];
                match slot::read(&slot, sequence, 0, &mut copy) {
                    Read::Message => {
                        assert_eq!((copy[0], copy[2]), (sequence, 300 + sequence));
                        assert_whole(&copy);
                    }
                    Read::Empty => {}
                    Read::Lapped(stamp) => assert!(sequence == 0 && stamp > committed(0)),
                    Read::Corrupt => panic!("nothing corrupt was written"),
                }
            }
        };
        race(order, write_twice, read_both);
    });
}
