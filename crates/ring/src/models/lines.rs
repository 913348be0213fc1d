//! The protocol of the lines alone: a message is overwritten while it is read.

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;

use super::{START, explore, race, word, words_of};
use crate::message::head::{LINE_WORDS, META, Meta, PAYLOAD, PRESENCE};
use crate::message::{HEAD_PAYLOAD, LINE_PAYLOAD};
use crate::segment::Line;
use crate::segment::lines::{self, begins};
use crate::segment::tail::Tail;

pub(super) fn new_lines(capacity: usize) -> Arc<[Line]> {
    (0..capacity).map(|_| std::array::from_fn(|_| AtomicU64::new(0))).collect()
}

/// Writes a message of so many lines. Returns where the next begins.
pub(super) fn write_message(lines: &[Line], Tail { position, sequence }: Tail, count: usize) -> Tail {
    let length = words_of(count);
    let mut head = [0; LINE_WORDS];
    head[META] = Meta(0).placed(0, count).0;
    head[PRESENCE] = (length as u64) << 32 | sequence;
    for place in 0..HEAD_PAYLOAD {
        head[PAYLOAD + place] = word(sequence, length, place);
    }
    if count == 1 {
        lines::write_line(lines, position, &head);
    } else {
        let rest = (HEAD_PAYLOAD..length).map(|place| word(sequence, length, place));
        lines::write_lines(lines, position, count, &head, rest);
    }
    Tail { position: position + count as u64, sequence: sequence + 1 }
}

/// Reads the message of so many lines at a position, if it is there, and checks every word of it.
fn read(lines: &[Line], Tail { position, sequence }: Tail, count: usize) {
    let length = words_of(count);
    let (mut head, mut rest) = ([0; LINE_WORDS], [0; 2 * LINE_PAYLOAD]);
    if lines::stamp(lines, position) != begins(position) {
        return;
    }
    lines::copy_head(lines, position, &mut head);
    lines::copy_rest(lines, position, count, &mut rest);
    if !lines::is_unchanged(lines, position) {
        return;
    }
    assert_eq!(Meta(head[META]).lines(), count, "the message at {position} is torn");
    assert_eq!(head[PRESENCE], (length as u64) << 32 | sequence, "the message at {position} is torn");
    let payload = head[PAYLOAD..].iter().chain(&rest).take(length);
    for (place, &found) in payload.enumerate() {
        assert_eq!(found, word(sequence, length, place), "the message at {position} is torn at word {place}");
    }
}

/// A lane that begins with messages of `before` lines. The reader has come to the message with this
/// index, and meanwhile the writer goes on with `after`.
fn overwrite_while_read(preemptions: usize, before: &'static [usize], index: usize, after: &'static [usize]) {
    explore(preemptions, move |order| {
        // Room for the longest message and as much again, as in every layout.
        let longest = before.iter().chain(after).max().expect("messages");
        let lines = new_lines((2 * longest).max(4).next_power_of_two());
        let mut tails = vec![START];
        for &count in before {
            tails.push(write_message(&lines, tails[tails.len() - 1], count));
        }
        let go_on = {
            let (lines, end) = (Arc::clone(&lines), tails[tails.len() - 1]);
            move || {
                after.iter().fold(end, |tail, &count| write_message(&lines, tail, count));
            }
        };
        let count = *before.get(index).unwrap_or(&after[0]);
        race(order, go_on, move || read(&lines, tails[index], count));
    });
}

#[test]
fn a_message_of_one_line_is_read_whole_once_it_is_there() {
    overwrite_while_read(3, &[], 0, &[1]);
}

#[test]
fn a_message_of_two_lines_is_read_whole_once_it_is_there() {
    overwrite_while_read(3, &[], 0, &[2]);
}

#[test]
fn one_line_is_overwritten_by_a_message_of_one_line() {
    overwrite_while_read(2, &[1, 1, 1, 1], 0, &[1]);
}

#[test]
fn one_line_is_overwritten_by_the_second_line_of_a_message() {
    overwrite_while_read(2, &[1, 1, 1], 0, &[2]);
}

#[test]
fn two_lines_are_overwritten_by_two_messages_of_one_line() {
    overwrite_while_read(1, &[2, 1, 1], 0, &[1, 1]);
}

#[test]
fn two_lines_are_overwritten_by_one_message_of_two_lines() {
    overwrite_while_read(2, &[2, 1, 1], 0, &[2]);
}

#[test]
fn two_lines_are_overwritten_by_the_second_line_of_a_message_and_by_the_next_message() {
    overwrite_while_read(2, &[2, 1], 0, &[2, 1]);
}

#[test]
fn two_lines_around_the_end_of_the_lane_are_overwritten() {
    overwrite_while_read(2, &[1, 2, 2, 1], 2, &[1, 2]);
}

#[test]
fn three_lines_are_overwritten_by_the_second_line_of_a_message_and_by_the_next_message() {
    overwrite_while_read(2, &[3, 3, 1], 0, &[2, 2]);
}
