//! What clients with real sockets get.

use std::time::Duration;

use crate::support::{Bench, brief, connection, options, text_frame, until};
use openalgo_shm_delivery::{DeliveryOptions, Format};
use openalgo_shm_ring::message::{Mode, TopicName};
use serde_json::json;

fn tick(symbol: &str, mode: u64, ltp: f64) -> (String, u64, f64) {
    (symbol.to_owned(), mode, ltp)
}

#[test]
fn a_tick_goes_to_the_subscribers_of_its_mode_and_of_lower_ones_each_in_its_own() {
    let mut bench = Bench::new();
    let mut clients = [bench.client(), bench.client(), bench.client()];
    for (client, mode) in clients.iter().zip([Mode::Ltp, Mode::Quote, Mode::Depth]) {
        bench.want(client.id, "SBIN", mode);
        bench.settle(client.id);
    }
    for (mode, ltp) in [(Mode::Ltp, 1.0), (Mode::Quote, 2.0), (Mode::Depth, 3.0)] {
        bench.publish("SBIN", mode, ltp);
    }
    assert_eq!(clients[0].ticks(3), [tick("SBIN", 1, 1.0), tick("SBIN", 1, 2.0), tick("SBIN", 1, 3.0)]);
    assert_eq!(clients[1].ticks(2), [tick("SBIN", 2, 2.0), tick("SBIN", 2, 3.0)]);
    assert_eq!(clients[2].ticks(1), [tick("SBIN", 3, 3.0)]);
    assert!(clients.iter_mut().all(crate::support::Client::is_quiet));
}

