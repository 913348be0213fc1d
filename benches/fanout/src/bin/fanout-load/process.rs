/// A process, as the system accounts for it: the server, or the load client itself.
pub struct Process {
    pub pid: u32,
}

impl Process {
    pub fn own() -> Self {
        Self { pid: std::process::id() }
    }

    /// Processor time of all its threads, to the ns; 0 when it is not there.
    pub fn cpu_seconds(&self) -> f64 {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both are written during the calls only.
        let known = unsafe {
            libc::clock_getcpuclockid(self.pid as libc::pid_t, &raw mut clock) == 0
                && libc::clock_gettime(clock, &raw mut time) == 0
        };
        if known && self.pid != 0 { time.tv_sec as f64 + time.tv_nsec as f64 / 1e9 } else { 0.0 }
    }

    pub fn resident_kb(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }
}
