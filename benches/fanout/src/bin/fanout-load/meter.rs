use hdrhistogram::Histogram;
use memchr::memmem::FinderRev;

/// What came to the clients that read.
pub struct Meter {
    seq: FinderRev<'static>,
    /// Age of the ticks, ns. Kept at a given rate only.
    pub latency: Option<Histogram<u64>>,
    pub messages: u64,
    pub answers: u64,
    /// Ticks that clients were told they missed.
    pub skipped: u64,
    pub closed: u64,
    /// Longest time between two ticks of one client, ns.
    pub longest_gap: u64,
}

impl Meter {
    pub fn new() -> Self {
        Self {
            seq: FinderRev::new(b"\"seq\":"),
            latency: None,
            messages: 0,
            answers: 0,
            skipped: 0,
            closed: 0,
            longest_gap: 0,
        }
    }

    /// Ages and gaps count from here on.
    pub fn start(&mut self) {
        self.latency = Some(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("valid bounds"));
        self.longest_gap = 0;
    }

    /// A tick, and when it was read.
    pub fn note(&mut self, text: &[u8], now: u64) {
        self.messages += 1;
        if let Some(latency) = &mut self.latency
            && let Some(at) = self.seq.rfind(text)
        {
            latency.saturating_record(now.saturating_sub(number(&text[at + 6..])).max(1));
        }
    }

    pub fn note_gap(&mut self, gap: u64) {
        self.longest_gap = self.longest_gap.max(gap);
    }

    pub fn quantile_us(&self, quantile: f64) -> f64 {
        self.latency.as_ref().map_or(0, |latency| latency.value_at_quantile(quantile)) as f64 / 1e3
    }
}

/// The number at the start of a text.
pub fn number(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
