//! ZeroMQ over loopback TCP, PUB to SUB, as OpenAlgo's adapters and server use it; here in C without JSON.

use std::net::TcpListener;
use std::time::Duration;

use crate::link::{Duplex, Link, MESSAGE, Place, Sink, Source, Stream, payload};

/// Ends the slow start of a subscription: sent until the reader has it.
const HELLO: u64 = u64::MAX;

pub struct ZeroMq {
    there: String,
    back: String,
}

impl ZeroMq {
    pub fn new() -> Self {
        let free = || {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            format!("tcp://{}", port.expect("a free port"))
        };
        Self { there: free(), back: free() }
    }
}

fn bytes(number: u64) -> Vec<u8> {
    payload(number).0.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn number(message: &[u8]) -> u64 {
    assert_eq!(message.len(), MESSAGE, "a whole message");
    u64::from_le_bytes(message[..8].try_into().expect("eight bytes"))
}

fn publisher(context: &zmq::Context, address: &str) -> zmq::Socket {
    let socket = context.socket(zmq::PUB).expect("a socket");
    socket.set_sndhwm(0).expect("an unbounded queue");
    socket.bind(address).expect("a free port");
    socket
}

fn subscriber(context: &zmq::Context, address: &str) -> zmq::Socket {
    let socket = context.socket(zmq::SUB).expect("a socket");
    socket.set_rcvhwm(0).expect("an unbounded queue");
    socket.set_subscribe(b"").expect("a subscription");
    socket.connect(address).expect("an address");
    socket
}

pub struct Side {
    out: zmq::Socket,
    r#in: zmq::Socket,
    first: bool,
    linked: bool,
    _context: zmq::Context,
}

impl Link for ZeroMq {
    type Side = Side;
    const PLACE: Place = Place::Processes;

    fn open(&self, first: bool) -> Side {
        let (out, r#in) = if first { (&self.there, &self.back) } else { (&self.back, &self.there) };
        let context = zmq::Context::new();
        let (out, r#in) = (publisher(&context, out), subscriber(&context, r#in));
        Side { out, r#in, first, linked: false, _context: context }
    }
}

impl Side {
    /// Asks until it is answered: subscriptions take a while to arrive.
    fn link(&mut self) {
        self.linked = true;
        self.r#in.set_rcvtimeo(10).expect("a time limit");
        loop {
            self.out.send(bytes(HELLO), 0).expect("it is sent");
            if self.r#in.recv_bytes(0).is_ok() {
                break;
            }
        }
        self.r#in.set_rcvtimeo(-1).expect("no time limit");
    }
}

impl Duplex for Side {
    fn send(&mut self, number: u64) {
        if self.first && !self.linked {
            self.link();
        }
        self.out.send(bytes(number), 0).expect("it is sent");
    }

    fn receive(&mut self) -> u64 {
        loop {
            let number = number(&self.r#in.recv_msg(0).expect("a message"));
            if number != HELLO {
                return number;
            }
            if !self.first {
                self.out.send(bytes(HELLO), 0).expect("it is sent");
            }
        }
    }
}

pub struct Writer {
    out: zmq::Socket,
    _context: zmq::Context,
}

impl Source for Writer {
    fn put(&mut self, first: u64, count: usize) {
        for number in first..first + count as u64 {
            self.out.send(bytes(number), 0).expect("it is sent");
        }
    }
}

pub struct Reader {
    r#in: zmq::Socket,
    _context: zmq::Context,
}

impl Sink for Reader {
    fn take(&mut self) -> (u64, u64) {
        std::hint::black_box(number(&self.r#in.recv_msg(0).expect("a message")));
        (1, 0)
    }
}

impl Stream for ZeroMq {
    type Source = Writer;
    type Sink = Reader;
    const PLACE: Place = Place::Processes;
    /// A subscription travels to the publisher, which drops what it publishes before it arrives.
    const SETTLE: Duration = Duration::from_millis(300);

    fn source(&self) -> Writer {
        let context = zmq::Context::new();
        Writer { out: publisher(&context, &self.there), _context: context }
    }

    fn sink(&self) -> Reader {
        let context = zmq::Context::new();
        Reader { r#in: subscriber(&context, &self.there), _context: context }
    }
}
