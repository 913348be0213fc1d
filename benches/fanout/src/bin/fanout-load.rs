//! Thousands of WebSocket clients in one thread. Prints one JSON object.
//!
//! `--port P --path / --protocol openalgo|plain|nats --clients N --stalled N --slow N --topics N --mode 1..3`
//! `--feed none|ring|nats --ring NAME --feed-port P --gather N --rate N (0: as fast as they arrive)`
//! `--first N (clients that come before its memory is looked at) --warm-up MS --time MS --parts N (looks at
//! memory so often) --pid PID (server, for its CPU and memory) --churn N (connections a second)`

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use memchr::memmem;
use openalgo_shm_fanout_bench::arguments::Arguments;
use openalgo_shm_fanout_bench::poll::Poll;
use openalgo_shm_fanout_bench::websocket::{client_frame, connect, first_frame, tick};
use openalgo_shm_ring::clock::monotonic_ns;
use openalgo_shm_ring::message::{DepthLevel, Field, MarketDataMessage, Mode};
use openalgo_shm_ring::{LockFreeRingBuffer, Producer, RingConfig};

/// A feed waits for its ticks' arrival at most this long: a server may drop some.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    OpenAlgo,
    /// Sends one frame when it is ready, and gets every tick.
    Plain,
    Nats,
}

struct Client {
    stream: TcpStream,
    /// The beginning of a frame whose end has not come yet.
    rest: Vec<u8>,
    /// NATS: the same of its own protocol inside the frames.
    inner: Vec<u8>,
    slow: bool,
}

struct Meter {
    latency: Option<Histogram<u64>>,
    messages: u64,
    answers: u64,
    skipped: u64,
    closed: u64,
}

impl Meter {
    fn note(&mut self, text: &[u8]) {
        self.messages += 1;
        if let Some(latency) = &mut self.latency
            && let Some(at) = memmem::rfind(text, b"\"seq\":")
        {
            let digits = text[at + 6..].iter().take_while(|byte| byte.is_ascii_digit());
            let stamp = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            latency.saturating_record(monotonic_ns().saturating_sub(stamp).max(1));
        }
    }
}

impl Client {
    fn open(arguments: &Setup) -> Self {
        let headers =
            if arguments.protocol == Protocol::Nats { "Sec-WebSocket-Protocol: nats\r\n" } else { "" };
        let (stream, rest) = connect(arguments.port, &arguments.path, headers).expect("a server");
        Self { stream, rest, inner: Vec::new(), slow: false }
    }

