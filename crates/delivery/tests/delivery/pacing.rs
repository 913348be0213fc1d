//! Intervals belong to a topic and mode of a client.

use crate::support::{Bench, Client};
use openalgo_shm_delivery::Format;
use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode};

const HOUR_MS: u32 = 3_600_000;

/// What has come up to a last tick.
fn ticks(bench: &mut Bench, client: &mut Client) -> Vec<(u64, f64)> {
    bench.want(client.id, "LAST", Mode::Ltp);
    bench.settle(client.id);
    bench.publish("LAST", Mode::Ltp, 0.0);
    let mut ticks = Vec::new();
    loop {
        let (symbol, mode, ltp) = client.ticks(1).remove(0);
        if symbol == "LAST" {
            bench.leave(client.id, "LAST", Mode::Ltp);
            bench.settle(client.id);
            return ticks;
        }
        ticks.push((mode, ltp));
    }
}

#[test]
fn an_interval_of_one_mode_does_not_slow_another_of_the_same_topic() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want_paced(client.id, "A", Mode::Ltp, HOUR_MS);
    bench.want(client.id, "A", Mode::Depth);
    bench.settle(client.id);
    for ltp in 1..=3 {
        bench.publish("A", Mode::Depth, f64::from(ltp));
        bench.publish("A", Mode::Ltp, f64::from(10 * ltp));
    }
    assert_eq!(ticks(&mut bench, &mut client), [(3, 1.0), (1, 10.0), (3, 2.0), (3, 3.0)]);
}

#[test]
fn a_book_that_is_held_does_not_depend_on_clients_of_another_format() {
    let mut bench = Bench::new();
    let mut packed = bench.client_of(Format::MessagePack);
    let mut json = bench.client();
    bench.want_paced(packed.id, "A", Mode::Depth, HOUR_MS);
    bench.want(packed.id, "A", Mode::Ltp);
    bench.want(json.id, "A", Mode::Depth);
    bench.settle(packed.id);
    bench.settle(json.id);
    bench.publish("A", Mode::Depth, 1.0);
    bench.publish("A", Mode::Depth, 2.0);
    assert_eq!(json.ticks(2).len(), 2);
    // The second comes as a price; this gives at once the book that was held.
    bench.want(packed.id, "A", Mode::Depth);
    let mode = |frame: Vec<u8>| {
        let name = frame.windows(5).position(|bytes| bytes == b"\xa4mode").expect("a mode");
        frame[name + 5]
    };
    assert_eq!([(); 3].map(|()| mode(packed.frame().1)), [3, 1, 3]);
}

/// A client that gets an LTP once an hour and every book: it has got 1 and waits for 2.
fn with_a_held_price() -> (Bench, Client) {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want_paced(client.id, "A", Mode::Ltp, HOUR_MS);
    bench.want(client.id, "A", Mode::Depth);
    bench.settle(client.id);
    bench.publish("A", Mode::Ltp, 1.0);
    bench.publish("A", Mode::Ltp, 2.0);
    assert_eq!(client.ticks(1)[0].2, 1.0);
    (bench, client)
}

#[test]
fn an_older_price_that_is_held_does_not_follow_a_newer_one_of_a_higher_mode() {
    let (mut bench, mut client) = with_a_held_price();
    bench.publish("A", Mode::Depth, 3.0);
    assert_eq!(client.ticks(1), [("A".to_owned(), 3, 3.0)]);
    // This gives at once what is held.
    bench.want(client.id, "A", Mode::Ltp);
    assert_eq!(ticks(&mut bench, &mut client), []);
}

#[test]
fn a_price_that_is_held_follows_a_book_without_one() {
    let (mut bench, mut client) = with_a_held_price();
    let mut book: MarketDataMessage = MarketDataMessage::new("NSE", "A", Mode::Depth).unwrap();
    book.set(Field::Timestamp, 1.0).set(Field::Open, 1.0);
    assert!(bench.producer.publish(book.as_words()).unwrap());
    assert_eq!(client.message()["mode"], 3);
    bench.want(client.id, "A", Mode::Ltp);
    assert_eq!(ticks(&mut bench, &mut client), [(1, 2.0)]);
}

