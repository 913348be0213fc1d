//! `openalgo-shm-ring-bench [--quick] [--runs N] [--only PART,…] [--json FILE]`

mod bare;
mod crowd;
mod figures;
mod limit;
mod link;
mod machine;
mod own;
mod peers;
mod placement;
mod processes;
mod stall;

use std::time::Duration;

use bare::{Bare, BarePair};
use figures::{By, Figures};
use link::{Latency, Link, MESSAGE, Stream, latency, throughput};
use own::{How, Publish, PublishNamed, Ring, RingPair, Shape, Write, WriteNamed};
use peers::iceoryx::Iceoryx;
use peers::photon::Photon;
use peers::queue::Rtrb;
use peers::socket::Socket;
use peers::zeromq::ZeroMq;
use placement::Placement;

/// Bytes of the default ring: 16,384 messages.
const BYTES: usize = 1 << 20;
/// Bytes of a ring in which reader and writer run in lock-step: 1,024 messages, as many as the default ring of the
/// first format held.
const FEW_BYTES: usize = 64 << 10;
const BATCH: usize = 16;
const PARTS: [&str; 7] = ["latency", "throughput", "alone", "shapes", "crowds", "wake", "stall"];

struct Options {
    quick: bool,
    runs: usize,
    /// The parts to measure, separated by commas; all if it is empty.
    only: String,
    json: Option<String>,
}

impl Options {
    fn parse() -> Self {
        let mut options = Self { quick: false, runs: 5, only: String::new(), json: None };
        let mut runs = None;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => (options.quick, options.runs) = (true, 3),
                "--runs" => {
                    runs = Some(arguments.next().and_then(|runs| runs.parse().ok()).expect("--runs NUMBER"));
                }
                "--only" => {
                    options.only = arguments.next().expect("--only PART,…");
                    let unknown = options.only.split(',').find(|part| !PARTS.contains(part));
                    assert!(unknown.is_none(), "--only {}: expected some of {PARTS:?}", options.only);
                }
                "--json" => options.json = Some(arguments.next().expect("--json FILE")),
                other => {
                    panic!(
                        "unknown option {other}: expected --quick, --runs NUMBER, --only PART,…, --json FILE"
                    )
                }
            }
        }
        options.runs = runs.unwrap_or(options.runs);
        options
    }

    /// Fewer messages with `--quick`.
    const fn scaled(&self, count: u64) -> u64 {
        if self.quick { count / 5 / BATCH as u64 * BATCH as u64 } else { count }
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.split(',').any(|wanted| wanted == part)
    }
}

fn main() {
    let options = Options::parse();
    let mut figures = Figures::default();
    let mut placement = Placement::new();
    println!("machine: {}", machine::describe());
    for run in 1..=options.runs {
        eprintln!("run {run} of {}", options.runs);
        for part in PARTS.into_iter().filter(|part| options.wants(part)) {
            match part {
                "latency" => latencies(&options, &mut placement, &mut figures),
                "throughput" => throughputs(&options, &mut placement, &mut figures),
                "alone" => alone(&options, &mut figures),
                "shapes" => shapes(&options, &mut placement, &mut figures),
                "crowds" => crowds(&options, &mut placement, &mut figures),
                "wake" => wakes(&options, &mut figures),
                _ => stalls(&mut figures),
            }
        }
    }
    ratios(&mut figures);
    if placement.all > 0 {
        figures.add(
            By::Limit,
            "one-way, 1 to 1 and the like: measurements begun with the cores far from one another",
            "%",
            f64::from(placement.far) / f64::from(placement.all) * 100.0,
        );
    }
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
    let messages = BYTES / MESSAGE;
    add_latency(figures, placement, By::Limit, "one cache line handed over", &limit::Line::new(), rounds);
    add_latency(figures, placement, By::Limit, "bare lane", &BarePair::<false>::new(BYTES), rounds);
    add_latency(figures, placement, By::Limit, "bare lane (threads)", &BarePair::<true>::new(BYTES), rounds);
    let written = RingPair::<Write>::new(|| Ring::overwrite(Shape::Ltp, BYTES));
    let published = RingPair::<Publish>::new(|| Ring::overwrite(Shape::Ltp, BYTES));
    let lossless = RingPair::<Write>::new(|| Ring::lossless(Shape::Ltp, BYTES));
    add_latency(figures, placement, By::Own, "ring, LTP", &written, rounds);
    add_latency(figures, placement, By::Peer, "rtrb (threads)", &Rtrb::new(messages), rounds);
    add_latency(figures, placement, By::Peer, "photon-ring (threads)", &Photon::new(messages), rounds);
    add_latency(figures, placement, By::Own, "ring, LTP, with clock read", &published, rounds);
    add_latency(figures, placement, By::Own, "ring, LTP, lossless", &lossless, rounds);
    add_latency(figures, placement, By::Peer, "iceoryx2", &Iceoryx::new(messages, false), rounds / 4);
    add_latency(figures, placement, By::Peer, "Unix socket", &Socket::new(), few);
    add_latency(figures, placement, By::Peer, "ZeroMQ", &ZeroMq::new(), few / 2);
}

