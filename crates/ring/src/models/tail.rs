//! The recorded tail: its position and its sequence are two words that are read as one.

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;

use super::lines::{new_lines, write_message};
use super::{START, explore, race};
use crate::segment::Line;
use crate::segment::layout::{LaneRecord, WORD};
use crate::segment::tail::{self, Tail};

/// The record and the lines of a lane.
#[derive(Clone)]
pub(super) struct Lane {
    pub record: Arc<[AtomicU64]>,
    pub lines: Arc<[Line]>,
}

impl Lane {
    pub(super) fn new(capacity: usize) -> Self {
        let record = (0..size_of::<LaneRecord>() / WORD).map(|_| AtomicU64::new(0)).collect();
        Self { record, lines: new_lines(capacity) }
    }

    /// Writes messages of so many lines each, and records the tail behind each. Returns all the tails.
    pub(super) fn write(&self, from: Tail, counts: &[usize]) -> Vec<Tail> {
        let mut tails = vec![from];
        for &count in counts {
            let tail = write_message(&self.lines, tails[tails.len() - 1], count);
            tail::record(&self.record, tail);
            tails.push(tail);
        }
        tails
    }
}

/// A reader reads the tail behind `before` while the writer goes on with `after`.
fn read_while_written(capacity: usize, before: &'static [usize], after: &'static [usize]) {
    explore(2, move |order| {
        let lane = Lane::new(capacity);
        let from = *lane.write(START, before).last().expect("one more than messages");
        let go_on = {
            let lane = lane.clone();
            move || lane.write(from, after)
        };
        let (ends, found) = race(order, go_on, move || tail::read(&lane.record, &lane.lines));
        assert!(ends.contains(&found), "{found:?} is the end of no message");
    });
}

#[test]
fn a_reader_has_the_sequence_that_belongs_to_the_position() {
    read_while_written(4, &[], &[1, 2]);
}

#[test]
fn a_reader_has_it_too_when_the_message_behind_the_tail_is_overwritten() {
    read_while_written(2, &[1, 1], &[1, 1, 1]);
}
