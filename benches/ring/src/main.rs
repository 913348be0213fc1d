//! `openalgo-shm-ring-bench [--quick] [--runs N] [--json FILE]`

mod crowd;
mod figures;
mod limit;
mod link;
mod machine;
mod own;
mod peers;
mod placement;
mod processes;

use std::time::Duration;

use figures::{By, Figures};
use link::{Latency, Link, Stream, latency, throughput};
use own::{How, Ring, RingPair, Shape};
use peers::iceoryx::Iceoryx;
use peers::photon::Photon;
use peers::queue::Rtrb;
use peers::socket::Socket;
use peers::zeromq::ZeroMq;
use placement::Placement;

/// Slots of the default ring: 1 MiB for five levels.
const SLOTS: usize = 1024;
/// Slots of a ring that is large enough to hide the lock-step of reader and writer.
const MANY_SLOTS: usize = 16_384;
const BATCH: usize = 16;

struct Options {
    quick: bool,
    runs: usize,
    json: Option<String>,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self { quick: false, runs: 5, json: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => (options.quick, options.runs) = (true, 3),
                "--runs" => {
                    options.runs = arguments.next().and_then(|runs| runs.parse().ok()).expect("--runs NUMBER")
                }
                "--json" => options.json = Some(arguments.next().expect("--json FILE")),
                other => panic!("unknown option {other}: expected --quick, --runs NUMBER, --json FILE"),
            }
        }
        options
    }

    /// Fewer messages with `--quick`.
    const fn scaled(&self, count: u64) -> u64 {
        if self.quick { count / 5 / BATCH as u64 * BATCH as u64 } else { count }
    }
}

fn main() {
    let options = Options::parse();
    let mut figures = Figures::default();
    let mut placement = Placement::new();
    println!("machine: {}", machine::describe());
    for run in 1..=options.runs {
        eprintln!("run {run} of {}", options.runs);
        latencies(&options, &mut placement, &mut figures);
        throughputs(&options, &mut placement, &mut figures);
        shapes(&options, &mut placement, &mut figures);
        crowds(&options, &mut placement, &mut figures);
        alone(&options, &mut figures);
        wakes(&options, &mut figures);
    }
    ratios(&mut figures);
    figures.add(
        By::Limit,
        "one-way, 1 to 1 and the like: measurements begun with the cores far from one another",
        "%",
        f64::from(placement.far) / f64::from(placement.all) * 100.0,
    );
    print!("{}", figures.table());
    if let Some(file) = options.json {
        std::fs::write(&file, figures.json_lines()).expect("a file that can be written");
    }
}

fn add_latency<L: Link>(
    figures: &mut Figures,
    placement: &mut Placement,
    by: By,
    name: &str,
    link: &L,
    rounds: u64,
) {
    eprintln!("  latency of {name}");
    placement.settle();
    let Latency { p50, p99, p999 } = latency(link, rounds);
    figures.add(by, format!("one-way p50, {name}"), "ns", p50);
    figures.add(by, format!("one-way p99, {name}"), "ns", p99);
    figures.add(by, format!("one-way p99.9, {name}"), "ns", p999);
}

fn latencies(options: &Options, placement: &mut Placement, figures: &mut Figures) {
    let rounds = options.scaled(400_000);
    let few = options.scaled(20_000);
    add_latency(figures, placement, By::Limit, "one cache line handed over", &limit::Line::new(), rounds);
    let overwrite =
        |how| RingPair::new(move || Ring::overwrite(Shape::Ltp, how, crowd::bytes_for(SLOTS, Shape::Ltp)));
    let lossless =
        |how| RingPair::new(move || Ring::lossless(Shape::Ltp, how, crowd::bytes_for(SLOTS, Shape::Ltp)));
    add_latency(figures, placement, By::Own, "ring, LTP", &overwrite(How::Write), rounds);
    add_latency(figures, placement, By::Own, "ring, LTP, with clock read", &overwrite(How::Publish), rounds);
    add_latency(figures, placement, By::Own, "ring, LTP, lossless", &lossless(How::Write), rounds);
    add_latency(figures, placement, By::Peer, "photon-ring (threads)", &Photon::new(SLOTS), rounds);
    add_latency(figures, placement, By::Peer, "rtrb (threads)", &Rtrb::new(SLOTS), rounds);
    add_latency(figures, placement, By::Peer, "iceoryx2", &Iceoryx::new(false), rounds / 4);
    add_latency(figures, placement, By::Peer, "Unix socket", &Socket::new(), few);
    add_latency(figures, placement, By::Peer, "ZeroMQ", &ZeroMq::new(), few / 2);
}

