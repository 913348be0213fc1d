//! The publish times of one producer: the monotonic clock at a third of its cost.
//!
//! On x86-64 Linux the system's clock is the processor's time stamp counter, scaled, with a fence before it
//! is read: about 25 ns. A producer that publishes often reads the counter alone (about 8 ns) and scales it
//! itself. It reads the system's clock again every half millisecond, so that nothing adds up: between two
//! readings the clock is slewed by 0.25 µs at most (500 ppm), and a scale that changes by more than 2,000 ppm from
//! one reading to the next is thrown away: 1 µs at most.

#[cfg(all(target_arch = "x86_64", target_os = "linux", not(miri), not(loom)))]
mod counter {
    use std::sync::OnceLock;

    use crate::clock::monotonic_ns;

    /// A reading of the system's clock is good for so long, ns.
    const GOOD_FOR_NS: u64 = 500_000;
    /// A scale is taken from readings that are at most so far apart, ns.
    const FAR_APART_NS: u64 = 1_000_000_000;
    /// The counter goes on by less than this while the system's clock is read, else the reader was interrupted:
    /// 1 µs of a counter of 3 GHz.
    const INTERRUPTED_COUNTS: u64 = 3_000;
    /// Fraction bits of the scale.
    const FRACTION: u32 = 32;
    /// Scales that can be true: 0.1 to 10 counts a ns.
    const SCALES: std::ops::RangeInclusive<u64> = (1 << FRACTION) / 10..=10 << FRACTION;
    /// A scale that differs from the one before by more than its 500th part is none.
    const MOST_CHANGE: u64 = 500;

    /// Publish times, never going back.
    pub(crate) struct Stamps {
        /// Counter and clock at the last reading.
        counter: u64,
        ns: u64,
        /// How many counts the reading is good for; 0: none is.
        good_for: u64,
        /// ns of a count, times 2^32; 0 before two readings.
        scale: u64,
        last: u64,
    }

    impl Default for Stamps {
        fn default() -> Self {
            // Asked here, so that no publish opens a file.
            is_clock_the_counter();
            Self { counter: 0, ns: 0, good_for: 0, scale: 0, last: 0 }
        }
    }

    impl Stamps {
        /// Nanoseconds of the clock of [`monotonic_ns`].
        #[inline]
        pub(crate) fn now(&mut self) -> u64 {
            let counted = read_counter().wrapping_sub(self.counter);
            let ns =
                if counted < self.good_for { self.ns + scaled(counted, self.scale) } else { self.read() };
            self.last = self.last.max(ns);
            self.last
        }

        #[cold]
        fn read(&mut self) -> u64 {
            let before = read_counter();
            let ns = monotonic_ns();
            let after = read_counter();
            if !is_clock_the_counter() {
                return ns;
            }
            let (counted, passed) = (before.wrapping_sub(self.counter), ns.saturating_sub(self.ns));
            if self.good_for == 0 && passed < GOOD_FOR_NS / 2 {
                // Too early for a scale: the earlier reading stays.
                return ns;
            }
            let scale = match (GOOD_FOR_NS / 2..FAR_APART_NS).contains(&passed) && counted > 0 {
                true => (u128::from(passed) << FRACTION) / u128::from(counted),
                false => u128::from(self.scale),
            };
            // A machine that slept stops its clock and not its counter: such a scale is none.
            let scale = u64::try_from(scale).ok().filter(|scale| SCALES.contains(scale)).unwrap_or(0);
            let changed = self.scale != 0 && scale.abs_diff(self.scale) > self.scale / MOST_CHANGE;
            let interrupted = after.wrapping_sub(before) > INTERRUPTED_COUNTS;
            if interrupted || changed {
                // The next two readings make a new one.
                *self = Self { counter: 0, ns: 0, good_for: 0, scale: 0, last: self.last };
                return ns;
            }
            let good_for = (u128::from(GOOD_FOR_NS) << FRACTION).checked_div(u128::from(scale)).unwrap_or(0);
            *self = Self { counter: before, ns, good_for: good_for as u64, scale, last: self.last };
            ns
        }

        /// True while the counter alone is read, or if it never will be.
        #[cfg(test)]
        pub(super) fn is_scaled(&self) -> bool {
            self.good_for > 0 || !is_clock_the_counter()
        }
    }

    const fn scaled(counts: u64, scale: u64) -> u64 {
        ((counts as u128 * scale as u128) >> FRACTION) as u64
    }

    #[inline]
    fn read_counter() -> u64 {
        // SAFETY: every x86-64 has the instruction, and Linux lets programs use it.
        unsafe { std::arch::x86_64::_rdtsc() }
    }

    /// The kernel uses the counter as its clock only where all processors agree on it and it never stops.
    fn is_clock_the_counter() -> bool {
        static ANSWER: OnceLock<bool> = OnceLock::new();
        *ANSWER.get_or_init(|| {
            std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource")
                .is_ok_and(|source| source.trim() == "tsc")
        })
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", not(miri), not(loom))))]
mod counter {
    /// Publish times: the system's clock as it is.
    #[derive(Default)]
    pub(crate) struct Stamps;

    impl Stamps {
        #[inline]
        pub(crate) fn now(&mut self) -> u64 {
            crate::clock::monotonic_ns()
        }

        #[cfg(all(test, not(loom)))]
        pub(super) fn is_scaled(&self) -> bool {
            true
        }
    }
}

pub(crate) use counter::Stamps;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Stamps;
    use crate::clock::monotonic_ns;

    /// What the scale and a slewed clock may be off by, with room to spare.
    const TOLERANCE_NS: u64 = 20_000;

    #[test]
    fn a_stamp_lies_between_two_readings_of_the_clock_and_none_goes_back() {
        let mut stamps = Stamps::default();
        let (begun, mut last) = (monotonic_ns(), 0);
        // Many times as long as one reading is good for.
        while monotonic_ns() < begun + if cfg!(miri) { 0 } else { 50_000_000 } {
            let before = monotonic_ns();
            let stamp = stamps.now();
            let after = monotonic_ns();
            assert!(stamp + TOLERANCE_NS >= before, "{stamp} is before {before}");
            assert!(stamp <= after + TOLERANCE_NS, "{stamp} is after {after}");
            assert!(stamp >= last, "{stamp} after {last}");
            last = stamp;
        }
    }

    #[test]
    fn a_producer_that_never_rests_stops_asking_the_system() {
        let mut stamps = Stamps::default();
        let mut calls = 0_u64;
        while !stamps.is_scaled() {
            stamps.now();
            calls += 1;
            assert!(calls < 100_000_000, "the scale is never found");
        }
    }
}
