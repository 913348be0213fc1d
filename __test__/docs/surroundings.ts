import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { StandIn } from '../cli/openalgo-stand-in.ts';
import { RunningCommand, until } from '../cli/running-command.ts';
import type { Snippet } from './snippets.ts';

const KEY = 'a-key-of-openalgo';

/** What runs beside a snippet. */
export interface Surroundings {
  /** The port of its proxy, 0 for any. */
  port: string;
  /** Variables that the snippet's commands find. */
  env: Record<string, string>;
  /** OpenAlgo's folder, where there is one. */
  openalgo?: string;
  end: () => void;
}

/** Starts what a snippet needs. */
export async function surround(snippet: Snippet, ring: string, python: string | undefined): Promise<Surroundings> {
  const { needs } = snippet;
  if (needs.includes('openalgo')) return surroundWithOpenAlgo(snippet, ring, python!);
  const options = [`--ring=${ring}`, '--depth-levels=10'];
  let port = '0';
  if (needs.includes('proxy')) {
    const proxy = new RunningCommand(['serve', '--port=0', '--log-level=warn', ...options]);
    port = (await proxy.says(/→ ws:\S+:(\d+);/))[1]!;
  }
  if (needs.includes('feed')) {
    await new RunningCommand(['feed', 'simulated', '--rate=500', ...options]).says(/simulated/);
  }
  if (needs.length === 2) {
    await until(
      'the proxy has ticks',
      async () => (await fetch(`http://127.0.0.1:${port}/snapshot?exchange=NSE&symbol=RELIANCE`)).ok,
    );
  }
  return { port, env: {}, end: () => {} };
}

/** A stand-in for OpenAlgo in the home folder, and what was said to run with it. */
async function surroundWithOpenAlgo({ needs }: Snippet, ring: string, python: string): Promise<Surroundings> {
  const openalgo = await StandIn.make(python);
  const home = join(openalgo.path, '..');
  symlinkSync(openalgo.path, join(home, 'openalgo'));
  const env = { ...openalgo.environment, HOME: home, OPENALGO_SHM_PYTHON: python, SHM_BUFFER_NAME: ring };
  const ending: (() => void)[] = [() => openalgo.remove()];
  await openalgo.use(
    { do: 'login', name: 'u', token: 't1', broker: 'mock' },
    { do: 'key', user_id: 'u', api_key: KEY },
  );
  if (needs.includes('running')) {
    await new RunningCommand(['openalgo', openalgo.path], { env }).says(/Ctrl-C ends both/);
  }
  if (needs.includes('client')) ending.push(await subscribe(openalgo));
  return {
    port: String(openalgo.webSocketPort),
    env,
    openalgo: openalgo.path,
    end: () => ending.toReversed().forEach((end) => end()),
  };
}

/** A client that has subscribed, and a broker that ticks; returns how to end both. */
async function subscribe({ webSocketPort, broker }: StandIn): Promise<() => void> {
  const socket = new WebSocket(`ws://127.0.0.1:${webSocketPort}`);
  socket.on('open', () => socket.send(JSON.stringify({ action: 'authenticate', api_key: KEY })));
  socket.once('message', () => socket.send('{"action":"subscribe","symbol":"RELIANCE","exchange":"NSE","mode":1}'));
  await until('the subscription at the broker', () => broker.subscribed.includes('RELIANCE'));
  const timer = setInterval(
    () => broker.tick('NSE_RELIANCE_LTP', { symbol: 'RELIANCE', exchange: 'NSE', mode: 'ltp', ltp: 1402.5 }),
    20,
  );
  return () => {
    clearInterval(timer);
    socket.terminate();
  };
}