fn add_throughput<S: Stream>(
    figures: &mut Figures,
    placement: &mut Placement,
    by: By,
    name: &str,
    stream: &S,
    total: u64,
    batch: usize,
) {
    eprintln!("  throughput of {name}");
    placement.settle();
    let throughput = throughput(stream, total, batch);
    figures.add(by, format!("1 to 1, {name}"), "M/s", throughput.received);
    if by == By::Own && throughput.lost > 0.0 {
        figures.add(by, format!("1 to 1, {name}: overwritten unread"), "%", throughput.lost);
    }
}

fn throughputs(options: &Options, placement: &mut Placement, figures: &mut Figures) {
    let total = options.scaled(8_000_000);
    for (slots, size) in [(SLOTS, ""), (MANY_SLOTS, ", 16,384 slots")] {
        let bytes = crowd::bytes_for(slots, Shape::Ltp);
        for (batch, batched) in [(1, "single"), (BATCH, "batch of 16")] {
            let mut own = |name: &str, ring: Ring| {
                assert_eq!(ring.capacity(), slots, "the peers get as many slots");
                add_throughput(
                    figures,
                    placement,
                    By::Own,
                    &format!("{name}, {batched}{size}"),
                    &ring,
                    total,
                    batch,
                );
            };
            own("ring, LTP, lossless", Ring::lossless(Shape::Ltp, How::Write, bytes));
            own("ring, LTP, overwriting", Ring::overwrite(Shape::Ltp, How::Write, bytes));
            if batch == 1 {
                own("ring, LTP, lossless, with clock read", Ring::lossless(Shape::Ltp, How::Publish, bytes));
            }
            add_throughput(
                figures,
                placement,
                By::Peer,
                &format!("rtrb (threads), {batched}{size}"),
                &Rtrb::new(slots),
                total,
                batch,
            );
            add_throughput(
                figures,
                placement,
                By::Peer,
                &format!("photon-ring (threads), {batched}{size}"),
                &Photon::new(slots),
                total,
                batch,
            );
        }
    }
    add_throughput(figures, placement, By::Peer, "iceoryx2, lossless", &Iceoryx::new(true), total / 10, 1);
    add_throughput(
        figures,
        placement,
        By::Peer,
        "iceoryx2, overwriting",
        &Iceoryx::new(false),
        total / 10,
        1,
    );
    add_throughput(figures, placement, By::Peer, "Unix socket, single", &Socket::new(), total / 40, 1);
    add_throughput(
        figures,
        placement,
        By::Peer,
        "Unix socket, batch of 16",
        &Socket::new(),
        total / 10,
        BATCH,
    );
    add_throughput(figures, placement, By::Peer, "ZeroMQ", &ZeroMq::new(), total / 40, 1);
}

fn shapes(options: &Options, placement: &mut Placement, figures: &mut Figures) {
    let total = options.scaled(2_000_000);
    for (shape, name) in &Shape::ALL[1..] {
        let bytes = crowd::bytes_for(SLOTS, *shape);
        for (batch, batched) in [(1, "single"), (BATCH, "batch of 16")] {
            let lossless = Ring::lossless(*shape, How::Write, bytes);
            add_throughput(
                figures,
                placement,
                By::Own,
                &format!("ring, {name}, lossless, {batched}"),
                &lossless,
                total,
                batch,
            );
        }
        let pair = RingPair::new(|| Ring::overwrite(*shape, How::Write, bytes));
        add_latency(figures, placement, By::Own, &format!("ring, {name}"), &pair, options.scaled(100_000));
    }
}

