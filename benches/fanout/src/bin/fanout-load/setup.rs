use std::time::Duration;

use openalgo_shm_fanout_bench::arguments::Arguments;

use crate::subscriptions::Subscriptions;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    OpenAlgo,
    /// Sends one frame when it is ready, and gets every tick.
    Plain,
    Nats,
}

/// What is asked of the server, and of the clients.
#[derive(Clone)]
pub struct Setup {
    pub port: u16,
    pub path: String,
    pub protocol: Protocol,
    /// Clients that read everything at once. The figures are theirs.
    pub clients: usize,
    /// Clients that never read.
    pub stalled: usize,
    /// Clients that read little.
    pub slow: usize,
    /// Bytes that a slow client reads at a time, and how often.
    pub slow_read: usize,
    pub slow_every: Duration,
    pub subscriptions: Subscriptions,
    pub mode: u8,
    /// Ticks of a round. With a rate: ticks that are published together.
    pub gather: usize,
    /// Ticks a second; 0: as fast as they arrive.
    pub rate: u64,
    /// Connections a second that come and go.
    pub churn: u64,
}

impl Setup {
    pub fn of(arguments: &Arguments) -> Self {
        let clients = arguments.number("clients", 1);
        Self {
            port: arguments.number("port", 8765),
            path: arguments.text("path").unwrap_or("/").to_owned(),
            protocol: match arguments.text("protocol").unwrap_or("openalgo") {
                "openalgo" => Protocol::OpenAlgo,
                "plain" => Protocol::Plain,
                "nats" => Protocol::Nats,
                other => panic!("--protocol {other}: expected openalgo, plain or nats"),
            },
            clients,
            stalled: arguments.number("stalled", 0),
            slow: arguments.number("slow", 0),
            slow_read: arguments.number("slow-read", 4096),
            slow_every: Duration::from_millis(arguments.number("slow-every", 20)),
            subscriptions: Subscriptions::new(
                arguments.text("subscriptions").unwrap_or("equal"),
                arguments.number("topics", 1),
                clients,
            ),
            mode: arguments.number("mode", 1),
            gather: arguments.number("gather", 1),
            rate: arguments.number("rate", 0),
            churn: arguments.number("churn", 0),
        }
    }

    /// True of a client whose bytes are meant to stay in the server.
    pub fn is_hardly_read(&self, client: usize) -> bool {
        let slow = self.clients..self.clients + self.slow;
        client >= slow.end || slow.contains(&client) && self.slow_read < 4096
    }
}
