//! Thousands of WebSocket clients in one thread. Prints one JSON object.
//!
//! `--port P --path / --protocol openalgo|plain|nats --clients N --stalled N --slow N --slow-read BYTES --slow-every MS`
//! `--topics N (of each client) --subscriptions equal|half|different --mode 1..3`
//! `--feed none|ring|nats --ring NAME --feed-port P --gather N --rate N (0: as fast as they arrive)`
//! `--first N (clients that come before its memory is looked at) --warm-up MS --warm-up-rate N --time MS --parts N (looks at
//! memory so often) --patience MS (wait so long for missing ticks) --pid PID (server, for its CPU and memory)`
//! `--churn N (connections a second)`

mod churn;
mod client;
mod clients;
mod driver;
mod feed;
mod meter;
mod process;
mod setup;
mod subscriptions;

use std::time::{Duration, Instant};

use openalgo_shm_fanout_bench::arguments::Arguments;

use crate::clients::Clients;
use crate::driver::Driver;
use crate::feed::Feed;
use crate::process::Process;
use crate::setup::Setup;

/// What memory needs to settle after many have connected.
const REST: Duration = Duration::from_millis(200);

fn main() {
    let arguments = Arguments::parse();
    let setup = Setup::of(&arguments);
    let server = Process { pid: arguments.number("pid", 0) };
    // What a server takes once, however many come, is not counted as theirs.
    let first = arguments.number("first", 0);
    let _first = Clients::connect(&Setup { clients: first, stalled: 0, slow: 0, ..setup.clone() });
    std::thread::sleep(REST);
    let memory_before = server.resident_kb();
    let mut feed = Feed::open(&arguments, &setup);

    let connecting = Instant::now();
    let mut clients = Clients::connect(&setup);
    let connected = connecting.elapsed();
    std::thread::sleep(REST);
    let memory_connected = server.resident_kb();
    let subscribing = Instant::now();
    clients.subscribe(&setup);
    let subscribed = subscribing.elapsed();
    std::thread::sleep(Duration::from_millis(100));
    let memory_subscribed = server.resident_kb();

    churn::start(&setup);
    let milliseconds = |name, default| Duration::from_millis(arguments.number(name, default));
    let mut driver = Driver::new();
    let warm_up = Setup { rate: arguments.number("warm-up-rate", setup.rate), ..setup.clone() };
    driver.run(&mut clients, &mut feed, &warm_up, milliseconds("warm-up", 300));
    if setup.rate > 0 || setup.churn > 0 {
        clients.start_meter();
    }
    driver.longest_turn = 0;
    let (published, messages) = (driver.published, clients.meter.messages);
    let (cpu, own_cpu, start) = (server.cpu_seconds(), Process::own().cpu_seconds(), Instant::now());
    let (time, parts) = (milliseconds("time", 1000), arguments.number("parts", 1));
    let mut memory = vec![memory_before, memory_connected, memory_subscribed];
    for _ in 0..parts {
        driver.run(&mut clients, &mut feed, &setup, time / parts);
        memory.push(server.resident_kb());
    }
    let seconds = start.elapsed().as_secs_f64();
    let (used, own_used) = (server.cpu_seconds() - cpu, Process::own().cpu_seconds() - own_cpu);
    let delivered = clients.meter.messages - messages;
    let ticks = driver.published - published;
    clients.end_gaps();
    let patience = milliseconds("patience", 2000);
    let missing = if setup.rate > 0 { driver.settle(&mut clients, patience) } else { 0 };
    let meter = &clients.meter;
    let longest_gap = if setup.rate > 0 { meter.longest_gap } else { 0 };
    println!(
        r#"{{"deliveries_per_second":{:.0},"ticks_per_second":{:.0},"cpu":{:.4},"own_cpu":{:.3},"p50_us":{},"p99_us":{},"p999_us":{},"longest_gap_us":{},"own_gap_us":{},"published":{},"owed":{},"delivered":{delivered},"missing":{missing},"skipped":{},"closed":{},"connect_ms":{},"subscribe_ms":{},"memory_kb":{memory:?}}}"#,
        delivered as f64 / seconds,
        ticks as f64 / seconds,
        used / seconds,
        own_used / seconds,
        meter.quantile_us(0.5),
        meter.quantile_us(0.99),
        meter.quantile_us(0.999),
        longest_gap / 1000,
        driver.longest_turn / 1000,
        driver.published,
        driver.owed,
        meter.skipped,
        meter.closed,
        connected.as_millis(),
        subscribed.as_millis(),
    );
}
