//! The limit: sends finished frames to every client, one write a client and round, and does nothing else.
//! `--port --clients --topics --mode --gather --rate (0: as fast as it goes) --ring NAME (a round for every round of
//! that ring, whatever is in its ticks)`

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use openalgo_shm_fanout_bench::arguments::Arguments;
use openalgo_shm_fanout_bench::poll::Poll;
use openalgo_shm_fanout_bench::websocket::{server_frame, tick};
use openalgo_shm_ring::clock::monotonic_ns;
use openalgo_shm_ring::{Consumer, ConsumerOptions, LockFreeRingBuffer};

struct Client {
    stream: TcpStream,
    /// Bytes of the round that the socket has not taken yet.
    rest: VecDeque<u8>,
}

fn main() {
    let arguments = Arguments::parse();
    let listener = TcpListener::bind(("127.0.0.1", arguments.number("port", 0))).expect("a free port");
    println!("{}", listener.local_addr().expect("bound").port());
    let mut clients: Vec<Client> = (0..arguments.number("clients", 1)).map(|_| accept(&listener)).collect();
    for client in &mut clients {
        await_subscription(client);
    }
    let (mode, rate) = (arguments.number("mode", 1u8), arguments.number("rate", 0u64));
    let (topics, gather) = (arguments.number("topics", 1usize), arguments.number("gather", 1usize));
    let names: Vec<String> = (0..topics).map(|topic| format!("SYM{topic}")).collect();
    let mut poll = Poll::default();
    for (number, client) in clients.iter().enumerate() {
        client.stream.set_nonblocking(true).expect("a socket");
        poll.add(client.stream.as_raw_fd(), number as u64, 0);
    }
    let round = |stamp: u64, count: usize, from: usize| -> Vec<u8> {
        (from..from + count)
            .flat_map(|number| {
                server_frame(1, tick(&names[number % topics], mode, stamp, number as u64).as_bytes())
            })
            .collect()
    };
    if rate == 0 {
        let bytes = round(0, gather, 0);
        let mut ring = arguments.text("ring").map(|name| {
            let ring = LockFreeRingBuffer::open(name).expect("a ring");
            ring.consumer(ConsumerOptions::new("bare sender")).expect("a place")
        });
        loop {
            if let Some(consumer) = &mut ring {
                await_round(consumer, gather);
            }
            send_all(&mut clients, &bytes, &mut poll);
        }
    }
    let start = monotonic_ns();
    for number in 0.. {
        let due = start + number * 1_000_000_000 / rate;
        while let left @ 1.. = due.saturating_sub(monotonic_ns()) {
            std::thread::sleep(std::time::Duration::from_nanos(left));
        }
        send_all(&mut clients, &round(monotonic_ns(), 1, number as usize), &mut poll);
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

/// Every client sends one frame when it is ready.
fn await_subscription(client: &mut Client) {
    let count = client.stream.read(&mut [0; 65_536]).expect("a subscription");
    assert!(count > 0, "the client went");
}

fn await_round(consumer: &mut Consumer, gather: usize) {
    let mut come = 0;
    while come < gather {
        come += consumer.poll(gather - come, |_| {});
    }
}

/// Returns when the kernel has taken the bytes for every client.
fn send_all(clients: &mut [Client], bytes: &[u8], poll: &mut Poll) {
    let mut waiting = 0;
    for (number, client) in clients.iter_mut().enumerate() {
        let sent = send(&client.stream, bytes);
        if sent < bytes.len() {
            client.rest.extend(&bytes[sent..]);
            poll.change(client.stream.as_raw_fd(), number as u64, libc::EPOLLOUT);
            waiting += 1;
        }
    }
    let mut ready = Vec::new();
    while waiting > 0 {
        poll.wait(1000, &mut ready);
        for number in &ready {
            let client = &mut clients[*number as usize];
            let sent = send(&client.stream, client.rest.make_contiguous());
            client.rest.drain(..sent);
            if client.rest.is_empty() {
                poll.change(client.stream.as_raw_fd(), *number, 0);
                waiting -= 1;
            }
        }
    }
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
