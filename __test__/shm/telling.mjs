// A feed's events in a process of its own.
import { EventPublisher } from '../../dist/shm/events.js';

const events = new EventPublisher({ name: process.argv[2], ownerName: 'teller' });
events.publish(JSON.parse(process.argv[3]));
setInterval(() => {}, 1000);
