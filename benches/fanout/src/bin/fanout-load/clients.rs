use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use openalgo_shm_fanout_bench::poll::Poll;
use openalgo_shm_ring::clock::monotonic_ns;

use crate::client::Client;
use crate::meter::Meter;
use crate::setup::{Protocol, Setup};

/// All clients: first those that read, then the slow ones, then those that never read.
pub struct Clients {
    poll: Poll,
    clients: Vec<Client>,
    pub meter: Meter,
    buffer: Vec<u8>,
    ready: Vec<u64>,
    nats: bool,
    reading: usize,
}

impl Clients {
    pub fn connect(setup: &Setup) -> Self {
        let total = setup.clients + setup.slow + setup.stalled;
        let mut clients = Vec::with_capacity(total);
        for number in 0..total {
            let mut client = Client::open(setup).expect("a server");
            if (setup.clients..setup.clients + setup.slow).contains(&number) {
                client.slow = Some(setup.slow_read);
            }
            clients.push(client);
        }
        Self {
            poll: Poll::default(),
            clients,
            meter: Meter::new(),
            buffer: vec![0; 1 << 22],
            ready: Vec::new(),
            nats: setup.protocol == Protocol::Nats,
            reading: setup.clients,
        }
    }

    /// Returns when every subscription was answered, where the protocol has answers.
    pub fn subscribe(&mut self, setup: &Setup) {
        let has_topics = setup.subscriptions.of_each() > 0;
        for (number, client) in self.clients.iter_mut().enumerate() {
            if has_topics {
                client.subscribe(setup, number).expect("an open socket");
            }
            client.stream.set_nonblocking(true).expect("a socket");
            self.poll.add(client.stream.as_raw_fd(), number as u64, libc::EPOLLIN);
        }
        // Of the greeting, authentication and subscription, a server answers at least the last two.
        let answers = match setup.protocol {
            Protocol::OpenAlgo if has_topics => 2,
            Protocol::Nats => 1,
            _ => 0,
        };
        // From now on slow clients read a little at a time, so their answers are read before.
        let slow: Vec<Option<usize>> = self.clients.iter_mut().map(|client| client.slow.take()).collect();
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.meter.answers < answers * self.clients.len() as u64 {
            self.turn(100);
            assert!(Instant::now() < deadline, "only {} answers came", self.meter.answers);
        }
        for (number, slow) in slow.into_iter().enumerate() {
            let client = &mut self.clients[number];
            client.slow = slow;
            if number >= self.reading {
                self.poll.change(client.stream.as_raw_fd(), number as u64, 0);
            }
            if setup.is_hardly_read(number) {
                client.shrink_buffer();
            }
        }
    }

    /// Reads from every client that has something.
    pub fn turn(&mut self, timeout_ms: i32) {
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
    pub fn nudge_slow(&mut self) {
        let slow = self.clients.iter_mut().filter(|client| client.slow.is_some());
        for client in slow {
            client.read(&mut self.buffer, self.nats, &mut self.meter);
        }
    }

    /// Ages and gaps count from here on.
    pub fn start_meter(&mut self) {
        self.meter.start();
        let now = monotonic_ns();
        for client in &mut self.clients {
            client.last_tick = now;
        }
    }

    /// Counts the time since each reading client's last tick as a gap: the next may never come.
    pub fn end_gaps(&mut self) {
        let now = monotonic_ns();
        for client in &self.clients[..self.reading] {
            self.meter.note_gap(now.saturating_sub(client.last_tick));
        }
    }
}
