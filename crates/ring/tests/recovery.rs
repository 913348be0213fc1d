//! A writer that dies leaves its lane so that the next owner goes on, at whatever store it died. Each death is
//! made by hand: the stores of a message are done one after the other in the file, in the order of the writer.
#![cfg(target_os = "linux")]

mod scratch;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use openalgo_shm_ring::layout::{Kind, LINE, Policy, lines_of_words};
use openalgo_shm_ring::message::{DepthLevel, Field, MarketDataMessage, Mode};
use openalgo_shm_ring::{ConsumerOptions, LockFreeRingBuffer, RingConfig, Start};
use scratch::{ScratchName, sized, words, words_of_lines};

const LONGEST: usize = 4;
const CAPACITY: usize = 8;
/// Records of one lane and one consumer fill the first page.
const LINES: usize = 4096;
/// Words of the lane's record.
const TAIL: usize = 256 + 128;
const SEQUENCE: usize = TAIL + 8;

/// Offset and value of each store.
type Stores = Vec<(usize, u64)>;

fn word(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().unwrap())
}

/// The stores that make `after` of `before`, in the order in which a writer does them: inside stamps, words,
/// the stamp of the whole message, the sequence, the tail.
fn stores_of_writer(before: &[u8], after: &[u8], position: u64, lines: u64) -> Stores {
    let line_of = |position: u64| LINES + (position as usize % CAPACITY) * LINE;
    let mut stores: Stores =
        (position..position + lines).map(|position| (line_of(position), 2 * position + 1)).collect();
    for position in position..position + lines {
        let line = line_of(position);
        stores.extend((1..8).map(|index| (line + 8 * index, word(after, line + 8 * index))));
    }
    stores.push((line_of(position), 2 * position + 2));
    for offset in [SEQUENCE, TAIL] {
        if word(before, offset) != word(after, offset) {
            stores.push((offset, word(after, offset)));
        }
    }
    stores
}

fn message(number: u64, lines: usize) -> Vec<u64> {
    vec![number << 8 | lines as u64; words_of_lines(lines)]
}

fn check(record: openalgo_shm_ring::message::Record) {
    let found = words(record);
    let lines = lines_of_words(found.len());
    assert_eq!(found, message(record.sequence(), lines), "message {} is torn", record.sequence());
}

/// A lane whose writer left off before a message of `lines` lines at `offset`, and its death in that message
/// after each of its stores; `flush` tells whether it recorded the tail.
fn die_everywhere(offset: u64, lines: usize, flush: bool, policy: Policy) {
    let name = ScratchName::new("death");
    let config = sized(RingConfig::mpmc().lanes(1).consumers(1).policy(policy), LONGEST, CAPACITY);
    let ring = LockFreeRingBuffer::create(&name, config).unwrap();
    let file = File::options().write(true).open(name.path()).unwrap();
    let mut writer = ring.producer("writer").unwrap();
    // A lap of other messages lies below, of every size.
    let mut size = 0;
    while writer.position() < CAPACITY as u64 + offset {
        size = size % LONGEST + 1;
        let lines = size.min((CAPACITY as u64 + offset - writer.position()) as usize);
        writer.publish(&message(writer.tail(), lines)).unwrap();
    }
    let (tail, position) = (writer.tail(), writer.position());
    let before = fs::read(name.path()).unwrap();
    writer.write(&message(tail, lines), 0).unwrap();
    if flush {
        writer.flush();
    }
    drop(writer);
    let after = fs::read(name.path()).unwrap();
    let stores = stores_of_writer(&before, &after, position, lines as u64);
    let whole = lines * 8;
    for died in 0..=stores.len() {
        file.write_all_at(&before, 0).unwrap();
        for (offset, value) in &stores[..died] {
            file.write_all_at(&value.to_le_bytes(), *offset as u64).unwrap();
        }
        let what = format!("{policy:?}, {lines} lines at {offset}, flush {flush}, died after store {died}");
        let committed = tail + u64::from(died > whole);
        // One reader that kept up, one that begins with the oldest.
        let mut newest = ring.consumer(ConsumerOptions::new("newest").register(false)).unwrap();
        let oldest = ConsumerOptions::new("oldest").register(false).from(Start::Oldest);
        let mut oldest = ring.consumer(oldest).unwrap();
        let first = oldest.positions()[0];
        let shown = newest.positions()[0];
        assert!(shown == tail || shown == committed, "{what}");
        assert_eq!(newest.poll_words(99, check) as u64, committed - shown, "{what}");
        assert_eq!(first + oldest.poll_words(99, check) as u64 + oldest.lost(), committed, "{what}");

        let mut successor = ring.producer("successor").unwrap();
        assert_eq!(successor.tail(), committed, "{what}");
        for size in (1..=LONGEST).cycle().skip(died).take(9) {
            assert!(successor.publish(&message(successor.tail(), size)).unwrap());
            for reader in [&mut newest, &mut oldest] {
                assert_eq!(reader.poll_words(99, check), 1, "{what}");
            }
        }
        assert_eq!((newest.lost(), newest.corrupt(), oldest.corrupt()), (0, 0, 0), "{what}");
        assert_eq!(newest.positions(), [successor.tail()], "{what}");
    }
}

