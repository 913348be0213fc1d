import { type Command, createCommand } from 'commander';
import { openAlgoCommand } from './feed-openalgo.ts';
import { replayCommand } from './feed-replay.ts';
import { simulatedCommand } from './feed-simulated.ts';
import { zmqCommand } from './feed-zmq.ts';

const HELP = `
Examples:
  $ openalgo-shm feed simulated --rate 1000
  $ openalgo-shm feed replay session.csv --symbol NIFTY --exchange NSE_INDEX --speed 10
  $ openalgo-shm feed openalgo ws://127.0.0.1:8765 --api-key …
  $ openalgo-shm feed zmq

A feed publishes ticks into the ring; any number may run at the same time, each has a lane of its own.`;

/** One command for each kind of feed. */
export function feedCommand(): Command {
  return createCommand('feed')
    .description('publish ticks into the ring')
    .addCommand(simulatedCommand())
    .addCommand(replayCommand())
    .addCommand(openAlgoCommand())
    .addCommand(zmqCommand())
    .addHelpText('after', HELP);
}
