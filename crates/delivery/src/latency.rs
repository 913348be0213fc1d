//! Latencies of a thread.

use hdrhistogram::Histogram;

/// Upper bounds of the buckets, ns: 1, 2, 5 in every decade from 10 µs to 5 s. What is longer is in a last bucket
/// without a bound.
pub const LATENCY_BOUNDS_NS: [u64; 18] = {
    let mut bounds = [0; 18];
    let (mut decade, mut index) = (10_000, 0);
    while index < bounds.len() {
        bounds[index] = decade;
        bounds[index + 1] = 2 * decade;
        bounds[index + 2] = 5 * decade;
        decade *= 10;
        index += 3;
    }
    bounds
};

/// Latencies above this (18 minutes) are recorded as this.
const LONGEST_NS: u64 = 1 << 40;

/// Latencies in buckets whose differences show how they move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatencyBuckets {
    /// In each bucket, the last of those above all bounds.
    pub counts: [u64; LATENCY_BOUNDS_NS.len() + 1],
    /// Sum of all, ns.
    pub sum_ns: u64,
}

impl LatencyBuckets {
    fn record(&mut self, ns: u64) {
        let bucket = LATENCY_BOUNDS_NS.partition_point(|&bound| bound < ns);
        self.counts[bucket] += 1;
        self.sum_ns = self.sum_ns.saturating_add(ns);
    }

    /// Adds those of another thread.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }
}

/// Latencies since the thread has started, ns; values are at most 1 % above what they stand for.
#[derive(Debug, Clone)]
pub struct Latencies {
    /// From the publishers' stamps to the read.
    pub read: Histogram<u64>,
    /// From the publishers' stamps until the ticks were written to the last client; sampled.
    pub delivery: Histogram<u64>,
    /// The same in buckets.
    pub buckets: LatencyBuckets,
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = || Histogram::new_with_bounds(1, LONGEST_NS, 2).expect("constant bounds are valid");
        Self { read: histogram(), delivery: histogram(), buckets: LatencyBuckets::default() }
    }
}

impl Latencies {
    /// Records a delivery.
    pub(crate) fn record_delivery(&mut self, ns: u64) {
        let ns = ns.max(1);
        self.delivery.saturating_record(ns);
        self.buckets.record(ns);
    }

    /// Adds those of another thread.
    pub fn add(&mut self, other: &Self) {
        // Bounds are the same everywhere, so nothing is out of range.
        let _ = self.read.add(&other.read);
        let _ = self.delivery.add(&other.delivery);
        self.buckets.add(&other.buckets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_1_2_5_from_10_us_to_5_s() {
        assert_eq!(LATENCY_BOUNDS_NS[..4], [10_000, 20_000, 50_000, 100_000]);
        assert_eq!(LATENCY_BOUNDS_NS[17], 5_000_000_000);
    }

    #[test]
    fn a_latency_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        let mut latencies = Latencies::default();
        for ns in [0, 10_000, 10_001, 5_000_000_000, 5_000_000_001, u64::MAX] {
            latencies.record_delivery(ns);
        }
        let counts = latencies.buckets.counts;
        assert_eq!([counts[0], counts[1], counts[17], counts[18]], [2, 1, 1, 2]);
        assert_eq!(latencies.buckets.sum_ns, u64::MAX);
        let mut all = latencies.clone();
        all.add(&latencies);
        assert_eq!((all.buckets.counts[0], all.delivery.len()), (4, 12));
        assert!(all.delivery.max() >= LONGEST_NS);
    }
}
