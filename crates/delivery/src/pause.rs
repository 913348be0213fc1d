//! Waiting for ticks, for as long at full speed as it has lately paid.

use std::time::{Duration, Instant};

use openalgo_shm_ring::{Consumer, WaitStrategy};

/// Ticks that are further apart than this are slept for: to be woken costs both sides some 25 µs, the publisher a
/// system call.
const WORTH_SPINNING_NS: u64 = 100_000;
/// From here on others that want the core have it first.
const POLITE_AFTER: Duration = Duration::from_micros(20);
/// What a wait counts as at most: after a pause of the market a few ticks are enough to learn anew.
const LONGEST_NS: u64 = 1_000_000;
/// Looks at the ring between looks at the clock.
const LOOKS: u32 = 32;

/// How long ticks have lately been waited for.
pub(crate) struct Pause {
    strategy: WaitStrategy,
    /// Moving average over about eight waits.
    average_ns: u64,
    begun_ns: u64,
}

impl Pause {
    pub const fn new(strategy: WaitStrategy) -> Self {
        Self { strategy, average_ns: LONGEST_NS, begun_ns: 0 }
    }

    /// Waits until there is a tick or `also` holds, at most `timeout`.
    pub fn wait(&mut self, consumer: &Consumer, now_ns: u64, timeout: Duration, also: impl Fn() -> bool) {
        self.begun_ns = now_ns;
        if self.strategy != WaitStrategy::Adaptive {
            consumer.wait_or(self.strategy, timeout, also);
            return;
        }
        let spin = self.spin();
        if !spin.is_zero() && spins(spin.min(timeout), || also() || consumer.is_ready()) {
            return;
        }
        consumer.wait_or(WaitStrategy::Sleep, timeout, also);
    }

    /// Learns from the publish time of the first tick that came after a wait: the time that the wake-up took does
    /// not count, so that sleeping does not make ticks look further apart than they are.
    pub fn learn(&mut self, published_ns: u64) {
        if self.begun_ns == 0 {
            return;
        }
        let waited = published_ns.saturating_sub(self.begun_ns).min(LONGEST_NS);
        self.average_ns = (7 * self.average_ns + waited) / 8;
        self.begun_ns = 0;
    }

    fn spin(&self) -> Duration {
        let worth = self.average_ns <= WORTH_SPINNING_NS;
        Duration::from_nanos(if worth { 2 * self.average_ns + 10_000 } else { 0 })
    }
}

fn spins(limit: Duration, ready: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..LOOKS {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        let elapsed = start.elapsed();
        if elapsed >= limit {
            return false;
        }
        if elapsed >= POLITE_AFTER {
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(waits: &[u64]) -> Pause {
        let mut pause = Pause::new(WaitStrategy::Adaptive);
        for wait in waits {
            pause.begun_ns = 1_000_000;
            pause.learn(1_000_000 + wait);
        }
        pause
    }

    #[test]
    fn a_quiet_market_is_slept_for_and_a_busy_one_is_spun_for() {
        assert!(after(&[]).spin().is_zero());
        assert!(after(&[1_000_000; 100]).spin().is_zero());
        let busy = after(&[20_000; 100]).spin();
        assert!(busy >= Duration::from_micros(40) && busy <= Duration::from_micros(60), "{busy:?}");
    }

    #[test]
    fn a_pause_of_hours_is_forgotten_after_a_few_ticks() {
        let mut waits = vec![3_600_000_000_000; 1];
        waits.extend([10_000; 40]);
        assert!(!after(&waits).spin().is_zero());
    }

    #[test]
    fn a_wake_up_for_a_command_teaches_nothing() {
        let mut pause = after(&[10_000; 100]);
        let average = pause.average_ns;
        pause.learn(u64::MAX);
        assert_eq!(pause.average_ns, average);
    }
}
