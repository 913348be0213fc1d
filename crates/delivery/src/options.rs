//! How delivery is set up.

use std::time::Duration;

use openalgo_shm_ring::WaitStrategy;

/// Options of [`Delivery`](crate::Delivery).
#[derive(Debug, Clone)]
pub struct DeliveryOptions {
    /// Name of the consumers in the ring; with several threads their numbers are added: `proxy-1`, `proxy-2`.
    pub name: String,
    /// Threads, at least 1. Each reads the whole ring.
    pub threads: usize,
    /// How a thread waits for ticks.
    pub wait: WaitStrategy,
    /// Unsent bytes of a client beyond which only the newest tick of each of its topics is kept.
    pub high_water_mark: usize,
    /// Time without progress after which a client with unsent bytes is reported as stuck.
    pub slow_client_timeout: Duration,
    /// Up to which age the last values of another proxy, which a feed passes on, go to subscribers.
    pub carried_max_age: Duration,
}
