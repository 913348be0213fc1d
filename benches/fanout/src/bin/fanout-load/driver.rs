use std::time::{Duration, Instant};

use openalgo_shm_ring::clock::monotonic_ns;

use crate::clients::Clients;
use crate::feed::Feed;
use crate::setup::Setup;

/// A feed waits for its ticks' arrival at most this long: a server may drop some.
const PATIENCE: Duration = Duration::from_millis(200);
/// What a feed with a rate makes up for when it was kept from its work, ns. The rest is not published.
const MOST_LATE: u64 = 10_000_000;

/// Makes ticks at their pace and reads what comes of them.
pub struct Driver {
    pub published: u64,
    /// Deliveries that clients that read should see.
    pub owed: u64,
    /// The same, as far as the next round waits for them.
    awaited: u64,
    progress: (u64, Instant),
    due: u64,
    slow_due: Instant,
    last_look: u64,
    /// Longest time between two looks at the clock with a rate, ns: what the load client itself adds to a gap.
    pub longest_turn: u64,
}

impl Driver {
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            published: 0,
            owed: 0,
            awaited: 0,
            progress: (0, now),
            due: 0,
            slow_due: now,
            last_look: 0,
            longest_turn: 0,
        }
    }

    pub fn run(&mut self, clients: &mut Clients, feed: &mut Feed, setup: &Setup, time: Duration) {
        self.due = monotonic_ns();
        self.last_look = self.due;
        self.slow_due = Instant::now();
        let end = Instant::now() + time;
        while Instant::now() < end {
            if setup.slow > 0 && Instant::now() > self.slow_due {
                self.slow_due += setup.slow_every;
                clients.nudge_slow();
            }
            if !feed.is_ours() {
                clients.turn(10);
            } else if setup.rate > 0 {
                self.paced(clients, feed, setup);
            } else {
                self.flat_out(clients, feed, setup);
            }
        }
    }

    fn publish(&mut self, feed: &mut Feed, setup: &Setup, count: usize) -> u64 {
        feed.publish(&setup.subscriptions, self.published, count);
        let deliveries = setup.subscriptions.deliveries(self.published, count);
        self.published += count as u64;
        self.owed += deliveries;
        deliveries
    }

    /// The next round leaves when half of the last has come: the server has taken all of that one from its feed by
    /// then and is writing it, so no write of its carries more than one round, and it does not have to wait.
    fn flat_out(&mut self, clients: &mut Clients, feed: &mut Feed, setup: &Setup) {
        let round = setup.subscriptions.deliveries(self.published, setup.gather);
        let late = self.progress.1.elapsed() > PATIENCE;
        if clients.meter.messages + round / 2 >= self.awaited || late {
            if late {
                self.awaited = clients.meter.messages;
            }
            self.awaited += self.publish(feed, setup, setup.gather);
        }
        clients.turn(1);
        if clients.meter.messages != self.progress.0 {
            self.progress = (clients.meter.messages, Instant::now());
        }
    }

    /// Publishes all that is due, and never sleeps: a client that has to be woken would be late by itself.
    fn paced(&mut self, clients: &mut Clients, feed: &mut Feed, setup: &Setup) {
        let now = monotonic_ns();
        self.longest_turn = self.longest_turn.max(now.saturating_sub(self.last_look));
        self.last_look = now;
        self.due = self.due.max(now.saturating_sub(MOST_LATE));
        let step = setup.gather as u64 * 1_000_000_000 / setup.rate;
        if let Some(late) = now.checked_sub(self.due) {
            let rounds = late / step + 1;
            self.publish(feed, setup, rounds as usize * setup.gather);
            self.due += rounds * step;
        }
        clients.turn(0);
    }

    /// Reads until all that was published has come to every client that reads, or nothing more does. How much did not come.
    pub fn settle(&self, clients: &mut Clients, patience: Duration) -> u64 {
        let mut progress = (clients.meter.messages, Instant::now());
        while clients.meter.messages < self.owed && progress.1.elapsed() < patience {
            clients.turn(10);
            if clients.meter.messages != progress.0 {
                progress = (clients.meter.messages, Instant::now());
            }
        }
        self.owed.saturating_sub(clients.meter.messages)
    }
}
