//! Threads: panics, restarts, several of them, a ring that is created anew.

use std::sync::atomic::Ordering;

use crate::support::{Bench, options, until};
use openalgo_shm_delivery::{DeliveryOptions, Format};
use openalgo_shm_ring::message::{Mode, TopicName};
use openalgo_shm_ring::{LockFreeRingBuffer, RingConfig};

#[test]
fn a_panic_costs_the_clients_of_its_thread_their_connections_and_nobody_anything_else() {
    let mut bench = Bench::with(&DeliveryOptions { threads: 2, ..options() });
    let mut clients: Vec<_> = (0..4).map(|_| bench.client()).collect();
    for client in &clients {
        bench.want(client.id, "A", Mode::Ltp);
        bench.settle(client.id);
    }
    let of_thread = |bench: &Bench, thread| {
        let clients = clients.iter().map(|client| client.id);
        clients.filter(|&id| bench.delivery.thread_of(id) == Some(thread)).collect::<Vec<_>>()
    };
    let [lost, kept] = [of_thread(&bench, 0), of_thread(&bench, 1)];
    assert_eq!((lost.len(), kept.len()), (2, 2));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    bench.delivery.panic(0);
    let events = bench.await_event("the clients have failed", |events| events.failed.len() == 2);
    let mut failed = std::mem::take(&mut events.failed);
    failed.sort_unstable();
    assert_eq!(failed, lost);
    assert_eq!(events.panics, ["asked to panic, by a test"]);
    until("it runs again", || bench.delivery.threads().all(|thread| thread.is_running));
    std::panic::set_hook(hook);
    let restarts: Vec<u64> = bench.delivery.threads().map(|thread| thread.figures.restarts).collect();
    assert_eq!(restarts, [1, 0]);
    let mut anew = bench.client();
    assert_eq!(bench.delivery.thread_of(anew.id), Some(0));
    bench.want(anew.id, "A", Mode::Ltp);
    bench.settle(anew.id);
    bench.publish("A", Mode::Ltp, 7.0);
    assert_eq!(anew.ticks(1)[0].2, 7.0);
    for client in clients.iter_mut().filter(|client| kept.contains(&client.id)) {
        assert_eq!(client.ticks(1)[0].2, 7.0);
    }
}

#[test]
fn clients_are_spread_over_the_threads_and_all_get_every_tick() {
    let mut bench = Bench::with(&DeliveryOptions { threads: 3, ..options() });
    let mut clients: Vec<_> = (0..7).map(|_| bench.client()).collect();
    for client in &clients {
        bench.want(client.id, "*", Mode::Ltp);
        bench.settle(client.id);
    }
    for number in 0..500u32 {
        bench.publish(&format!("S{}", number % 5), Mode::Ltp, f64::from(number));
    }
    for client in &mut clients {
        let ticks = client.ticks(500);
        assert!(ticks.iter().enumerate().all(|(number, tick)| tick.2 == number as f64));
    }
    let counts: Vec<usize> = bench.delivery.threads().map(|thread| thread.clients).collect();
    assert_eq!(counts, [3, 2, 2]);
    assert_eq!(bench.delivery.names().collect::<Vec<_>>(), ["proxy-1", "proxy-2", "proxy-3"]);
    until("all were counted", || bench.sent() == 7 * 500);
}

#[test]
fn events_come_with_one_call_however_many_they_are() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..100).map(|_| bench.delivery.attach_handed(Format::Json)).collect();
    let requests: Vec<_> = ids.iter().map(|&id| bench.delivery.tell_when_flushed(id).unwrap()).collect();
    until("it was called", || bench.calls.load(Ordering::Relaxed) > 0);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(bench.calls.load(Ordering::Relaxed), 1);
    assert_eq!(bench.delivery.take_events().fulfilled, requests);
}

