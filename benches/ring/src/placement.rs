//! Where the host has put our two cores.
//!
//! The cores of a virtual machine are moved about: now they share a cache, and a line is handed over in some 60 ns; a
//! second later they do not, and it takes three times as long. Figures that are compared have to be of one placement.

use std::time::{Duration, Instant};

use crate::limit::Line;
use crate::link::latency;

/// Hand-overs that tell which placement it is: a few milliseconds.
const ROUNDS: u64 = 20_000;
/// How much longer than ever seen a hand-over may take.
const NEAR: f64 = 1.6;
const PATIENCE: Duration = Duration::from_millis(1500);
const PAUSE: Duration = Duration::from_millis(100);

/// Waits for the cores to be near one another.
pub struct Placement {
    nearest: f64,
    /// Measurements that began while the cores were far from one another.
    pub far: u32,
    /// All measurements.
    pub all: u32,
}

impl Placement {
    pub const fn new() -> Self {
        Self { nearest: f64::INFINITY, far: 0, all: 0 }
    }

    /// Returns once a line is handed over about as quickly as ever, or after a second and a half.
    pub fn settle(&mut self) {
        self.all += 1;
        let start = Instant::now();
        loop {
            let found = latency(&Line::new(), ROUNDS).p50;
            self.nearest = self.nearest.min(found);
            if found <= NEAR * self.nearest {
                return;
            }
            if start.elapsed() > PATIENCE {
                self.far += 1;
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}
