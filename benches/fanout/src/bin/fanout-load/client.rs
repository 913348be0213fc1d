use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use memchr::memmem;
use openalgo_shm_fanout_bench::websocket::{client_frame, connect, first_frame};
use openalgo_shm_ring::clock::monotonic_ns;

use crate::meter::{Meter, number};
use crate::setup::{Protocol, Setup};

pub struct Client {
    pub stream: TcpStream,
    /// The beginning of a frame whose end has not come yet.
    rest: Vec<u8>,
    /// NATS: the same of its own protocol inside the frames.
    inner: Vec<u8>,
    /// Bytes that it reads at a time, of a slow client. Its ticks say nothing of the others, and are not noted.
    pub slow: Option<usize>,
    /// When its newest tick came.
    pub last_tick: u64,
}

impl Client {
    /// # Errors
    /// When the server does not answer the handshake.
    pub fn open(setup: &Setup) -> std::io::Result<Self> {
        let headers = if setup.protocol == Protocol::Nats { "Sec-WebSocket-Protocol: nats\r\n" } else { "" };
        let (stream, rest) = connect(setup.port, &setup.path, headers)?;
        Ok(Self { stream, rest, inner: Vec::new(), slow: None, last_tick: monotonic_ns() })
    }

    /// Gives it as little room for unread bytes as the kernel allows.
    pub fn shrink_buffer(&self) {
        let bytes: libc::c_int = 1;
        let length = size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: the option's value is valid for the call.
        let done = unsafe {
            libc::setsockopt(
                self.stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUF,
                (&raw const bytes).cast(),
                length,
            )
        };
        assert_eq!(done, 0, "setsockopt failed");
    }

    /// # Errors
    /// When the server has gone.
    pub fn subscribe(&mut self, setup: &Setup, client: usize) -> std::io::Result<()> {
        let names = setup.subscriptions.of(client).map(|topic| format!("SYM{topic}"));
        match setup.protocol {
            Protocol::OpenAlgo => {
                let symbols: Vec<String> =
                    names.map(|name| format!(r#"{{"symbol":"{name}","exchange":"NSE"}}"#)).collect();
                self.say(1, br#"{"action":"authenticate","api_key":"bench"}"#)?;
                let (symbols, mode) = (symbols.join(","), setup.mode);
                self.say(
                    1,
                    format!(r#"{{"action":"subscribe","symbols":[{symbols}],"mode":{mode}}}"#).as_bytes(),
                )
            }
            Protocol::Plain => self.say(1, br#"{"action":"subscribe"}"#),
            Protocol::Nats => {
                let wishes: String =
                    names.enumerate().map(|(id, name)| format!("SUB {name} {id}\r\n")).collect();
                self.say(2, format!("CONNECT {{\"verbose\":false}}\r\n{wishes}PING\r\n").as_bytes())
            }
        }
    }

    fn say(&mut self, opcode: u8, payload: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(&client_frame(opcode, payload))
    }

    /// Reads what has come. False once the server has closed.
    pub fn read(&mut self, buffer: &mut [u8], nats: bool, meter: &mut Meter) -> bool {
        let kept = self.rest.len();
        buffer[..kept].copy_from_slice(&self.rest);
        let room = self.slow.map_or(buffer.len(), |bytes| kept + bytes);
        let count = match self.stream.read(&mut buffer[kept..room]) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        let (now, messages) = (monotonic_ns(), meter.messages);
        let mut bytes = &buffer[..kept + count];
        while let Some((opcode, start, end)) = first_frame(bytes) {
            let is_tick = bytes[start..end].starts_with(b"{\"type\":\"market_data\"");
            match opcode {
                1 if is_tick && self.slow.is_some() => {}
                1 if is_tick => meter.note(&bytes[start..end], now),
                1 => {
                    meter.answers += 1;
                    if let Some(at) = memmem::find(&bytes[start..end], b"\"skipped\",\"count\":") {
                        meter.skipped += number(&bytes[start + at + 18..]);
                    }
                }
                2 if nats => {
                    self.inner.extend_from_slice(&bytes[start..end]);
                    read_nats(&mut self.inner, meter, now);
                }
                9 => {
                    let pong = client_frame(10, &bytes[start..end]);
                    let _ = (&self.stream).write_all(&pong);
                }
                8 => return false,
                _ => {}
            }
            bytes = &bytes[end..];
        }
        if meter.messages != messages {
            meter.note_gap(now.saturating_sub(self.last_tick));
            self.last_tick = now;
        }
        self.rest.clear();
        self.rest.extend_from_slice(bytes);
        true
    }
}

/// `MSG subject id length\r\n` and the payload, any number of times.
fn read_nats(inner: &mut Vec<u8>, meter: &mut Meter, now: u64) {
    let mut at = 0;
    while let Some(end) = memmem::find(&inner[at..], b"\r\n") {
        let line = &inner[at..at + end];
        let mut next = at + end + 2;
        if line.starts_with(b"MSG ") {
            let length = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
            let length = number(length) as usize;
            if inner.len() < next + length + 2 {
                break;
            }
            meter.note(&inner[next..next + length], now);
            next += length + 2;
        } else if line == b"PONG" {
            meter.answers += 1;
        }
        at = next;
    }
    inner.drain(..at);
}