fn crowds(options: &Options, placement: &mut Placement, figures: &mut Figures) {
    let time = Duration::from_millis(if options.quick { 60 } else { 250 });
    let ring = || Ring::overwrite(Shape::Ltp, How::Write, crowd::bytes_for(SLOTS, Shape::Ltp));
    let mut crowd = |writers, readers| {
        placement.settle();
        crowd::crowd(&ring(), writers, readers, BATCH, time)
    };
    let mut add = |name: &str, value| figures.add(By::Own, name, "M/s", value);
    add("1 to 0, published", crowd(1, 0).published);
    add("2 to 0, published", crowd(2, 0).published);
    let one = crowd(1, 1);
    add("1 to 1, flat out, published", one.published);
    add("1 to 1, flat out, received", one.received);
    let two = crowd(1, 2);
    add("1 to 2, flat out, published", two.published);
    add("1 to 2, flat out, received", two.received);
    let four = crowd(1, 4);
    add("1 to 4, flat out, published", four.published);
    let gathered = crowd(2, 1);
    add("2 to 1, flat out, published", gathered.published);
    add("2 to 1, flat out, received", gathered.received);
    let both = crowd(2, 2);
    add("2 to 2, flat out, published", both.published);
    add("2 to 2, flat out, received", both.received);
}

fn alone(options: &Options, figures: &mut Figures) {
    let count = options.scaled(5_000_000);
    let ring = |how| Ring::overwrite(Shape::Ltp, how, crowd::bytes_for(SLOTS, Shape::Ltp));
    let mut add = |name: &str, how| figures.add(By::Own, name, "ns", crowd::publish_alone(&ring(how), count));
    add("publish with nobody waiting, without clock read", How::Write);
    add("publish with nobody waiting, with clock read", How::Publish);
}

fn wakes(options: &Options, figures: &mut Figures) {
    let rounds = options.scaled(2_000);
    figures.add(By::Limit, "wake by bare futex, p50", "ns", limit::bare_futex_wake(rounds));
    let ring = Ring::overwrite(Shape::Ltp, How::Publish, crowd::bytes_for(SLOTS, Shape::Ltp));
    figures.add(By::Own, "wake of a sleeping subscriber, p50", "ns", limit::ring_wake(&ring, rounds));
}

fn ratios(figures: &mut Figures) {
    let line = "one-way p50, one cache line handed over";
    let own = "one-way p50, ring, LTP";
    figures.add_ratio("ratio: one-way p50, ring to cache line", own, line);
    figures.add_ratio("ratio: one-way p50, iceoryx2 to ring", "one-way p50, iceoryx2", own);
    figures.add_ratio("ratio: one-way p50, ZeroMQ to ring", "one-way p50, ZeroMQ", own);
    for (batched, size) in
        [("single", ""), ("single", ", 16,384 slots"), ("batch of 16", ""), ("batch of 16", ", 16,384 slots")]
    {
        let own = format!("1 to 1, ring, LTP, lossless, {batched}{size}");
        let name = |peer| format!("ratio: 1 to 1, ring to {peer}, {batched}{size}");
        figures.add_ratio(&name("iceoryx2"), &own, "1 to 1, iceoryx2, lossless");
        figures.add_ratio(&name("rtrb"), &own, &format!("1 to 1, rtrb (threads), {batched}{size}"));
        figures.add_ratio(&name("ZeroMQ"), &own, "1 to 1, ZeroMQ");
    }
    figures.add_ratio("ratio: two producers to one", "2 to 0, published", "1 to 0, published");
    figures.add_ratio(
        "ratio: producer with two readers to one reader",
        "1 to 2, flat out, published",
        "1 to 1, flat out, published",
    );
    figures.add_ratio(
        "ratio: wake, ring to bare futex",
        "wake of a sleeping subscriber, p50",
        "wake by bare futex, p50",
    );
}