#[test]
fn the_next_owner_goes_on_wherever_in_a_message_its_predecessor_died() {
    for offset in 0..CAPACITY as u64 {
        for lines in 1..=LONGEST {
            for flush in [false, true] {
                die_everywhere(offset, lines, flush, Policy::Overwrite);
            }
        }
    }
    for lines in 1..=LONGEST {
        die_everywhere(3, lines, true, Policy::Lossless);
    }
}

#[test]
fn what_was_written_and_never_flushed_is_found_up_to_a_lane_of_it() {
    for unflushed in 0..60 {
        for longest in [1, 2, 4] {
            let name = ScratchName::new("unflushed");
            let config = sized(RingConfig::mpmc().lanes(1).consumers(2), longest, 2 * longest);
            let ring = LockFreeRingBuffer::create(&name, config).unwrap();
            let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
            let mut writer = ring.producer("writer").unwrap();
            for number in 0..unflushed {
                writer.write(&message(number, 1 + (number as usize * 7) % longest), 0).unwrap();
            }
            let (tail, position) = (writer.tail(), writer.position());
            drop(writer);
            let mut successor = ring.producer("successor").unwrap();
            assert_eq!((successor.tail(), successor.position()), (tail, position));
            successor.publish(&message(tail, longest)).unwrap();
            let mut last = None;
            reader.poll_words(99, |record| {
                check(record);
                last = Some(record.sequence());
            });
            assert_eq!(last, Some(unflushed), "the reader comes to the successor's message");
            assert_eq!(reader.received() + reader.lost(), unflushed + 1);
        }
    }
}

/// The numbers that a tail can leave behind: two words, stored one after the other.
#[test]
fn an_owner_that_died_between_sequence_and_tail_is_told_from_one_that_did_not() {
    let name = ScratchName::new("between");
    let ring = LockFreeRingBuffer::create(&name, sized(RingConfig::mpmc().lanes(1), 2, 64)).unwrap();
    let file = File::options().write(true).open(name.path()).unwrap();
    for committed in 0..40_u64 {
        let mut writer = ring.producer("writer").unwrap();
        assert_eq!(writer.tail(), committed);
        let old = word(&fs::read(name.path()).unwrap(), TAIL);
        writer.publish(&message(committed, 1 + committed as usize % 2)).unwrap();
        drop(writer);
        file.write_all_at(&old.to_le_bytes(), TAIL as u64).unwrap();
        let newest = ring.consumer(ConsumerOptions::new("newest").register(false)).unwrap();
        assert_eq!(newest.positions(), [committed + 1], "the message behind the tail tells its sequence");
    }
}

#[test]
fn a_lane_that_claims_to_have_carried_more_than_it_can_is_refused_to_the_next_owner() {
    for (offset, what) in [(TAIL, "lines"), (SEQUENCE, "messages")] {
        let name = ScratchName::new("claims");
        let ring = LockFreeRingBuffer::create(&name, sized(RingConfig::mpmc().lanes(1), 2, 64)).unwrap();
        drop(ring.producer("writer").unwrap());
        let file = File::options().write(true).open(name.path()).unwrap();
        for claim in [1_u64 << 56, u64::MAX / 2, u64::MAX] {
            file.write_all_at(&claim.to_le_bytes(), offset as u64).unwrap();
            let error = ring.producer("writer").err().unwrap();
            assert_eq!(error.code().as_str(), "ERR_SHM_LAYOUT");
            assert!(error.message().contains(&format!("carried {claim} {what}")), "{error}");
            assert!(!ring.is_in_use(), "and it takes no lock");
        }
    }
}

#[test]
fn a_tick_of_many_lines_that_was_not_finished_is_written_anew() {
    let name = ScratchName::new("tick");
    let config = RingConfig::mpmc().lanes(1).consumers(1).topics(64).buffer_size(32 * LINE);
    let ring = LockFreeRingBuffer::create(&name, config).unwrap();
    assert_eq!(ring.layout().kind, Kind::Ticks);
    let file = File::options().write(true).open(name.path()).unwrap();
    let mut reader = ring.consumer(ConsumerOptions::new("reader")).unwrap();
    let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", "TCS", Mode::Depth).unwrap();
    Field::ALL.iter().for_each(|field| {
        tick.set(*field, 1.0);
    });
    let level = DepthLevel { price: 1.0, quantity: 2.0, orders: 3.0 };
    tick.set_depth(&[level; 5], &[level; 5]).unwrap();
    for round in 0..20_u64 {
        let mut writer = ring.producer("writer").unwrap();
        assert_eq!(writer.tail(), round);
        let position = writer.position();
        let line = 4096 + 4096 + (position % 32) * LINE as u64;
        writer.write(tick.as_words(), 0).unwrap();
        drop(writer);
        // Its last store was not done.
        file.write_all_at(&(2 * position + 1).to_le_bytes(), line).unwrap();
        file.write_all_at(&round.to_le_bytes(), SEQUENCE as u64).unwrap();
        file.write_all_at(&position.to_le_bytes(), TAIL as u64).unwrap();
        assert_eq!(reader.poll(9, |_| {}), 0);
        let mut successor = ring.producer("writer").unwrap();
        let mut short: MarketDataMessage = MarketDataMessage::new("NSE", "INFY", Mode::Ltp).unwrap();
        short.set(Field::Ltp, round as f64);
        successor.publish(short.as_words()).unwrap();
        assert_eq!(reader.poll(9, |tick| assert_eq!(tick.field(Field::Ltp), Some(round as f64))), 1);
    }
    assert_eq!((reader.received(), reader.lost(), reader.corrupt()), (20, 0, 0));
}