    fn subscribe(&mut self, setup: &Setup) {
        let names = (0..setup.topics).map(|topic| format!("SYM{topic}"));
        match setup.protocol {
            Protocol::OpenAlgo => {
                let symbols: Vec<String> =
                    names.map(|name| format!(r#"{{"symbol":"{name}","exchange":"NSE"}}"#)).collect();
                self.say(1, br#"{"action":"authenticate","api_key":"bench"}"#);
                let (symbols, mode) = (symbols.join(","), setup.mode);
                self.say(
                    1,
                    format!(r#"{{"action":"subscribe","symbols":[{symbols}],"mode":{mode}}}"#).as_bytes(),
                );
            }
            Protocol::Plain => self.say(1, br#"{"action":"subscribe"}"#),
            Protocol::Nats => {
                let wishes: String =
                    names.enumerate().map(|(id, name)| format!("SUB {name} {id}\r\n")).collect();
                self.say(2, format!("CONNECT {{\"verbose\":false}}\r\n{wishes}PING\r\n").as_bytes());
            }
        }
    }

    fn say(&mut self, opcode: u8, payload: &[u8]) {
        self.stream.write_all(&client_frame(opcode, payload)).expect("an open socket");
    }

    /// Reads what is there. False once the server has closed.
    fn read(&mut self, buffer: &mut [u8], nats: bool, meter: &mut Meter) -> bool {
        let kept = self.rest.len();
        buffer[..kept].copy_from_slice(&self.rest);
        let room = if self.slow { kept + 4096 } else { buffer.len() };
        let count = match self.stream.read(&mut buffer[kept..room]) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        let mut bytes = &buffer[..kept + count];
        while let Some((opcode, start, end)) = first_frame(bytes) {
            let is_tick = bytes[start..end].starts_with(b"{\"type\":\"market_data\"");
            match opcode {
                // What slow clients get late says nothing of the others.
                1 if is_tick && self.slow => {}
                1 if is_tick => meter.note(&bytes[start..end]),
                1 => {
                    meter.answers += 1;
                    if let Some(at) = memmem::find(&bytes[start..end], b"\"skipped\",\"count\":") {
                        let digits = bytes[start + at + 18..].iter().take_while(|byte| byte.is_ascii_digit());
                        meter.skipped +=
                            digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
                    }
                }
                2 if nats => {
                    self.inner.extend_from_slice(&bytes[start..end]);
                    read_nats(&mut self.inner, meter);
                }
                9 => {
                    let pong = client_frame(10, &bytes[start..end]);
                    let _ = (&self.stream).write_all(&pong);
                }
                8 => return false,
                _ => {}
            }
            bytes = &bytes[end..];
        }
        self.rest.clear();
        self.rest.extend_from_slice(bytes);
        true
    }
}

/// `MSG subject id length\r\n` and the payload, any number of times.
fn read_nats(inner: &mut Vec<u8>, meter: &mut Meter) {
    let mut at = 0;
    while let Some(end) = memmem::find(&inner[at..], b"\r\n") {
        let line = &inner[at..at + end];
        let mut next = at + end + 2;
        if line.starts_with(b"MSG ") {
            let length = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            let length = length.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
            if inner.len() < next + length + 2 {
                break;
            }
            meter.note(&inner[next..next + length]);
            next += length + 2;
        } else if line == b"PONG" {
            meter.answers += 1;
        }
        at = next;
    }
    inner.drain(..at);
}

#[derive(Clone)]
struct Setup {
    port: u16,
    path: String,
    protocol: Protocol,
    clients: usize,
    stalled: usize,
    slow: usize,
    topics: usize,
    mode: u8,
    gather: usize,
    rate: u64,
    churn: u64,
}

/// What makes the ticks, where the server does not.
enum Feed {
    Server,
    Ring { producer: Box<Producer>, messages: Vec<MarketDataMessage> },
    Nats { stream: TcpStream, names: Vec<String>, mode: u8 },
}

impl Feed {
    fn open(arguments: &Arguments, setup: &Setup) -> Self {
        match arguments.text("feed").unwrap_or("none") {
            "none" => Self::Server,
            "ring" => {
                let name = arguments.text("ring").expect("--ring NAME");
                let ring = LockFreeRingBuffer::create_or_attach(name, RingConfig::mpmc()).expect("a ring");
                let messages = (0..setup.topics).map(|topic| message(topic, setup.mode)).collect();
                Self::Ring { producer: ring.producer("bench").expect("a free lane").into(), messages }
            }
            "nats" => {
                let port = arguments.number("feed-port", 4222);
                let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
                stream.set_nodelay(true).expect("a socket");
                let count = stream.read(&mut [0; 4096]).expect("INFO");
                assert!(count > 0, "INFO comes first");
                stream.write_all(b"CONNECT {\"verbose\":false}\r\n").expect("an open socket");
                let names = (0..setup.topics).map(|topic| format!("SYM{topic}")).collect();
                Self::Nats { stream, names, mode: setup.mode }
            }
            other => panic!("--feed {other}: expected none, ring or nats"),
        }
    }

    fn publish(&mut self, first: u64, count: usize) {
        let now = monotonic_ns();
        match self {
            Self::Server => {}
            Self::Ring { producer, messages } => {
                let topics = messages.len();
                for number in first as usize..first as usize + count {
                    messages[number % topics].set(Field::Seq, now as f64);
                    // A later tick of the same topic in this batch has the same stamp, so it may share the message.
                }
                let batch = (first as usize..first as usize + count)
                    .map(|number| messages[number % topics].as_words());
                producer.publish_batch(batch).expect("they fit");
            }
            Self::Nats { stream, names, mode } => {
                let mut bytes = Vec::new();
                for number in first..first + count as u64 {
                    let name = &names[number as usize % names.len()];
                    let text = tick(name, *mode, now, number);
                    let _ = write!(bytes, "PUB {name} {}\r\n{text}\r\n", text.len());
                }
                stream.write_all(&bytes).expect("an open socket");
            }
        }
    }

    const fn is_ours(&self) -> bool {
        !matches!(self, Self::Server)
    }
}

fn message(topic: usize, mode: u8) -> MarketDataMessage {
    let of_mode = Mode::from_u8(mode).expect("--mode 1, 2 or 3");
    let mut message = MarketDataMessage::new("NSE", &format!("SYM{topic}"), of_mode).expect("a valid name");
    message.set(Field::Ltp, 2875.35).set(Field::Volume, 8_412_311.0);
    message.set(Field::Ltt, 1_663_660_800_000.0).set(Field::Timestamp, 1_663_660_800_123.0);
    if of_mode == Mode::Depth {
        let level =
            |i: usize| DepthLevel { price: 2870.05 - i as f64, quantity: 100.0 + i as f64, orders: 3.0 };
        let side: Vec<DepthLevel> = (0..5).map(level).collect();
        message.set_depth(&side, &side).expect("five levels fit");
    }
    message
}

/// Clients, and what they have seen.
struct Load {
    poll: Poll,
    clients: Vec<Client>,
    meter: Meter,
    buffer: Vec<u8>,
    ready: Vec<u64>,
    nats: bool,
    stop_reading: usize,
}

impl Load {
    fn turn(&mut self, timeout_ms: i32) {
        let mut ready = std::mem::take(&mut self.ready);
        self.poll.wait(timeout_ms, &mut ready);
        for number in &ready {
            let client = &mut self.clients[*number as usize];
            if !client.read(&mut self.buffer, self.nats, &mut self.meter) {
                self.meter.closed += 1;
                self.poll.change(client.stream.as_raw_fd(), *number, 0);
            }
        }
        self.ready = ready;
    }

    /// Lets every slow client take a little.
    fn nudge_slow(&mut self) {
        let slow = self.clients.iter_mut().filter(|client| client.slow);
        for client in slow {
            client.read(&mut self.buffer, self.nats, &mut self.meter);
        }
    }
}

fn main() {
    let arguments = Arguments::parse();
    let setup = Setup {
        port: arguments.number("port", 8765),
        path: arguments.text("path").unwrap_or("/").to_owned(),
        protocol: match arguments.text("protocol").unwrap_or("openalgo") {
            "openalgo" => Protocol::OpenAlgo,
            "plain" => Protocol::Plain,
            "nats" => Protocol::Nats,
            other => panic!("--protocol {other}: expected openalgo, plain or nats"),
        },
        clients: arguments.number("clients", 1),
        stalled: arguments.number("stalled", 0),
        slow: arguments.number("slow", 0),
        topics: arguments.number("topics", 1),
        mode: arguments.number("mode", 1),
        gather: arguments.number("gather", 1),
        rate: arguments.number("rate", 0),
        churn: arguments.number("churn", 0),
    };
    let server = Server { pid: arguments.number("pid", 0) };
    // What a server takes once, however many come, is not counted as theirs.
    let first = arguments.number("first", 0);
    let _first = connect_all(&Setup { clients: first, stalled: 0, slow: 0, ..setup.clone() });
    std::thread::sleep(PATIENCE);
    let memory_before = server.resident_kb();
    let mut feed = Feed::open(&arguments, &setup);

    let connecting = Instant::now();
    let mut load = connect_all(&setup);
    let connected = connecting.elapsed();
    std::thread::sleep(PATIENCE);
    let memory_connected = server.resident_kb();
    let subscribing = Instant::now();
    subscribe_all(&mut load, &setup);
    let subscribed = subscribing.elapsed();
    std::thread::sleep(Duration::from_millis(100));
    let memory_subscribed = server.resident_kb();

    let mut driver = Driver::new(&setup);
    let warm_up = Duration::from_millis(arguments.number("warm-up", 300));
    driver.run(&mut load, &mut feed, &setup, warm_up);
    if setup.rate > 0 || setup.churn > 0 {
        load.meter.latency = Some(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds"));
    }
    let time = Duration::from_millis(arguments.number("time", 1000));
    let (messages, cpu, start) = (load.meter.messages, server.cpu_seconds(), Instant::now());
    let parts = arguments.number("parts", 1);
    let mut memory = vec![memory_before, memory_connected, memory_subscribed];
    for _ in 0..parts {
        driver.run(&mut load, &mut feed, &setup, time / parts);
        memory.push(server.resident_kb());
    }
    let seconds = start.elapsed().as_secs_f64();
    let delivered = load.meter.messages - messages;
    let used = server.cpu_seconds() - cpu;
    let missing = if setup.rate > 0 { driver.settle(&mut load, &setup) } else { 0 };
    let quantile =
        |quantile| load.meter.latency.as_ref().map_or(0, |latency| latency.value_at_quantile(quantile));
    println!(
        r#"{{"deliveries_per_second":{:.0},"cpu":{:.3},"own_cpu":{:.3},"p50_us":{},"p99_us":{},"p999_us":{},"published":{},"delivered":{},"skipped":{},"closed":{},"connect_ms":{},"subscribe_ms":{},"missing":{missing},"memory_kb":{memory:?}}}"#,
        delivered as f64 / seconds,
        used / seconds,
        driver.own_cpu(start),
        quantile(0.5) as f64 / 1e3,
        quantile(0.99) as f64 / 1e3,
        quantile(0.999) as f64 / 1e3,
        driver.published,
        delivered,
        load.meter.skipped,
        load.meter.closed,
        connected.as_millis(),
        subscribed.as_millis(),
    );
}

fn connect_all(setup: &Setup) -> Load {
    let poll = Poll::default();
    let total = setup.clients + setup.slow + setup.stalled;
    let mut clients = Vec::with_capacity(total);
    for number in 0..total {
        let mut client = Client::open(setup);
        client.slow = (setup.clients..setup.clients + setup.slow).contains(&number);
        clients.push(client);
    }
    Load {
        poll,
        clients,
        meter: Meter { latency: None, messages: 0, answers: 0, skipped: 0, closed: 0 },
        buffer: vec![0; 1 << 22],
        ready: Vec::new(),
        nats: setup.protocol == Protocol::Nats,
        stop_reading: setup.clients,
    }
}

/// Returns when every subscription was answered, where the protocol has answers.
fn subscribe_all(load: &mut Load, setup: &Setup) {
    for (number, client) in load.clients.iter_mut().enumerate() {
        if setup.topics > 0 {
            client.subscribe(setup);
        }
        client.stream.set_nonblocking(true).expect("a socket");
        load.poll.add(client.stream.as_raw_fd(), number as u64, libc::EPOLLIN);
    }
    // Of the greeting, authentication and subscription, a server answers at least the last two.
    let answers = match setup.protocol {
        Protocol::OpenAlgo if setup.topics > 0 => 2,
        Protocol::Nats => 1,
        _ => 0,
    };
    let deadline = Instant::now() + Duration::from_secs(30);
    while load.meter.answers < answers * load.clients.len() as u64 {
        load.turn(100);
        assert!(Instant::now() < deadline, "only {} answers came", load.meter.answers);
    }
    for number in load.stop_reading..load.clients.len() {
        load.poll.change(load.clients[number].stream.as_raw_fd(), number as u64, 0);
    }
}

/// Makes ticks at their pace and reads what comes of them.
struct Driver {
    published: u64,
    expected: u64,
    progress: (u64, Instant),
    due_ns: u64,
    churn_due: Instant,
    churned: Option<TcpStream>,
    slow_due: Instant,
    cpu_start: f64,
}

impl Driver {
    fn new(_: &Setup) -> Self {
        let now = Instant::now();
        Self {
            published: 0,
            expected: 0,
            progress: (0, now),
            due_ns: monotonic_ns(),
            churn_due: now,
            churned: None,
            slow_due: now,
            cpu_start: 0.0,
        }
    }

    fn run(&mut self, load: &mut Load, feed: &mut Feed, setup: &Setup, time: Duration) {
        self.cpu_start = own_cpu_seconds();
        self.due_ns = monotonic_ns();
        let end = Instant::now() + time;
        while Instant::now() < end {
            if setup.slow > 0 && Instant::now() > self.slow_due {
                self.slow_due += Duration::from_millis(20);
                load.nudge_slow();
            }
            if setup.churn > 0 && Instant::now() > self.churn_due {
                self.churn_due += Duration::from_micros(1_000_000 / setup.churn);
                let mut client = Client::open(setup);
                client.subscribe(setup);
                self.churned = Some(client.stream);
            }
            if !feed.is_ours() {
                load.turn(10);
            } else if setup.rate > 0 {
                self.paced(load, feed, setup);
            } else {
                self.flat_out(load, feed, setup);
            }
        }
    }

    /// The next round leaves when half of the last has come: the server has taken all of that one from its feed by
    /// then and is writing it, so no write of its carries more than one round, and it does not have to wait.
    fn flat_out(&mut self, load: &mut Load, feed: &mut Feed, setup: &Setup) {
        let round = (setup.gather * setup.clients) as u64;
        if load.meter.messages + round / 2 >= self.expected || self.progress.1.elapsed() > PATIENCE {
            if self.progress.1.elapsed() > PATIENCE {
                self.expected = load.meter.messages;
            }
            feed.publish(self.published, setup.gather);
            self.published += setup.gather as u64;
            self.expected += round;
        }
        load.turn(1);
        if load.meter.messages != self.progress.0 {
            self.progress = (load.meter.messages, Instant::now());
        }
    }

    fn paced(&mut self, load: &mut Load, feed: &mut Feed, setup: &Setup) {
        let now = monotonic_ns();
        if now >= self.due_ns {
            feed.publish(self.published, 1);
            self.published += 1;
            self.due_ns = (self.due_ns + 1_000_000_000 / setup.rate).max(now.saturating_sub(10_000_000));
        }
        let left = self.due_ns.saturating_sub(monotonic_ns());
        // epoll's own timeout is in whole ms.
        load.turn(if left > 2_000_000 { 1 } else { 0 });
    }

    /// Reads until all that was published has come to every client that reads, or nothing more does. How much did not come.
    fn settle(&self, load: &mut Load, setup: &Setup) -> u64 {
        let expected = self.published * setup.clients as u64;
        let mut progress = (load.meter.messages, Instant::now());
        while load.meter.messages < expected && progress.1.elapsed() < Duration::from_secs(2) {
            load.turn(10);
            if load.meter.messages != progress.0 {
                progress = (load.meter.messages, Instant::now());
            }
        }
        expected.saturating_sub(load.meter.messages)
    }

    fn own_cpu(&self, start: Instant) -> f64 {
        (own_cpu_seconds() - self.cpu_start) / start.elapsed().as_secs_f64()
    }
}

fn own_cpu_seconds() -> f64 {
    Server { pid: std::process::id() }.cpu_seconds()
}

/// The process under test.
struct Server {
    pid: u32,
}

impl Server {
    fn cpu_seconds(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // After the name in parentheses: utime and stime are fields 14 and 15.
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks =
            |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        // SAFETY: no pointers.
        (ticks(11) + ticks(12)) / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64
    }

    fn resident_kb(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }
}
