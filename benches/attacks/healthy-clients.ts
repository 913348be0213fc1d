// The clients that must notice nothing, in a process of their own.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { answerCalls } from './harness-process.ts';
import { OPCODE } from './frames.ts';
import { type HealthySeen, type HealthySetup, symbolOf } from './ticks.ts';
import { WebSocketClient } from './websocket-client.ts';

/** Time that a client has to get the last ticks, ms. */
const PATIENCE_MS = 20_000;
const SEQ = Buffer.from('"seq":');
const TICK = Buffer.from('{"type":"market_data"');
const [ZERO, NINE] = [48, 57];
const LOOP_RESOLUTION_MS = 1;

/** A client that wants every tick of every topic. */
class HealthyClient {
  lastSeq = 0;
  lost = 0;
  received = 0;
  longestSilence = 0;
  isGone = false;
  readonly client: WebSocketClient;
  #lastTick = 0;

  constructor({ port, topics, key }: HealthySetup) {
    this.client = new WebSocketClient(port, {
      onFrame: (opcode, bytes, start, end) => {
        if (opcode === OPCODE.TEXT && isTick(bytes, start, end)) this.#noteTick(seqOf(bytes, start, end));
      },
      onEnd: () => (this.isGone = true),
    });
    const symbols = Array.from({ length: topics }, (_, topic) => ({ symbol: symbolOf(topic), exchange: 'NSE' }));
    void this.client.opened.then((isOpen) => {
      if (!isOpen) return;
      if (key !== undefined) this.client.send(JSON.stringify({ action: 'authenticate', api_key: key }));
      this.client.send(JSON.stringify({ action: 'subscribe', symbols, mode: 'LTP' }));
    });
  }

  begin(): void {
    this.#lastTick = now();
    this.longestSilence = 0;
    this.lost = 0;
    this.received = 0;
  }

  /** Counts a silence that has not ended as well. */
  end(lastSeq: number): void {
    if (this.lastSeq >= lastSeq) return;
    this.longestSilence = Math.max(this.longestSilence, now() - this.#lastTick);
    this.lost += lastSeq - this.lastSeq;
    this.lastSeq = lastSeq;
  }

  #noteTick(seq: number): void {
    // The last ticks of the topics come when a client subscribes, in any order.
    if (seq <= this.lastSeq) return;
    if (this.lastSeq > 0) this.lost += seq - this.lastSeq - 1;
    this.lastSeq = seq;
    this.received += 1;
    const time = now();
    if (time - this.#lastTick > this.longestSilence) this.longestSilence = time - this.#lastTick;
    this.#lastTick = time;
  }
}

const clients: HealthyClient[] = [];
const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });

function now(): number {
  return Number(process.hrtime.bigint());
}

function isTick(bytes: Buffer, start: number, end: number): boolean {
  return end - start > TICK.length && bytes.compare(TICK, 0, TICK.length, start, start + TICK.length) === 0;
}

// The tick's own: another one before it counts the messages of the topic.
function seqOf(bytes: Buffer, start: number, end: number): number {
  let at = bytes.subarray(start, end).lastIndexOf(SEQ) + start + SEQ.length;
  let seq = 0;
  for (; at < end && bytes[at]! >= ZERO && bytes[at]! <= NINE; at++) seq = seq * 10 + bytes[at]! - ZERO;
  return seq;
}

async function until(isTrue: () => boolean, patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  while (!isTrue()) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return true;
}

answerCalls({
  connect: async (setup: HealthySetup) => {
    for (let i = 0; i < setup.clients; i++) clients.push(new HealthyClient(setup));
    const areThere = await until(() => clients.every(({ received }) => received > setup.topics), PATIENCE_MS);
    if (!areThere) throw new Error('not every healthy client gets ticks');
  },
  begin: () => {
    for (const client of clients) client.begin();
    delay.reset();
    delay.enable();
  },
  /** Waits until every client has the tick `lastSeq`, or cannot get it any more. */
  end: async (lastSeq: number): Promise<HealthySeen> => {
    await until(() => clients.every((client) => client.isGone || client.lastSeq >= lastSeq), PATIENCE_MS);
    delay.disable();
    for (const client of clients) client.end(lastSeq);
    return {
      longestSilenceMs: Math.max(...clients.map(({ longestSilence }) => longestSilence)) / 1e6,
      lost: clients.reduce((sum, { lost }) => sum + lost, 0),
      received: clients.reduce((sum, { received }) => sum + received, 0),
      disconnected: clients.filter(({ isGone }) => isGone).length,
      ownDelayMs: Math.max(0, delay.max / 1e6 - LOOP_RESOLUTION_MS),
    };
  },
});
