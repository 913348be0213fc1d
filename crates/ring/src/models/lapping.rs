//! A reader that is lapped goes on, and counts what it lost.

use super::tail::Lane;
use super::{START, assert_whole, drain, explore, producer, race, small_ring, watcher, write};
use crate::consumer::resync::{Resync, resync};
use crate::segment::layout::Policy;

/// The messages of the lane take so many lines each. The first `before` are written before the reader
/// polls, the others meanwhile.
fn lap(preemptions: usize, capacity: usize, counts: &'static [usize], before: usize) {
    explore(preemptions, move |order| {
        let ring = small_ring(Policy::Overwrite, capacity);
        let mut producer = producer(&ring);
        let mut consumer = watcher(&ring);
        counts[..before].iter().for_each(|&lines| assert!(write(&mut producer, lines)));
        // Never flushed: the reader knows of most of them by their stamps alone.
        let write_on =
            move || counts[before..].iter().for_each(|&lines| assert!(write(&mut producer, lines)));
        let read = move || {
            consumer.poll_words(1, assert_whole);
            consumer
        };
        let ((), mut consumer) = race(order, write_on, read);
        drain(&mut consumer);
        assert_eq!(consumer.corrupt(), 0);
        assert_eq!(consumer.received() + consumer.lost(), counts.len() as u64);
        assert_eq!(consumer.positions(), [counts.len() as u64]);
    });
}

#[test]
fn a_reader_of_messages_of_one_line_counts_what_it_lost() {
    lap(1, 4, &[1, 1, 1, 1, 1], 4);
}

#[test]
fn a_reader_of_messages_of_two_lines_counts_what_it_lost() {
    lap(1, 4, &[2, 2, 2], 2);
}

#[test]
fn a_reader_of_messages_of_both_lengths_counts_what_it_lost() {
    lap(1, 4, &[2, 1, 2, 1], 2);
}

#[test]
fn a_reader_that_is_lapped_again_while_it_looks_where_to_go_on_calls_nothing_corrupt() {
    explore(1, |order| {
        let lane = Lane::new(2);
        let from = *lane.write(START, &[1, 1, 1]).last().expect("one more than messages");
        let write_on = {
            let lane = lane.clone();
            move || lane.write(from, &[1, 1, 1])
        };
        let layout = *small_ring(Policy::Overwrite, 2).layout();
        let go_on = move || resync(&lane.record, &lane.lines, START, &layout, false, false);
        if let (_, Some(Resync { next, lost, corrupt })) = race(order, write_on, go_on) {
            assert_eq!((next.position, lost, corrupt), (next.sequence, next.sequence, 0));
        }
    });
}
