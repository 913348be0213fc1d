//! Where the bytes of a client go.

#[cfg(unix)]
pub(crate) use socket::{Blocked, Socket};

/// A client's way out.
pub(crate) enum Sink {
    /// A plain TCP socket, which the thread writes to.
    #[cfg(unix)]
    Socket(Socket),
    /// The control plane: it gets whole frames, and says how many bytes it has passed on.
    Handed {
        /// Bytes handed over and not passed on yet.
        in_flight: usize,
    },
}

#[cfg(unix)]
mod socket {
    use std::io::{self, ErrorKind, IoSlice};
    use std::os::fd::{BorrowedFd, RawFd};
    use std::time::Duration;

    use polling::{Event, Events, PollMode, Poller};

    #[cfg(target_os = "linux")]
    const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // Others have no MSG_NOSIGNAL; Node.js ignores SIGPIPE.
    #[cfg(not(target_os = "linux"))]
    const FLAGS: i32 = libc::MSG_DONTWAIT;

    /// A descriptor of our own for a socket that another owner reads from: numbers of descriptors are given again,
    /// and this one cannot be another's as long as we have it.
    pub(crate) struct Socket {
        socket: socket2::Socket,
        is_watched: bool,
    }

    impl Socket {
        /// Duplicates a descriptor.
        ///
        /// # Errors
        /// Of the system, for a number that is no open socket.
        pub fn duplicate(descriptor: RawFd) -> io::Result<Self> {
            if descriptor < 0 {
                return Err(io::Error::from_raw_os_error(libc::EBADF));
            }
            // SAFETY: borrowed for this call only; a number that is not open is an error, not undefined.
            let owned = unsafe { BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()?;
            let socket = socket2::Socket::from(owned);
            // Anything but a socket is refused here, and not by a write into a file.
            socket.r#type()?;
            Ok(Self { socket, is_watched: false })
        }

        /// Sends what the system takes at once; 0 if it takes nothing now.
        ///
        /// # Errors
        /// Of the system: the connection is gone.
        pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
            taken(|| self.socket.send_with_flags(bytes, FLAGS))
        }

        /// The same of several pieces.
        pub fn send_pieces(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            taken(|| self.socket.send_vectored_with_flags(pieces, FLAGS))
        }
    }

    fn taken(send: impl Fn() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            return match send() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
                // The system is short of memory for a moment.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(0),
                result => result,
            };
        }
    }

    /// Sockets that were full: which of them take bytes again.
    pub(crate) struct Blocked {
        poller: Poller,
        events: Events,
    }

    impl Blocked {
        /// # Errors
        /// Of the system, when there are no descriptors left.
        pub fn new() -> io::Result<Self> {
            Ok(Self { poller: Poller::new()?, events: Events::new() })
        }

        /// Watches a socket until it takes bytes, once. `key` names it in [`writable`](Self::writable).
        pub fn watch(&self, socket: &mut Socket, key: usize) -> io::Result<()> {
            let interest = Event::writable(key);
            if socket.is_watched {
                return self.poller.modify_with_mode(&socket.socket, interest, PollMode::Oneshot);
            }
            // SAFETY: `forget` is called before the socket is dropped, or the poller is dropped with it.
            unsafe { self.poller.add_with_mode(&socket.socket, interest, PollMode::Oneshot)? };
            socket.is_watched = true;
            Ok(())
        }

        /// Ends the watch of a socket.
        pub fn forget(&self, socket: &mut Socket) {
            if std::mem::take(&mut socket.is_watched) {
                // It fails only for a socket that is not there, which is what is wanted.
                let _ = self.poller.delete(&socket.socket);
            }
        }

        /// Keys of the sockets that take bytes now.
        pub fn writable(&mut self) -> impl Iterator<Item = usize> {
            self.events.clear();
            // An interrupted call finds them the next time.
            let _ = self.poller.wait(&mut self.events, Some(Duration::ZERO));
            self.events.iter().map(|event| event.key)
        }
    }
}