#[test]
fn a_client_that_joins_others_gets_nothing_twice_that_they_still_wait_for() {
    let mut bench = Bench::new();
    let [mut paced, mut client] = [bench.client(), bench.client()];
    bench.want_paced(paced.id, "A", Mode::Ltp, HOUR_MS);
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(paced.id);
    bench.settle(client.id);
    bench.publish("A", Mode::Ltp, 1.0);
    bench.publish("A", Mode::Ltp, 2.0);
    assert_eq!(client.ticks(2).iter().map(|tick| tick.2).collect::<Vec<_>>(), [1.0, 2.0]);
    bench.want_paced(client.id, "A", Mode::Ltp, HOUR_MS);
    bench.settle(client.id);
    for client in [&paced, &client] {
        bench.want(client.id, "A", Mode::Ltp);
    }
    assert_eq!(ticks(&mut bench, &mut paced), [(1, 1.0), (1, 2.0)]);
    assert_eq!(ticks(&mut bench, &mut client), []);
}

#[test]
fn a_tick_that_is_held_in_one_mode_comes_in_the_next_lower_one() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want_paced(client.id, "A", Mode::Depth, HOUR_MS);
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(client.id);
    for ltp in 1..=3 {
        bench.publish("A", Mode::Depth, f64::from(ltp));
    }
    assert_eq!(ticks(&mut bench, &mut client), [(3, 1.0), (1, 2.0), (1, 3.0)]);
}

#[test]
fn leaving_a_mode_undoes_its_interval() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want_paced(client.id, "A", Mode::Ltp, HOUR_MS);
    bench.settle(client.id);
    bench.publish("A", Mode::Ltp, 1.0);
    assert_eq!(client.ticks(1).len(), 1);
    bench.leave(client.id, "A", Mode::Ltp);
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(client.id);
    for ltp in [2.0, 3.0] {
        bench.publish("A", Mode::Ltp, ltp);
    }
    assert_eq!(ticks(&mut bench, &mut client), [(1, 2.0), (1, 3.0)]);
}

#[test]
fn what_was_held_comes_at_once_when_the_interval_ends_and_never_after_a_newer_tick() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want_paced(client.id, "A", Mode::Ltp, HOUR_MS);
    bench.settle(client.id);
    for ltp in [1.0, 2.0, 3.0] {
        bench.publish("A", Mode::Ltp, ltp);
    }
    assert_eq!(client.ticks(1)[0].2, 1.0);
    bench.publish("B", Mode::Ltp, 0.0);
    crate::support::until("all were read", || {
        bench.delivery.threads().all(|thread| thread.figures.received == 4)
    });
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(client.id);
    bench.publish("A", Mode::Ltp, 4.0);
    assert_eq!(ticks(&mut bench, &mut client), [(1, 3.0), (1, 4.0)]);
}

#[test]
fn the_newest_of_an_interval_comes_at_its_end_to_all_who_share_it() {
    let mut bench = Bench::new();
    let mut clients = [bench.client(), bench.client()];
    for client in &clients {
        bench.want_paced(client.id, "A", Mode::Ltp, 100);
        bench.settle(client.id);
    }
    for ltp in 1..=50 {
        bench.publish("A", Mode::Ltp, f64::from(ltp));
    }
    for client in &mut clients {
        assert_eq!(client.ticks(1)[0].2, 1.0);
        let mut last = 0.0;
        while last < 50.0 {
            let next = client.ticks(1)[0].2;
            assert!(next > last);
            last = next;
        }
    }
}

