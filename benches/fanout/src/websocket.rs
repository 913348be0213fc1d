//! As much of RFC 6455 as a bench needs.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Opens a WebSocket. What the server sent behind its answer is given back.
pub fn connect(port: u16, path: &str, headers: &str) -> std::io::Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    // In one write: uWebSockets takes no request in pieces.
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Err(std::io::Error::other("closed during the handshake"));
        }
        answer.extend_from_slice(&buffer[..count]);
        if let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") {
            if !answer.starts_with(b"HTTP/1.1 101") {
                return Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
            }
            return Ok((stream, answer.split_off(end + 4)));
        }
    }
}

/// A client's frame. The mask is zero, which is allowed and costs nothing.
pub fn client_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), 0x80);
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A server's frame.
pub fn server_frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len(), 0);
    frame.extend_from_slice(payload);
    frame
}

fn header(opcode: u8, length: usize, mask: u8) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match length {
        0..126 => frame.push(mask | length as u8),
        126..65_536 => {
            frame.push(mask | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            frame.push(mask | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame
}

/// A server's frame at the start of `bytes`: opcode, where its payload begins, where it ends.
#[inline]
pub fn first_frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (opcode, short) = (bytes.first()? & 15, bytes.get(1)? & 127);
    let (start, length) = match short {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize),
        short => (2, usize::from(short)),
    };
    (bytes.len() >= start + length).then_some((opcode, start, start + length))
}

/// The tick that every server of the bench sends, in OpenAlgo's form. `stamp` is the time of its making, ns.
pub fn tick(symbol: &str, mode: u8, stamp: u64, sequence: u64) -> String {
    let depth = if mode == 3 {
        let level =
            |i: u32| format!(r#"{{"price":{}.05,"quantity":{},"orders":{}}}"#, 2870 - i, 100 + i, 3 + i);
        let side = (0..5).map(level).collect::<Vec<_>>().join(",");
        format!(r#","depth":{{"buy":[{side}],"sell":[{side}]}},"depth_level":5"#)
    } else {
        String::new()
    };
    format!(
        r#"{{"type":"market_data","symbol":"{symbol}","exchange":"NSE","mode":{mode},"seq":{sequence},"data":{{"symbol":"{symbol}","exchange":"NSE","mode":{mode},"ltp":2875.35,"volume":8412311,"ltt":1663660800000,"timestamp":1663660800123,"seq":{stamp}{depth}}},"broker":"bench"}}"#
    )
}
