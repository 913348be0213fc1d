// Records until it is killed, and says how many ticks it has written.
import { Recorder } from '../../dist/recording/recorder.js';

const [, , file, name] = process.argv;
const recorder = new Recorder(file, { name, policy: 'lossless', flushMs: 5, subscriberName: 'to be killed' }).start();
setInterval(() => console.log(recorder.counters.ticks), 5);
