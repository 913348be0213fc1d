use std::time::{Duration, Instant};

use crate::client::Client;
use crate::setup::Setup;

/// Connections that come, subscribe and go when the next comes, in a thread of their own: whoever waits for a handshake
/// does not read ticks meanwhile. Ends with the process.
pub fn start(setup: &Setup) {
    let Some(every) = 1_000_000_000_u64.checked_div(setup.churn).map(Duration::from_nanos) else { return };
    let setup = setup.clone();
    std::thread::spawn(move || {
        let mut due = Instant::now();
        let mut last = None;
        loop {
            let Ok(mut client) = Client::open(&setup) else { return };
            if client.subscribe(&setup, 0).is_err() {
                return;
            }
            drop(last.replace(client));
            due += every;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    });
}
