// Tries again and again to become the recorder of a file, and says at its end how often it was let in.
import { Recorder } from '../../dist/recording/recorder.js';

const [, , file, name] = process.argv;
let refused = 0;
let letIn = 0;
const ending = new AbortController();
process.on('SIGTERM', () => ending.abort());
console.log('trying');
while (!ending.signal.aborted) {
  for (let tries = 0; tries < 50; tries++) {
    const recorder = new Recorder(file, { name, policy: 'lossless', subscriberName: 'another' });
    try {
      recorder.start();
      letIn++;
      await recorder.stop();
    } catch (error) {
      if (error.code !== 'ERR_FILE_BUSY') throw error;
      refused++;
    }
  }
  await new Promise((resolve) => setImmediate(resolve));
}
console.log(`refused ${refused} times, let in ${letIn} times`);