#[test]
fn delivery_goes_on_with_a_ring_that_was_created_anew_and_clients_stay() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.want(client.id, "A", Mode::Ltp);
    bench.settle(client.id);
    bench.publish("A", Mode::Ltp, 1.0);
    assert_eq!(client.ticks(1)[0].2, 1.0);
    let config = RingConfig::mpmc().lanes(1).consumers(4).depth_levels(20).buffer_size(1 << 20);
    bench.ring = LockFreeRingBuffer::on_heap(config).unwrap();
    bench.producer = bench.ring.producer("angel").unwrap();
    bench.publish("A", Mode::Ltp, 2.0);
    bench.delivery.reattach(&bench.ring).unwrap();
    assert_eq!(client.ticks(1)[0].2, 2.0);
    bench.settle(client.id);
    bench.publish("A", Mode::Ltp, 3.0);
    assert_eq!(client.ticks(1)[0].2, 3.0);
}

#[test]
fn a_ring_without_room_for_all_threads_starts_none() {
    let config = RingConfig::mpmc().lanes(1).consumers(2);
    let ring =
        LockFreeRingBuffer::on_heap(config.policy(openalgo_shm_ring::layout::Policy::Lossless)).unwrap();
    let made =
        openalgo_shm_delivery::Delivery::new(&ring, &DeliveryOptions { threads: 3, ..options() }, || ());
    assert_eq!(made.err().map(|error| error.code().as_str()), Some("ERR_NO_FREE_CONSUMER"));
    assert!(ring.stats().consumers.is_empty());
}

#[test]
fn closing_while_a_thread_sends_ends_at_once() {
    let mut bench = Bench::new();
    let clients: Vec<_> = (0..20).map(|_| bench.client()).collect();
    for client in &clients {
        bench.want(client.id, "*", Mode::Ltp);
    }
    for number in 0..5_000u32 {
        bench.publish("A", Mode::Ltp, f64::from(number));
    }
    drop(bench);
    // The descriptors of delivery are closed: the connection ends with the server's own.
    for mut client in clients {
        drop(std::mem::replace(&mut client.server, crate::support::connection().0));
        until("it is closed", || client.is_closed());
    }
}

#[test]
fn last_values_follow_the_subscription_and_those_asked_for_come_as_events() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    for number in 0..300u32 {
        bench.publish(&format!("S{number}"), Mode::Quote, f64::from(number));
    }
    until("all were read", || bench.delivery.threads().all(|thread| thread.figures.received == 300));
    bench.want(client.id, "*", Mode::Ltp);
    bench.settle(client.id);
    let all = bench.delivery.topics().ask(&TopicName::new("NSE", "*").unwrap()).unwrap();
    bench.delivery.send_snapshots(client.id, vec![(all, Mode::Ltp)], None);
    let ticks = client.ticks(300);
    assert!(ticks.iter().enumerate().all(|(number, tick)| *tick == (format!("S{number}"), 1, number as f64)));
    assert!(client.is_quiet());
    let one = bench.delivery.topics().find(&TopicName::new("NSE", "S7").unwrap()).unwrap();
    let query = bench.delivery.ask_snapshot(one, vec![Mode::Depth, Mode::Quote]);
    let events = bench.await_event("the answer came", |events| !events.answers.is_empty());
    let (number, frame) = events.answers.pop().unwrap();
    assert_eq!(number, query);
    let text = String::from_utf8(frame.unwrap()).map_err(|error| error.into_bytes());
    let bytes = text.map_or_else(|bytes| bytes, String::into_bytes);
    let message: serde_json::Value = serde_json::from_slice(&bytes[4..]).unwrap();
    assert_eq!((&message["snapshot"], &message["mode"]), (&true.into(), &2.into()));
}

#[test]
fn last_values_of_what_was_left_meanwhile_do_not_come() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.publish("A", Mode::Ltp, 1.0);
    until("it was read", || bench.delivery.threads().all(|thread| thread.figures.received == 1));
    let topic = bench.delivery.topics().ask(&TopicName::new("NSE", "A").unwrap()).unwrap();
    bench.want(client.id, "A", Mode::Ltp);
    bench.delivery.gather();
    bench.delivery.send_snapshots(client.id, vec![(topic, Mode::Ltp)], None);
    bench.leave(client.id, "A", Mode::Ltp);
    bench.delivery.release_gathered();
    bench.settle(client.id);
    assert!(client.is_quiet());
}
