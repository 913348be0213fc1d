import { Agent, get } from 'node:http';
import { NO_ANSWER } from '../tally.ts';
import type { Target } from '../target.ts';

const PATHS = ['/stats', '/metrics', '/topics'];
const TIMEOUT_MS = 30_000;

/** Reads the figures in a loop, on so many connections that stay. */
export async function figuresInALoop(target: Target, connections: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  await target.parallel(connections, async (number) => {
    for (let turn = number; !target.isOver; turn++) {
      target.tally.answer(await answerOf(target.port, PATHS[turn % PATHS.length]!, agent));
      target.tally.did('requests');
    }
  });
  agent.destroy();
}

function answerOf(port: number, path: string, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path, agent, timeout: TIMEOUT_MS }, (response) => {
      response.resume();
      response.on('end', () => resolve(`HTTP ${response.statusCode ?? 0}`));
      response.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'broken answer'));
    });
    request.on('timeout', () => {
      resolve(NO_ANSWER);
      request.destroy();
    });
    request.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'broken request'));
  });
}
