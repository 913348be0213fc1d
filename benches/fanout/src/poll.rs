//! epoll.

use std::os::fd::RawFd;

pub struct Poll {
    epoll: RawFd,
    events: Vec<libc::epoll_event>,
}

impl Default for Poll {
    fn default() -> Self {
        // SAFETY: no arguments but a flag.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(epoll >= 0, "no epoll");
        Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; 1024] }
    }
}

impl Poll {
    pub fn add(&self, descriptor: RawFd, number: u64, interest: i32) {
        let mut event = libc::epoll_event { events: interest as u32, u64: number };
        // SAFETY: the event is read during the call only.
        let done = unsafe { libc::epoll_ctl(self.epoll, libc::EPOLL_CTL_ADD, descriptor, &raw mut event) };
        assert_eq!(done, 0, "epoll_ctl failed");
    }

    pub fn change(&self, descriptor: RawFd, number: u64, interest: i32) {
        let mut event = libc::epoll_event { events: interest as u32, u64: number };
        // SAFETY: as above.
        unsafe { libc::epoll_ctl(self.epoll, libc::EPOLL_CTL_MOD, descriptor, &raw mut event) };
    }

    /// Numbers of the descriptors that are ready.
    pub fn wait(&mut self, timeout_ms: i32, ready: &mut Vec<u64>) {
        ready.clear();
        // SAFETY: the kernel writes at most as many events as there is room for.
        let count = unsafe {
            libc::epoll_wait(self.epoll, self.events.as_mut_ptr(), self.events.len() as i32, timeout_ms)
        };
        ready.extend(self.events[..count.max(0) as usize].iter().map(|event| event.u64));
    }
}
