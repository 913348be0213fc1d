use std::io::{Read, Write};
use std::net::TcpStream;

use openalgo_shm_fanout_bench::arguments::Arguments;
use openalgo_shm_fanout_bench::websocket::tick;
use openalgo_shm_ring::clock::monotonic_ns;
use openalgo_shm_ring::message::{DepthLevel, Field, MarketDataMessage, Mode};
use openalgo_shm_ring::{LockFreeRingBuffer, Producer, RingConfig};

use crate::setup::Setup;
use crate::subscriptions::Subscriptions;

/// What makes the ticks, where the server does not.
pub enum Feed {
    Server,
    Ring { producer: Box<Producer>, messages: Vec<MarketDataMessage> },
    Nats { stream: TcpStream, names: Vec<String>, mode: u8 },
}

impl Feed {
    pub fn open(arguments: &Arguments, setup: &Setup) -> Self {
        let topics = 0..setup.subscriptions.all();
        match arguments.text("feed").unwrap_or("none") {
            "none" => Self::Server,
            "ring" => {
                let name = arguments.text("ring").expect("--ring NAME");
                let ring = LockFreeRingBuffer::create_or_attach(name, RingConfig::mpmc()).expect("a ring");
                let messages = topics.map(|topic| message(topic, setup.mode)).collect();
                Self::Ring { producer: ring.producer("bench").expect("a free lane").into(), messages }
            }
            "nats" => {
                let port = arguments.number("feed-port", 4222);
                let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
                stream.set_nodelay(true).expect("a socket");
                let count = stream.read(&mut [0; 4096]).expect("INFO");
                assert!(count > 0, "INFO comes first");
                stream.write_all(b"CONNECT {\"verbose\":false}\r\n").expect("an open socket");
                Self::Nats {
                    stream,
                    names: topics.map(|topic| format!("SYM{topic}")).collect(),
                    mode: setup.mode,
                }
            }
            other => panic!("--feed {other}: expected none, ring or nats"),
        }
    }

    /// Publishes ticks together, all with the time of now.
    pub fn publish(&mut self, subscriptions: &Subscriptions, first: u64, count: usize) {
        let now = monotonic_ns();
        let topics = (first..first + count as u64).map(|number| subscriptions.of_tick(number).0);
        match self {
            Self::Server => {}
            Self::Ring { producer, messages } => {
                for topic in topics.clone() {
                    messages[topic].set(Field::Seq, now as f64);
                    // A later tick of the same topic in this batch has the same stamp, so it may share the message.
                }
                producer.publish_batch(topics.map(|topic| messages[topic].as_words())).expect("they fit");
            }
            Self::Nats { stream, names, mode } => {
                let mut bytes = Vec::new();
                for (number, topic) in (first..).zip(topics) {
                    let name = &names[topic];
                    let text = tick(name, *mode, now, number);
                    let _ = write!(bytes, "PUB {name} {}\r\n{text}\r\n", text.len());
                }
                stream.write_all(&bytes).expect("an open socket");
            }
        }
    }

    pub const fn is_ours(&self) -> bool {
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