#[test]
fn answers_and_ticks_keep_the_order_of_the_commands() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for round in 0..200 {
        bench.delivery.gather();
        bench.delivery.send(client.id, &text_frame(&format!(r#"{{"answer":{round}}}"#)));
        bench.want(client.id, "SBIN", Mode::Ltp);
        bench.delivery.release_gathered();
        bench.settle(client.id);
        bench.publish("SBIN", Mode::Ltp, f64::from(round));
        assert_eq!(client.message(), json!({ "answer": round }));
        assert_eq!(client.ticks(1), [tick("SBIN", 1, f64::from(round))]);
        bench.leave(client.id, "SBIN", Mode::Ltp);
        bench.settle(client.id);
    }
}

#[test]
fn every_tick_comes_once_and_in_order_however_clients_share_subscriptions() {
    let mut bench = Bench::new();
    let mut clients: Vec<_> = (0..8).map(|_| bench.client()).collect();
    for (index, client) in clients.iter().enumerate() {
        bench.want(client.id, "*", Mode::Ltp);
        if index % 2 == 0 {
            bench.want(client.id, "S1", Mode::Quote);
        }
        bench.settle(client.id);
    }
    let readers = std::thread::scope(|scope| {
        let readers: Vec<_> = clients.iter_mut().map(|client| scope.spawn(|| client.ticks(20_000))).collect();
        for number in 0..20_000u32 {
            bench.publish(&format!("S{}", number % 7), Mode::Ltp, f64::from(number));
            if number % 500 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    for ticks in readers {
        assert!(ticks.iter().enumerate().all(|(number, tick)| tick.2 == number as f64));
    }
}

#[test]
fn a_client_that_is_behind_gets_the_newest_of_each_topic_and_is_told_how_many_it_missed() {
    let mut bench = Bench::with(&DeliveryOptions { high_water_mark: 64 * 1024, ..options() });
    let (mut slow, mut other) = (bench.client(), bench.client());
    for client in [&slow, &other] {
        bench.want(client.id, "A", Mode::Ltp);
        bench.want(client.id, "B", Mode::Ltp);
        bench.settle(client.id);
    }
    let conflated = |bench: &Bench| bench.delivery.figures_of(slow.id).unwrap().conflated();
    let mut ltp = 0.0;
    while conflated(&bench) < 100 {
        ltp += 1.0;
        bench.publish("A", Mode::Ltp, ltp);
        bench.publish("B", Mode::Ltp, ltp);
        assert_eq!(other.ticks(2), [tick("A", 1, ltp), tick("B", 1, ltp)]);
    }
    assert!(bench.delivery.figures_of(slow.id).unwrap().is_conflated());
    assert!(bench.delivery.figures_of(slow.id).unwrap().backlog() <= 64 * 1024);
    let missed = conflated(&bench);
    // An answer is neither dropped nor held up by what is kept.
    bench.delivery.send(slow.id, &text_frame(r#"{"pong":1}"#));
    let mut got = Vec::new();
    loop {
        let message = slow.message();
        if message["type"] == "skipped" {
            assert_eq!(message, json!({ "type": "skipped", "count": missed }));
            break;
        }
        got.push(message);
    }
    let pong = got.iter().position(|message| message["pong"] == 1).expect("the answer came");
    got.remove(pong);
    assert_eq!(got.len() as u64 + missed, 2 * ltp as u64);
    assert_eq!(brief(&got[got.len() - 2]), tick("A", 1, ltp));
    assert_eq!(brief(&got[got.len() - 1]), tick("B", 1, ltp));
    until("it is not behind", || !bench.delivery.figures_of(slow.id).unwrap().is_conflated());
    bench.publish("A", Mode::Ltp, ltp + 1.0);
    assert_eq!(slow.ticks(1), [tick("A", 1, ltp + 1.0)]);
}

/// What comes to a client that is behind after it has left A, or all, and wants it again.
fn after_leaving(leaves_all: bool) -> Vec<(String, u64, f64)> {
    let mut bench = Bench::with(&DeliveryOptions { high_water_mark: 16 * 1024, ..options() });
    let (mut slow, mut other) = (bench.client(), bench.client());
    for client in [&slow, &other] {
        for symbol in ["A", "B"] {
            bench.want(client.id, symbol, Mode::Ltp);
        }
        bench.settle(client.id);
    }
    let mut ltp = 0.0;
    while bench.delivery.figures_of(slow.id).unwrap().conflated() < 10 {
        ltp += 1.0;
        bench.publish("A", Mode::Ltp, ltp);
        bench.publish("B", Mode::Ltp, ltp);
        assert_eq!(other.ticks(2).len(), 2);
    }
    if leaves_all {
        bench.delivery.release(slow.id);
        bench.want(slow.id, "B", Mode::Ltp);
    } else {
        bench.leave(slow.id, "A", Mode::Ltp);
    }
    bench.delivery.send(slow.id, &text_frame(r#"{"left":"A"}"#));
    bench.want(slow.id, "A", Mode::Ltp);
    let mut after = Vec::new();
    let mut has_left = false;
    loop {
        let message = slow.message();
        if message["type"] == "skipped" {
            break;
        } else if message["left"] == "A" {
            has_left = true;
        } else if has_left {
            after.push(brief(&message));
        }
    }
    after
}

#[test]
fn what_is_kept_of_a_topic_that_was_left_meanwhile_does_not_come_even_when_it_is_wanted_again() {
    let symbols = |after: Vec<(String, u64, f64)>| after.into_iter().map(|tick| tick.0).collect::<Vec<_>>();
    assert_eq!(symbols(after_leaving(false)), ["B"]);
    assert!(symbols(after_leaving(true)).is_empty());
}

#[test]
fn a_client_that_finishes_gets_what_is_kept_and_no_new_ticks() {
    let mut bench = Bench::with(&DeliveryOptions { high_water_mark: 16 * 1024, ..options() });
    let mut client = bench.client();
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(client.id);
    let mut ltp = 0.0;
    while bench.delivery.figures_of(client.id).unwrap().conflated() < 10 {
        ltp += 1.0;
        bench.publish("A", Mode::Ltp, ltp);
    }
    until("all were read", || bench.delivery.threads().all(|thread| thread.figures.received == ltp as u64));
    let request = bench.delivery.finish(client.id).unwrap();
    let id = client.id;
    let reader = std::thread::spawn(move || {
        let mut last = None;
        loop {
            let message = client.message();
            if message["type"] == "skipped" {
                return (client, last.unwrap());
            }
            last = Some(brief(&message));
        }
    });
    bench.await_event("nothing is left", |events| events.fulfilled.contains(&request));
    bench.publish("A", Mode::Ltp, -1.0);
    let (mut client, last) = reader.join().unwrap();
    assert_eq!(last, tick("A", 1, ltp));
    bench.delivery.send(id, b"\x88\x02\x03\xe9");
    assert_eq!(client.frame(), (0x88, vec![3, 0xe9]));
    assert!(client.is_quiet());
}

#[test]
fn nothing_follows_a_close_frame() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(client.id);
    bench.delivery.send(client.id, b"\x81\x02{}\x88\x00");
    bench.publish("A", Mode::Ltp, 1.0);
    bench.delivery.send(client.id, &text_frame("{}"));
    bench.settle(client.id);
    assert_eq!([client.frame().0, client.frame().0], [0x81, 0x88]);
    assert!(client.is_quiet());
}

#[test]
fn a_client_that_takes_nothing_is_reported_once() {
    let mut bench = Bench::with(&DeliveryOptions {
        high_water_mark: 1024,
        slow_client_timeout: Duration::from_millis(1),
        ..options()
    });
    let client = bench.client();
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(client.id);
    while bench.delivery.figures_of(client.id).unwrap().conflated() == 0 {
        bench.publish("A", Mode::Ltp, 1.0);
    }
    bench.await_event("it is stuck", |events| events.stuck.contains(&client.id)).stuck.clear();
    std::thread::sleep(Duration::from_millis(300));
    assert!(bench.await_event("events are there", |_| true).stuck.is_empty());
}

#[test]
fn a_connection_that_dies_is_reported_and_costs_nobody_else() {
    let mut bench = Bench::new();
    let (dying, mut living) = (bench.client(), bench.client());
    for client in [&dying, &living] {
        bench.want(client.id, "A", Mode::Ltp);
        bench.settle(client.id);
    }
    let id = dying.id;
    // With unread bytes, so that the other end gets a reset.
    bench.publish("A", Mode::Ltp, 0.0);
    until("it was sent", || bench.sent() == 2);
    drop(dying);
    let mut ltp = 0.0;
    let mut failed = false;
    while !failed {
        ltp += 1.0;
        bench.publish("A", Mode::Ltp, ltp);
        failed = bench.await_event("events are there", |_| true).failed.contains(&id)
            || bench.delivery.take_events().failed.contains(&id);
    }
    bench.delivery.detach(id);
    let ticks = living.ticks(1 + ltp as usize);
    assert!(ticks.iter().enumerate().all(|(number, tick)| tick.2 == number as f64));
}

#[test]
fn a_descriptor_that_is_no_socket_is_refused() {
    use std::os::fd::AsRawFd;
    let mut bench = Bench::new();
    let file = std::fs::File::open("/dev/null").unwrap();
    assert!(bench.delivery.attach(file.as_raw_fd(), Format::Json).is_err());
    assert!(bench.delivery.attach(-1, Format::Json).is_err());
    assert!(bench.delivery.attach(1_000_000, Format::Json).is_err());
    assert_eq!(bench.delivery.threads().map(|thread| thread.clients).sum::<usize>(), 0);
}

#[test]
fn a_descriptor_that_is_closed_and_given_again_gets_nothing_of_the_client_before() {
    use std::os::fd::AsRawFd;
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(client.id);
    let (server, mut other) = connection();
    // SAFETY: both are open descriptors of this test: the number of the first becomes the second's.
    assert!(unsafe { libc::dup2(server.as_raw_fd(), client.server.as_raw_fd()) } >= 0);
    bench.publish("A", Mode::Ltp, 1.0);
    assert_eq!(client.ticks(1), [tick("A", 1, 1.0)]);
    other.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(std::io::Read::read(&mut other, &mut [0; 16]).is_err(), "nothing has come");
}

#[test]
fn a_thousand_attaches_and_detaches_leave_nothing_behind() {
    let mut bench = Bench::new();
    let mut staying = bench.client();
    bench.want(staying.id, "A", Mode::Ltp);
    bench.settle(staying.id);
    for round in 0..1_000u32 {
        let client = bench.client();
        bench.want(client.id, "A", Mode::Ltp);
        bench.want(client.id, &format!("X{}", round % 50), Mode::Depth);
        if round % 3 == 0 {
            bench.publish("A", Mode::Ltp, f64::from(round));
        }
        if round % 2 == 0 {
            bench.delivery.detach(client.id);
            drop(client);
        } else {
            drop(client.stream);
            bench.delivery.detach(client.id);
        }
    }
    bench.settle(staying.id);
    let thread = bench.delivery.threads().next().unwrap();
    assert_eq!((thread.clients, thread.figures.audiences), (1, 1));
    let topics = bench.delivery.topics();
    assert!(topics.find(&TopicName::new("NSE", "X7").unwrap()).is_none());
    assert_eq!(staying.ticks(334).last().unwrap().2, 999.0);
}

#[test]
fn frames_for_clients_without_a_socket_are_handed_over_joined_and_bounded() {
    let mut bench = Bench::with(&DeliveryOptions { high_water_mark: 4096, ..options() });
    let ids = [bench.delivery.attach_handed(Format::Json), bench.delivery.attach_handed(Format::Json)];
    for id in ids {
        bench.want(id, "A", Mode::Ltp);
        bench.settle(id);
    }
    bench.publish("A", Mode::Ltp, 1.0);
    let events = bench.await_event("frames came", |events| !events.handed.is_empty());
    assert_eq!(events.handed.len(), 1);
    let handed = events.handed.pop().unwrap();
    assert_eq!(handed.clients, ids);
    assert_eq!(handed.frames[0], 0x81);
    // One passes its frames on, the other does not.
    let mut to_one = handed.frames.len();
    for ltp in 2..200 {
        bench.publish("A", Mode::Ltp, f64::from(ltp));
        bench.delivery.acknowledge(ids[0], to_one);
        to_one = 0;
        let events = bench.await_event("its frames came", |events| {
            events.handed.iter().any(|handed| handed.clients.contains(&ids[0]))
        });
        for handed in events.handed.drain(..) {
            if handed.clients.contains(&ids[0]) {
                to_one += handed.frames.len();
            }
        }
    }
    let figures = |id| bench.delivery.figures_of(id).unwrap();
    assert_eq!((figures(ids[0]).sent(), figures(ids[0]).conflated()), (199, 0));
    assert!(figures(ids[1]).backlog() <= 4096);
    assert!(figures(ids[1]).conflated() > 100);
}

#[test]
fn message_pack_goes_to_those_who_want_it() {
    let mut bench = Bench::new();
    let (mut json, mut packed) = (bench.client(), bench.client_of(Format::MessagePack));
    for client in [&json, &packed] {
        bench.want(client.id, "A", Mode::Ltp);
        bench.settle(client.id);
    }
    bench.publish("A", Mode::Ltp, 1.0);
    assert_eq!((json.frame().0, packed.frame().0), (0x81, 0x82));
}
