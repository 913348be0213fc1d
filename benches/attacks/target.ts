import { OPCODE } from './frames.ts';
import { NOT_CLOSED, NO_ANSWER, Tally, labelOf } from './tally.ts';
import { type Ending, WebSocketClient } from './websocket-client.ts';

/** What an attacker is told. */
export interface AttackSetup {
  name: string;
  port: number;
  seconds: number;
  isShort: boolean;
  key: string | undefined;
}

/** Time that the server has to answer, ms: long, so that only what is never answered counts. */
const PATIENCE_MS = 30_000;
/** Most calls of a paced attack that are made up for after a delay of the attacker. */
const MOST_MADE_UP = 50;
/** Clients of {@link Target.openMany} that connect at the same time. */
const CONNECTING_AT_ONCE = 20;
/** Messages that answer no request. */
const NOTICES: ReadonlySet<string> = new Set(['skipped', 'feed_status', 'subscription_refused', 'pong frame']);

/** One client of an attacker: counts what the server answers. */
export class AttackClient {
  readonly client: WebSocketClient;
  readonly #tally: Tally;
  readonly #waiting: (() => void)[] = [];
  readonly #whenEnded: Promise<void>;
  #resolveEnded: () => void = () => undefined;
  #hasLeft = false;

  constructor(port: number, tally: Tally, buffer?: Buffer) {
    this.#tally = tally;
    this.#whenEnded = new Promise((resolve) => (this.#resolveEnded = resolve));
    const events = {
      onFrame: (opcode: number, bytes: Buffer, start: number, end: number) => this.#take(opcode, bytes, start, end),
      onEnd: (ending: Ending) => this.#end(ending),
    };
    this.client = new WebSocketClient(port, events, buffer);
  }

  /** Whether messages can be sent. */
  get isOpen(): boolean {
    return this.client.isOpen && !this.client.socket.destroyed && this.client.socket.writable;
  }

  /** Sends a message and waits for nothing. */
  send(message: object): void {
    if (this.isOpen) this.client.send(JSON.stringify(message));
  }

  /** Sends bytes as they are. */
  write(bytes: Buffer): void {
    if (this.isOpen) this.client.socket.write(bytes);
  }

  /** Sends a message and waits until something other than a tick has come for it, or the connection has ended. */
  async ask(message: object): Promise<void> {
    if (!this.isOpen) return;
    const answered = new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.send(message);
    if (!(await isSoon(answered))) this.#tally.answer(NO_ANSWER);
  }

  /** Waits until the server has closed the connection. */
  async awaitClose(): Promise<void> {
    if (!(await isSoon(this.#whenEnded))) this.#tally.answer(NOT_CLOSED);
  }

  /** Goes without a word; what comes of it is no answer. */
  leave(): void {
    this.#hasLeft = true;
    this.client.socket.destroy();
  }

  /** Goes with a reset, in the middle of whatever the server is writing. */
  reset(): void {
    this.#hasLeft = true;
    this.client.socket.resetAndDestroy();
  }

  #take(opcode: number, bytes: Buffer, start: number, end: number): void {
    const label = opcode === OPCODE.PONG ? 'pong frame' : labelOf(bytes.toString('latin1', start, end));
    if (label === 'market_data') return this.#tally.did('ticks taken');
    this.#tally.answer(label);
    if (!NOTICES.has(label)) this.#waiting.shift()?.();
  }

  #end(ending: Ending): void {
    if (!this.#hasLeft) this.#tally.answer(endingLabel(ending));
    this.#resolveEnded();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** The proxy as an attacker sees it, and the time that the attack has. */
export class Target {
  readonly tally = new Tally();
  readonly #setup: AttackSetup;
  readonly #deadline: number;
  readonly #clients = new Set<AttackClient>();

  constructor(setup: AttackSetup) {
    this.#setup = setup;
    this.#deadline = performance.now() + setup.seconds * 1000;
  }

  get port(): number {
    return this.#setup.port;
  }

  get isShort(): boolean {
    return this.#setup.isShort;
  }

  /** Whether the time is up. */
  get isOver(): boolean {
    return performance.now() >= this.#deadline;
  }

  /** A number that is smaller in a short run. */
  amount(full: number, short: number): number {
    return this.isShort ? short : full;
  }

  /** A connected client; one that is refused is not open. With a key it has given it, unless that is left to the attack. */
  async open({ authenticate = true, buffer }: { authenticate?: boolean; buffer?: Buffer } = {}): Promise<AttackClient> {
    const client = new AttackClient(this.port, this.tally, buffer);
    this.#clients.add(client);
    this.tally.did('connections');
    if (!(await isSoon(client.client.opened))) this.tally.answer(NO_ANSWER);
    if (!client.isOpen) await pause(20);
    else if (authenticate && this.#setup.key !== undefined) {
      await client.ask({ action: 'authenticate', api_key: this.#setup.key });
    }
    return client;
  }

  /** As many clients, connected some at a time. */
  async openMany(count: number): Promise<AttackClient[]> {
    const clients: AttackClient[] = [];
    let begun = 0;
    await this.parallel(CONNECTING_AT_ONCE, async () => {
      while (begun < count && !this.isOver) {
        begun += 1;
        clients.push(await this.open());
      }
    });
    return clients;
  }

  /** Lets go of a client that has left. */
  forget(client: AttackClient): void {
    this.#clients.delete(client);
  }

  /** Runs the same loop so many times at once. */
  async parallel(count: number, loop: (number: number) => Promise<void>): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, number) => loop(number)));
  }

  /** Calls so many times a second until the time is up. */
  async paced(perSecond: number, act: (number: number) => void): Promise<void> {
    const start = performance.now();
    for (let number = 0, skipped = 0; !this.isOver; await pause(2)) {
      const due = Math.floor(((performance.now() - start) / 1000) * perSecond) - skipped;
      skipped += Math.max(0, due - number - MOST_MADE_UP);
      for (const last = Math.min(due, number + MOST_MADE_UP); number < last; number++) act(number);
    }
  }

  /** Waits for the end of the time. */
  async untilOver(): Promise<void> {
    while (!this.isOver) await pause(10);
  }

  /** Ends what is still connected. */
  leaveAll(): void {
    for (const client of this.#clients) client.leave();
    this.#clients.clear();
  }
}

/** Waits, ms. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function isSoon(promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), PATIENCE_MS)));
  const inTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

function endingLabel({ code, reason, error, httpStatus }: Ending): string {
  if (code !== undefined) return `close ${code}${reason ? ` ${reason}` : ''}`;
  if (httpStatus !== undefined) return `HTTP ${httpStatus}`;
  return error ?? 'ended without a close';
}