fn throughputs(options: &Options, placement: &mut Placement, figures: &mut Figures) {
    let total = options.scaled(16_000_000);
    for (bytes, size) in [(BYTES, ""), (FEW_BYTES, ", 64 KiB")] {
        let messages = bytes / MESSAGE;
        for (batch, batched) in [(1, "single"), (BATCH, "batch of 16")] {
            let mut add = |by, name: &str, stream: &dyn Measured| {
                stream.measure(figures, placement, by, &format!("{name}, {batched}{size}"), total, batch);
            };
            let written = |lossless| Ring::<Write>::of(lossless, Shape::Ltp, bytes);
            let published = |lossless| Ring::<Publish>::of(lossless, Shape::Ltp, bytes);
            assert_eq!(written(true).capacity(), messages, "the peers get as many bytes");
            let lossless: &dyn Measured = if batch == 1 { &written(true) } else { &published(true) };
            let overwriting: &dyn Measured = if batch == 1 { &written(false) } else { &published(false) };
            add(By::Limit, "bare lane, lossless", &Bare::<false>::new(bytes, true));
            add(By::Own, "ring, LTP, lossless", lossless);
            add(By::Peer, "rtrb (threads)", &Rtrb::new(messages));
            add(By::Limit, "bare lane (threads), lossless", &Bare::<true>::new(bytes, true));
            add(By::Limit, "bare lane, overwriting", &Bare::<false>::new(bytes, false));
            add(By::Own, "ring, LTP, overwriting", overwriting);
            add(By::Peer, "photon-ring (threads)", &Photon::new(messages));
            if batch == 1 {
                add(By::Own, "ring, LTP, lossless, with clock read", &published(true));
            } else {
                add(By::Own, "ring, LTP, lossless, without clock read", &written(true));
            }
        }
        let name = format!("iceoryx2, lossless{size}");
        Iceoryx::new(messages, true).measure(figures, placement, By::Peer, &name, total / 20, 1);
    }
    let overwriting = Iceoryx::new(BYTES / MESSAGE, false);
    overwriting.measure(figures, placement, By::Peer, "iceoryx2, overwriting", total / 20, 1);
    Socket::new().measure(figures, placement, By::Peer, "Unix socket, single", total / 80, 1);
    let batched = "Unix socket, batch of 16";
    Socket::new().measure(figures, placement, By::Peer, batched, total / 20, BATCH);
    ZeroMq::new().measure(figures, placement, By::Peer, "ZeroMQ", total / 80, 1);
}

/// A stream of any kind, for lists of them: adds its throughput to the figures.
trait Measured {
    fn measure(
        &self,
        figures: &mut Figures,
        placement: &mut Placement,
        by: By,
        name: &str,
        total: u64,
        batch: usize,
    );
}

impl<S: Stream> Measured for S {
    fn measure(
        &self,
        figures: &mut Figures,
        placement: &mut Placement,
        by: By,
        name: &str,
        total: u64,
        batch: usize,
    ) {
        eprintln!("  throughput of {name}");
        placement.settle();
        let throughput = throughput(self, total, batch);
        figures.add(by, format!("1 to 1, {name}"), "M/s", throughput.received);
        if by != By::Peer && throughput.lost > 0.0 {
            figures.add(by, format!("1 to 1, {name}: overwritten unread"), "%", throughput.lost);
        }
    }
}

