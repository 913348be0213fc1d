//! A ring, delivery over it, and clients with real sockets.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use openalgo_shm_delivery::{Change, ClientId, Delivery, DeliveryOptions, Events, Format};
use openalgo_shm_ring::message::{Field, MarketDataMessage, Mode, TopicName};
use openalgo_shm_ring::{LockFreeRingBuffer, Producer, RingConfig, WaitStrategy};
use serde_json::Value;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until a condition holds; fails when it never does.
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn options() -> DeliveryOptions {
    DeliveryOptions {
        carried_max_age: Duration::from_secs(10),
        name: "proxy".to_owned(),
        threads: 1,
        wait: WaitStrategy::Adaptive,
        high_water_mark: 1 << 20,
        slow_client_timeout: Duration::from_secs(30),
    }
}

/// A ring with a publisher, and what delivers it.
pub struct Bench {
    pub ring: LockFreeRingBuffer,
    pub producer: Producer,
    pub delivery: Delivery,
    pub calls: Arc<AtomicU32>,
    events: Events,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(&options())
    }

    pub fn with(options: &DeliveryOptions) -> Self {
        let config = RingConfig::mpmc().lanes(2).consumers(8).buffer_size(1 << 22);
        let ring = LockFreeRingBuffer::on_heap(config).unwrap();
        let calls = Arc::<AtomicU32>::default();
        let count = Arc::clone(&calls);
        let delivery = Delivery::new(&ring, options, move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let producer = ring.producer("zerodha").unwrap();
        Self { producer, delivery: delivery.unwrap(), ring, calls, events: Events::default() }
    }

    /// A client with a socket.
    pub fn client(&mut self) -> Client {
        self.client_of(Format::Json)
    }

    pub fn client_of(&mut self, format: Format) -> Client {
        let (server, client) = connection();
        let id = self.delivery.attach(server.as_raw_fd(), format).unwrap();
        Client { id, server, stream: client, bytes: Vec::new(), frames: VecDeque::new() }
    }

    pub fn want(&self, client: ClientId, symbol: &str, mode: Mode) {
        self.want_paced(client, symbol, mode, 0);
    }

    pub fn want_paced(&self, client: ClientId, symbol: &str, mode: Mode, interval_ms: u32) {
        self.change(client, &[(symbol, mode, Some(interval_ms))]);
    }

    pub fn leave(&self, client: ClientId, symbol: &str, mode: Mode) {
        self.change(client, &[(symbol, mode, None)]);
    }

    pub fn change(&self, client: ClientId, changes: &[(&str, Mode, Option<u32>)]) {
        let change = |&(symbol, mode, interval_ms): &(&str, Mode, Option<u32>)| {
            let topic = self.delivery.topics().ask(&TopicName::new("NSE", symbol).unwrap()).unwrap();
            Change { topic, mode, interval_ms }
        };
        self.delivery.change(client, changes.iter().map(change).collect());
    }

    /// Waits until the threads have done all that they were told.
    pub fn settle(&mut self, client: ClientId) {
        let request = self.delivery.tell_when_flushed(client).unwrap();
        self.await_event("all is done", |events| events.fulfilled.contains(&request));
        self.events.fulfilled.clear();
    }

    /// Waits for an event, and keeps those that come before.
    pub fn await_event(&mut self, what: &str, condition: impl Fn(&Events) -> bool) -> &mut Events {
        let start = Instant::now();
        while !condition(&self.events) {
            assert!(start.elapsed() < PATIENCE, "waited in vain until {what}: {:?}", self.events);
            let mut more = self.delivery.take_events();
            self.events.fulfilled.append(&mut more.fulfilled);
            self.events.failed.append(&mut more.failed);
            self.events.stuck.append(&mut more.stuck);
            self.events.handed.append(&mut more.handed);
            self.events.answers.append(&mut more.answers);
            self.events.panics.append(&mut more.panics);
            std::thread::sleep(Duration::from_micros(200));
        }
        &mut self.events
    }

    pub fn publish(&mut self, symbol: &str, mode: Mode, ltp: f64) {
        let mut tick: MarketDataMessage = MarketDataMessage::new("NSE", symbol, mode).unwrap();
        tick.set(Field::Ltp, ltp).set(Field::Timestamp, 1.0);
        if mode != Mode::Ltp {
            tick.set(Field::Open, 1.0);
        }
        assert!(self.producer.publish(tick.as_words()).unwrap());
    }

    /// Ticks that the thread that is furthest behind has read.
    pub fn received(&self) -> u64 {
        self.delivery.threads().map(|thread| thread.figures.received).min().unwrap_or(0)
    }

    pub fn sent(&self) -> u64 {
        self.delivery.threads().map(|thread| thread.figures.sent).sum()
    }
}