#[test]
fn a_client_that_leaves_its_equals_keeps_what_is_held_and_gets_it_in_time() {
    let mut bench = Bench::new();
    let mut clients = [bench.client(), bench.client()];
    for client in &clients {
        bench.want_paced(client.id, "A", Mode::Ltp, 200);
        bench.settle(client.id);
    }
    bench.publish("A", Mode::Ltp, 1.0);
    bench.publish("A", Mode::Ltp, 2.0);
    crate::support::until("both were read", || {
        bench.delivery.threads().all(|thread| thread.figures.received == 2)
    });
    bench.want(clients[0].id, "B", Mode::Ltp);
    for client in &mut clients {
        assert_eq!(client.ticks(2).iter().map(|tick| tick.2).collect::<Vec<_>>(), [1.0, 2.0]);
    }
    assert!(clients.iter_mut().all(Client::is_quiet));
}

#[test]
fn a_wildcards_interval_holds_for_every_topic_and_a_topics_own_comes_before_it() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want_paced(client.id, "*", Mode::Ltp, HOUR_MS);
    bench.want(client.id, "FAST", Mode::Ltp);
    bench.settle(client.id);
    for symbol in ["SLOW", "SLOW", "FAST", "FAST", "OTHER"] {
        bench.publish(symbol, Mode::Ltp, 1.0);
    }
    let ticks = client.ticks(4);
    assert_eq!(
        ticks.iter().map(|tick| tick.0.as_str()).collect::<Vec<_>>(),
        ["SLOW", "FAST", "FAST", "OTHER"]
    );
}

#[test]
fn a_shorter_interval_counts_from_the_next_tick_and_gives_what_was_held_at_once() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want_paced(client.id, "A", Mode::Ltp, HOUR_MS);
    bench.settle(client.id);
    for ltp in [1.0, 2.0] {
        bench.publish("A", Mode::Ltp, ltp);
    }
    crate::support::until("both were read", || bench.received() == 2);
    bench.want_paced(client.id, "A", Mode::Ltp, 50);
    bench.settle(client.id);
    assert_eq!(client.ticks(2).iter().map(|tick| tick.2).collect::<Vec<_>>(), [1.0, 2.0]);
    // The last price of a burst comes within the new interval, although no other tick does.
    for ltp in [3.0, 4.0, 5.0] {
        bench.publish("A", Mode::Ltp, ltp);
    }
    assert_eq!(client.ticks(2).iter().map(|tick| tick.2).collect::<Vec<_>>(), [3.0, 5.0]);
}

#[test]
fn a_name_without_an_interval_frees_what_a_wildcard_holds_of_it() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want_paced(client.id, "*", Mode::Ltp, HOUR_MS);
    bench.settle(client.id);
    for ltp in [1.0, 2.0] {
        bench.publish("A", Mode::Ltp, ltp);
    }
    crate::support::until("both were read", || bench.received() == 2);
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(client.id);
    assert_eq!(client.ticks(2).iter().map(|tick| tick.2).collect::<Vec<_>>(), [1.0, 2.0]);
}

#[test]
fn what_is_due_for_many_topics_comes_whole_and_in_one_piece_for_each_client() {
    let mut bench = Bench::new();
    let mut clients: Vec<_> = (0..10).map(|_| bench.client()).collect();
    for client in &clients {
        bench.want_paced(client.id, "*", Mode::Ltp, 200);
        bench.settle(client.id);
    }
    for ltp in [1.0, 2.0] {
        for topic in 0..1_000 {
            bench.publish(&format!("S{topic}"), Mode::Ltp, ltp);
        }
    }
    for client in &mut clients {
        let ticks = client.ticks(2_000);
        let second: std::collections::HashSet<_> =
            ticks.iter().filter(|tick| tick.2 == 2.0).map(|tick| tick.0.clone()).collect();
        assert_eq!(second.len(), 1_000);
    }
    assert!(clients.iter_mut().all(Client::is_quiet));
}