fn shapes(options: &Options, placement: &mut Placement, figures: &mut Figures) {
    let total = options.scaled(4_000_000);
    for (shape, name) in &Shape::ALL[1..] {
        let single = Ring::<Write>::lossless(*shape, BYTES);
        let batches = Ring::<Publish>::lossless(*shape, BYTES);
        let of = |batched| format!("ring, {name}, lossless, {batched}");
        single.measure(figures, placement, By::Own, &of("single"), total, 1);
        batches.measure(figures, placement, By::Own, &of("batch of 16"), total, BATCH);
        let pair = RingPair::<Write>::new(|| Ring::overwrite(*shape, BYTES));
        add_latency(figures, placement, By::Own, &format!("ring, {name}"), &pair, options.scaled(100_000));
    }
}

fn crowds(options: &Options, placement: &mut Placement, figures: &mut Figures) {
    let time = Duration::from_millis(if options.quick { 60 } else { 250 });
    let mut crowd = |writers, readers| {
        placement.settle();
        crowd::crowd(&Ring::overwrite(Shape::Ltp, BYTES), writers, readers, BATCH, time)
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
    let mut add = |by, name, ns| figures.add(by, format!("publish with nobody waiting, {name}"), "ns", ns);
    add(By::Limit, "bare lane", crowd::publish_alone(&Bare::<false>::new(BYTES, false), count));
    add(By::Own, "without clock read", own_alone::<Write>(count));
    add(By::Own, "with clock read", own_alone::<Publish>(count));
    add(By::Own, "without clock read, topic by name", own_alone::<WriteNamed>(count));
    add(By::Own, "with clock read, topic by name", own_alone::<PublishNamed>(count));
}

fn own_alone<H: How + Sync>(count: u64) -> f64 {
    crowd::publish_alone(&Ring::<H>::overwrite(Shape::Ltp, BYTES), count)
}

fn wakes(options: &Options, figures: &mut Figures) {
    let rounds = options.scaled(2_000);
    figures.add(By::Limit, "wake by bare futex, p50", "ns", limit::bare_futex_wake(rounds));
    let ring = Ring::overwrite(Shape::Ltp, BYTES);
    figures.add(By::Own, "wake of a sleeping subscriber, p50", "ns", limit::ring_wake(&ring, rounds));
}

fn stalls(figures: &mut Figures) {
    for (name, bytes) in [("default ring", BYTES), ("64 KiB", FEW_BYTES)] {
        eprintln!("  ticks lost, {name}");
        let ring = Ring::overwrite(Shape::Ltp, bytes);
        let lost = stall::lost(&ring, 50_000, Duration::from_millis(200));
        let name = format!("ticks lost by a reader that stands still 200 ms at 50,000 LTP/s, {name}");
        figures.add(By::Own, name, "ticks", lost);
    }
}

fn ratios(figures: &mut Figures) {
    let own = "one-way p50, ring, LTP";
    for (name, other) in [
        ("cache line", "one cache line handed over"),
        ("bare lane", "bare lane"),
        ("rtrb", "rtrb (threads)"),
        ("photon-ring", "photon-ring (threads)"),
    ] {
        figures.add_ratio(
            &format!("ratio: one-way p50, ring to {name}"),
            own,
            &format!("one-way p50, {other}"),
        );
    }
    figures.add_ratio("ratio: one-way p50, iceoryx2 to ring", "one-way p50, iceoryx2", own);
    figures.add_ratio("ratio: one-way p50, ZeroMQ to ring", "one-way p50, ZeroMQ", own);
    for size in ["", ", 64 KiB"] {
        for batched in ["single", "batch of 16"] {
            for (name, own, other) in [
                ("ring to bare lane", "ring, LTP, lossless", format!("bare lane, lossless, {batched}{size}")),
                (
                    "ring to bare lane, overwriting",
                    "ring, LTP, overwriting",
                    format!("bare lane, overwriting, {batched}{size}"),
                ),
                ("ring to rtrb", "ring, LTP, lossless", format!("rtrb (threads), {batched}{size}")),
                ("ring to iceoryx2", "ring, LTP, lossless", format!("iceoryx2, lossless{size}")),
                ("ring to ZeroMQ", "ring, LTP, lossless", "ZeroMQ".to_owned()),
            ] {
                figures.add_ratio(
                    &format!("ratio: 1 to 1, {name}, {batched}{size}"),
                    &format!("1 to 1, {own}, {batched}{size}"),
                    &format!("1 to 1, {other}"),
                );
            }
        }
    }
    figures.add_ratio(
        "ratio: publish with nobody waiting, ring without clock read to bare lane",
        "publish with nobody waiting, without clock read",
        "publish with nobody waiting, bare lane",
    );
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
