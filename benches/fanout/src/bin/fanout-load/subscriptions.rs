//! Which client subscribes to which topics, and so how many clients a tick goes to.

#[derive(Clone, Copy)]
enum Sharing {
    /// All clients have the same topics.
    Equal,
    /// The first half of a client's topics is everybody's, the rest its own. Every other tick is of a shared topic.
    Half,
    /// No topic has two clients.
    Different,
}

/// Topics are numbers of one name space: the shared ones come first, then those of each client in turn.
#[derive(Clone, Copy)]
pub struct Subscriptions {
    sharing: Sharing,
    clients: usize,
    /// Topics of one client that all clients have, and those that only it has.
    shared: usize,
    own: usize,
}

impl Subscriptions {
    /// `topics` is the number of topics of one client.
    pub fn new(sharing: &str, topics: usize, clients: usize) -> Self {
        let (sharing, shared) = match sharing {
            "equal" => (Sharing::Equal, topics),
            "half" => (Sharing::Half, topics / 2),
            "different" => (Sharing::Different, 0),
            other => panic!("--subscriptions {other}: expected equal, half or different"),
        };
        assert!(!matches!(sharing, Sharing::Half) || topics >= 2, "--subscriptions half needs two topics");
        Self { sharing, clients, shared, own: topics - shared }
    }

    /// Topics of one client.
    pub const fn of_each(&self) -> usize {
        self.shared + self.own
    }

    /// Topics of all clients together.
    pub const fn all(&self) -> usize {
        self.shared + self.own * self.clients
    }

    /// The topics of a client. One beyond those that read has the topics of the first.
    pub fn of(&self, client: usize) -> impl Iterator<Item = usize> {
        let first = self.shared + client % self.clients.max(1) * self.own;
        (0..self.shared).chain(first..first + self.own)
    }

    /// The topic of a tick, and how many of the clients that read have it.
    #[inline]
    pub const fn of_tick(&self, number: u64) -> (usize, u64) {
        let number = number as usize;
        match self.sharing {
            Sharing::Equal => (number % self.shared, self.clients as u64),
            Sharing::Half if number.is_multiple_of(2) => (number / 2 % self.shared, self.clients as u64),
            Sharing::Half => (self.own_topic(number / 2), 1),
            Sharing::Different => (self.own_topic(number), 1),
        }
    }

    /// Clients take turns, so that ticks that are published together are for many of them.
    const fn own_topic(&self, number: usize) -> usize {
        let (client, round) = (number % self.clients, number / self.clients);
        self.shared + client * self.own + round % self.own
    }

    /// Deliveries of so many ticks.
    pub fn deliveries(&self, first: u64, count: usize) -> u64 {
        (first..first + count as u64).map(|number| self.of_tick(number).1).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_goes_to_the_clients_that_have_its_topic() {
        for sharing in ["equal", "half", "different"] {
            let subscriptions = Subscriptions::new(sharing, 5, 4);
            let mut ticked = vec![0; subscriptions.all()];
            for number in 0..1_000 {
                let (topic, deliveries) = subscriptions.of_tick(number);
                let clients = (0..4).filter(|client| subscriptions.of(*client).any(|own| own == topic));
                assert_eq!(clients.count() as u64, deliveries, "{sharing}, tick {number}");
                ticked[topic] += 1;
            }
            assert!(ticked.iter().all(|count| *count > 0), "{sharing}: every topic has ticks");
            assert!((0..4).all(|client| subscriptions.of(client).count() == subscriptions.of_each()));
        }
    }
}
