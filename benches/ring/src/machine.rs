//! The machine: where a process runs, and a clock cheap enough to time 100 ns.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The cores that this program was given, asked for before the first pinning.
pub fn cores() -> &'static [usize] {
    static CORES: OnceLock<Vec<usize>> = OnceLock::new();
    CORES.get_or_init(|| {
        #[cfg(target_os = "linux")]
        // SAFETY: the call fills the set that it is given.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set);
            (0..libc::CPU_SETSIZE as usize).filter(|core| libc::CPU_ISSET(*core, &set)).collect()
        }
        #[cfg(not(target_os = "linux"))]
        vec![0]
    })
}

/// Runs this thread on the core with this number among those given, where the system allows it. Without it the figures spread more.
pub fn pin(index: usize) {
    let core = cores()[index % cores().len()];
    #[cfg(target_os = "linux")]
    // SAFETY: a zeroed cpu_set_t is an empty set; the call copies it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = core;
}

/// Counts ticks of the time stamp counter (10 ns a look; the system's clock takes 25).
#[derive(Clone, Copy)]
pub struct Ticks {
    ns_per_tick: f64,
}

impl Ticks {
    /// Measures the counter against the system's clock, for 20 ms, once in this program.
    pub fn calibrate() -> Self {
        static TICKS: OnceLock<Ticks> = OnceLock::new();
        *TICKS.get_or_init(|| {
            let (start, first) = Self::moment();
            std::thread::sleep(Duration::from_millis(20));
            let (end, last) = Self::moment();
            Self { ns_per_tick: (end - start).as_nanos() as f64 / (last - first) as f64 }
        })
    }

    /// Both clocks at one moment: of ten looks the one between which the least time passed, since others may
    /// interrupt us.
    fn moment() -> (Instant, u64) {
        let look = || {
            let before = Self::now();
            let now = Instant::now();
            let after = Self::now();
            (after - before, (now, before + (after - before) / 2))
        };
        let (_, moment) = (0..10).map(|_| look()).min_by_key(|(spent, _)| *spent).expect("ten looks");
        moment
    }

    #[inline]
    pub fn now() -> u64 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every x86-64 has the instruction.
        unsafe {
            core::arch::x86_64::_rdtsc()
        }
        #[cfg(not(target_arch = "x86_64"))]
        openalgo_shm_ring::clock::monotonic_ns()
    }

    pub fn to_ns(self, ticks: u64) -> f64 {
        ticks as f64 * self.ns_per_tick
    }
}

/// Model and number of cores, for the head of a report.
pub fn describe() -> String {
    let cores = cores().len();
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!("{} cores, {}", cores, model.map_or(std::env::consts::ARCH, |(_, model)| model))
}
