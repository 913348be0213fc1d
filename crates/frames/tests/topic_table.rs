//! One number space for the topics of a process.

use std::sync::Arc;

use openalgo_shm_frames::{MAX_TOPICS, TopicTable};
use openalgo_shm_ring::message::TopicName;

fn name(symbol: &str) -> TopicName {
    TopicName::new("NSE", symbol).unwrap()
}

#[test]
fn a_topic_says_its_name_and_number() {
    let table = TopicTable::new();
    let first = table.ask(&name("RELIANCE")).unwrap();
    let second = table.ask(&TopicName::new("MCX", "GOLD😀").unwrap()).unwrap();
    assert_eq!((first.number(), first.exchange(), first.symbol()), (0, "NSE", "RELIANCE"));
    assert_eq!((second.number(), second.exchange(), second.symbol()), (1, "MCX", "GOLD😀"));
    assert_eq!(*first.name(), name("RELIANCE"));
    assert!(!first.has_ticked());
}

#[test]
fn clones_of_a_table_give_the_same_topics() {
    let table = TopicTable::new();
    let topic = table.ask(&name("TCS")).unwrap();
    let clone = table.clone();
    assert!(Arc::ptr_eq(&clone.ask(&name("TCS")).unwrap(), &topic));
    assert!(Arc::ptr_eq(&clone.find(&name("TCS")).unwrap(), &topic));
    assert!(Arc::ptr_eq(&clone.intern_ticked(&name("TCS")).unwrap(), &topic));
    assert!(topic.has_ticked());
}

#[test]
fn names_that_are_wanted_no_more_leave_nothing_behind() {
    let table = TopicTable::new();
    let kept = table.ask(&name("KEPT")).unwrap();
    for round in 0..100 {
        let asked: Vec<_> = (0..3_000)
            .map(|number| table.ask(&name(&format!("INVENTED{round}-{number}"))).unwrap())
            .collect();
        assert!(asked.iter().map(|topic| topic.number()).eq(1..=3_000));
        drop(asked);
        assert!(table.find(&name(&format!("INVENTED{round}-7"))).is_none());
    }
    assert!(Arc::ptr_eq(&table.find(&name("KEPT")).unwrap(), &kept));
}

#[test]
fn the_lowest_free_number_is_given_first_and_only_when_nobody_has_the_topic() {
    let table = TopicTable::new();
    let mut topics: Vec<_> = (0..4).map(|number| table.ask(&name(&number.to_string())).unwrap()).collect();
    let second_holder = topics[1].clone();
    topics.drain(1..3);
    assert_eq!(table.ask(&name("NEW")).unwrap().number(), 2, "1 is still somebody's");
    drop(second_holder);
    let new = ["A", "B", "C"].map(|symbol| table.ask(&name(symbol)).unwrap());
    assert_eq!(new.map(|topic| topic.number()), [1, 2, 4]);
}

#[test]
fn a_topic_that_has_ticked_keeps_its_number_though_nobody_holds_it() {
    let table = TopicTable::new();
    drop(table.ask(&name("FIRST")));
    let asked = table.ask(&name("ASKED")).unwrap();
    assert_eq!(table.intern_ticked(&name("TICKED")).unwrap().number(), 1);
    assert_eq!(table.intern_ticked(&name("ASKED")).unwrap().number(), asked.number());
    drop(asked);
    let numbers = ["ASKED", "TICKED"].map(|symbol| table.find(&name(symbol)).unwrap().number());
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn topics_that_have_ticked_are_listed_in_the_order_of_their_first_ticks() {
    let table = TopicTable::new();
    let _asked = table.ask(&name("ASKED"));
    for symbol in ["B", "A", "C", "A"] {
        table.intern_ticked(&name(symbol));
    }
    let ticked = |from, most| {
        let topics = table.ticked(from, most);
        topics.iter().map(|topic| topic.symbol().to_owned()).collect::<Vec<_>>().join("")
    };
    assert_eq!(table.ticked_count(), 3);
    assert_eq!([ticked(0, 2), ticked(2, 2), ticked(1, usize::MAX)], ["BA", "C", "AC"]);
    assert_eq!([ticked(3, 1), ticked(usize::MAX, 1), ticked(0, 0)], ["", "", ""]);
}

#[test]
fn as_many_topics_can_be_asked_for_as_can_tick_and_neither_takes_the_others_room() {
    let table = TopicTable::new();
    let mut asked: Vec<_> =
        (0..MAX_TOPICS).map(|number| table.ask(&name(&number.to_string())).unwrap()).collect();
    assert!(table.ask(&name("MORE")).is_none());
    assert!(table.ask(&name("7")).is_some(), "it exists");
    for number in 1..MAX_TOPICS {
        table.intern_ticked(&name(&format!("T{number}"))).unwrap();
    }
    // The last to tick is one that was asked for, which makes room for another.
    assert_eq!(table.intern_ticked(&name("7")).unwrap().number(), 7);
    assert!(table.intern_ticked(&name("8")).is_none());
    assert!(table.intern_ticked(&name("T1")).is_some(), "it has ticked before");
    assert!(!asked[8].has_ticked());
    let more = table.ask(&name("MORE")).unwrap();
    assert_eq!(more.number() as usize, 2 * MAX_TOPICS - 1);
    assert!(table.ask(&name("EVEN MORE")).is_none());
    asked.remove(9);
    assert_eq!(table.ask(&name("EVEN MORE")).unwrap().number(), 9);
}

#[test]
fn a_topic_outlives_its_table() {
    let table = TopicTable::new();
    let (asked, ticked) = (table.ask(&name("A")).unwrap(), table.intern_ticked(&name("B")).unwrap());
    drop(table);
    assert_eq!((asked.symbol(), ticked.symbol()), ("A", "B"));
}