/// A client's end of a connection, and the server's, which delivery has duplicated.
pub struct Client {
    pub id: ClientId,
    pub server: TcpStream,
    pub stream: TcpStream,
    bytes: Vec<u8>,
    frames: VecDeque<(u8, Vec<u8>)>,
}

impl Client {
    /// The next frame: opcode with its first bits, and payload.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let start = Instant::now();
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return frame;
            }
            assert!(start.elapsed() < PATIENCE, "no frame came");
            assert!(self.read(Duration::from_millis(100)), "the connection was closed");
        }
    }

    /// The next message.
    pub fn message(&mut self) -> Value {
        let (opcode, payload) = self.frame();
        assert_eq!(opcode, 0x81);
        serde_json::from_slice(&payload).unwrap()
    }

    /// The next so many messages as symbol, mode and price.
    pub fn ticks(&mut self, count: usize) -> Vec<(String, u64, f64)> {
        (0..count).map(|_| brief(&self.message())).collect()
    }

    /// Whether there is nothing to read for a moment.
    pub fn is_quiet(&mut self) -> bool {
        self.frames.is_empty() && {
            self.read(Duration::from_millis(50));
            self.frames.is_empty()
        }
    }

    /// Whether the other end has closed.
    pub fn is_closed(&mut self) -> bool {
        !self.read(Duration::from_millis(1))
    }

    fn read(&mut self, timeout: Duration) -> bool {
        self.stream.set_read_timeout(Some(timeout)).unwrap();
        let mut buffer = vec![0; 1 << 20];
        match self.stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return true,
            Err(_) => return false,
        }
        let mut at = 0;
        while let Some((header, length)) = header(&self.bytes[at..]) {
            let Some(payload) = self.bytes.get(at + header..at + header + length) else { break };
            self.frames.push_back((self.bytes[at], payload.to_vec()));
            at += header + length;
        }
        self.bytes.drain(..at);
        true
    }
}

fn header(bytes: &[u8]) -> Option<(usize, usize)> {
    match bytes.get(1)? & 0x7f {
        126 => Some((4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])))),
        127 => Some((10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize)),
        short => Some((2, usize::from(short))),
    }
}

pub fn brief(message: &Value) -> (String, u64, f64) {
    assert_eq!(message["type"], "market_data", "{message}");
    let symbol = message["symbol"].as_str().unwrap().to_owned();
    (symbol, message["mode"].as_u64().unwrap(), message["data"]["ltp"].as_f64().unwrap())
}

pub fn text_frame(text: &str) -> Vec<u8> {
    assert!(text.len() < 126);
    [&[0x81, text.len() as u8], text.as_bytes()].concat()
}

/// Both ends of a connection, the server's first, non-blocking as Node.js has it.
pub fn connection() -> (TcpStream, TcpStream) {
    static LISTENER: LazyLock<std::sync::Mutex<TcpListener>> =
        LazyLock::new(|| TcpListener::bind(("127.0.0.1", 0)).unwrap().into());
    let listener = LISTENER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    server.set_nodelay(true).unwrap();
    (server, client)
}
