// A feed in a process of its own that says that it tells results, and tells none. A marker follows, which no proxy knows.
import { EventPublisher } from '../../dist/shm/events.js';

const events = new EventPublisher({ name: process.argv[2], ownerName: 'zerodha' });
events.publish({ type: 'feed_source', feed: 'zerodha', up: true, answers: true });
events.publish({ type: 'marker' });
setInterval(() => {}, 1_000);
