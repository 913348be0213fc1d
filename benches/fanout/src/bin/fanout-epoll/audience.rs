use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use openalgo_shm_fanout_bench::poll::Poll;

struct Client {
    stream: TcpStream,
    /// Bytes of the round that the socket has not taken yet.
    rest: VecDeque<u8>,
}

/// The clients, who all get the same bytes.
pub struct Audience {
    clients: Vec<Client>,
    poll: Poll,
}

impl Audience {
    /// Waits for so many clients and for the one frame that each sends when it is ready.
    pub fn of(listener: &TcpListener, count: usize) -> Self {
        let mut clients: Vec<Client> = (0..count).map(|_| accept(listener)).collect();
        let poll = Poll::default();
        for (number, client) in clients.iter_mut().enumerate() {
            let count = client.stream.read(&mut [0; 65_536]).expect("a subscription");
            assert!(count > 0, "the client went");
            client.stream.set_nonblocking(true).expect("a socket");
            poll.add(client.stream.as_raw_fd(), number as u64, 0);
        }
        Self { clients, poll }
    }

    /// Returns when the kernel has taken the bytes for every client.
    pub fn send(&mut self, bytes: &[u8]) {
        let mut waiting = 0;
        for (number, client) in self.clients.iter_mut().enumerate() {
            let sent = send(&client.stream, bytes);
            if sent < bytes.len() {
                client.rest.extend(&bytes[sent..]);
                self.poll.change(client.stream.as_raw_fd(), number as u64, libc::EPOLLOUT);
                waiting += 1;
            }
        }
        let mut ready = Vec::new();
        while waiting > 0 {
            self.poll.wait(1000, &mut ready);
            for number in &ready {
                let client = &mut self.clients[*number as usize];
                let sent = send(&client.stream, client.rest.make_contiguous());
                client.rest.drain(..sent);
                if client.rest.is_empty() {
                    self.poll.change(client.stream.as_raw_fd(), *number, 0);
                    waiting -= 1;
                }
            }
        }
    }
}

fn accept(listener: &TcpListener) -> Client {
    let (mut stream, _) = listener.accept().expect("a client");
    stream.set_nodelay(true).expect("a socket");
    let mut request = Vec::new();
    let mut buffer = [0; 2048];
    while !request.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer).expect("a request");
        request.extend_from_slice(&buffer[..count]);
    }
    // The accept key of the one key that the load client sends.
    stream
        .write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        )
        .expect("an open socket");
    Client { stream, rest: VecDeque::new() }
}

fn send(stream: &TcpStream, bytes: &[u8]) -> usize {
    // SAFETY: the bytes are valid for the call.
    let sent =
        unsafe { libc::send(stream.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
    if sent < 0 {
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::WouldBlock {
            std::process::exit(0); // The load client has gone: the measurement is over.
        }
        return 0;
    }
    sent as usize
}
