//! iceoryx2: publish-subscribe between processes, zero-copy. Samples are loaned, written in place, and sent.

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;

use crate::link::{Duplex, Link, Payload, Place, Sink, Source, Stream, payload};

// SAFETY: plain words without pointers.
unsafe impl ZeroCopySend for Payload {}

pub struct Iceoryx {
    tag: String,
    /// Messages that a subscriber's queue has room for.
    queue: usize,
    lossless: bool,
}

impl Iceoryx {
    pub fn new(queue: usize, lossless: bool) -> Self {
        set_log_level(LogLevel::Fatal);
        Self {
            tag: format!("bench-{}-{}", std::process::id(), openalgo_shm_ring::clock::monotonic_ns()),
            queue,
            lossless,
        }
    }
}

/// A service's node lives as long as its ports.
pub struct Port<T> {
    port: T,
    _node: Node<ipc::Service>,
}

fn with_service<T>(
    service: &Iceoryx,
    direction: &str,
    open: impl FnOnce(
        &iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, Payload, ()>,
    ) -> T,
) -> Port<T> {
    let node = NodeBuilder::new().create::<ipc::Service>().expect("a node");
    let name = format!("{}/{direction}", service.tag);
    let factory = node
        .service_builder(&name.as_str().try_into().expect("a valid name"))
        .publish_subscribe::<Payload>()
        .enable_safe_overflow(!service.lossless)
        .subscriber_max_buffer_size(service.queue)
        .open_or_create()
        .expect("a service");
    Port { port: open(&factory), _node: node }
}

type In = Port<Subscriber<ipc::Service, Payload, ()>>;
type Out = Port<Publisher<ipc::Service, Payload, ()>>;

fn subscriber(service: &Iceoryx, direction: &str) -> In {
    with_service(service, direction, |factory| factory.subscriber_builder().create().expect("a subscriber"))
}

fn publisher(service: &Iceoryx, direction: &str) -> Out {
    with_service(service, direction, |factory| {
        factory
            .publisher_builder()
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()
            .expect("a publisher")
    })
}

impl Out {
    #[inline]
    fn send(&self, number: u64) {
        let sample = self.port.loan_uninit().expect("a free sample");
        sample.write_payload(payload(number)).send().expect("it is sent");
    }
}

pub struct Side {
    out: Out,
    r#in: In,
}

impl Link for Iceoryx {
    type Side = Side;
    const PLACE: Place = Place::Processes;

    fn open(&self, first: bool) -> Side {
        let (out, r#in) = if first { ("there", "back") } else { ("back", "there") };
        Side { out: publisher(self, out), r#in: subscriber(self, r#in) }
    }
}

impl Duplex for Side {
    #[inline]
    fn send(&mut self, number: u64) {
        self.out.send(number);
    }

    #[inline]
    fn receive(&mut self) -> u64 {
        loop {
            if let Some(sample) = self.r#in.port.receive().expect("a working subscriber") {
                return sample.0[0];
            }
        }
    }
}

impl Source for Out {
    #[inline]
    fn put(&mut self, first: u64, count: usize) {
        for number in first..first + count as u64 {
            self.send(number);
        }
    }
}

pub struct Reader {
    r#in: In,
    next: u64,
    lost: u64,
}

impl Sink for Reader {
    #[inline]
    fn take(&mut self) -> (u64, u64) {
        let Some(sample) = self.r#in.port.receive().expect("a working subscriber") else {
            return (0, self.lost);
        };
        self.lost += sample.0[0] - self.next;
        self.next = sample.0[0] + 1;
        (1, self.lost)
    }
}

impl Stream for Iceoryx {
    type Source = Out;
    type Sink = Reader;
    const PLACE: Place = Place::Processes;

    fn source(&self) -> Out {
        publisher(self, "there")
    }

    fn sink(&self) -> Reader {
        Reader { r#in: subscriber(self, "there"), next: 0, lost: 0 }
    }
}
