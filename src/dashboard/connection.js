import { key } from './api.js';

const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 4000;
const UNAUTHORISED = 4401;
const NORMAL_MODES = [1, 2];
const CHOSEN_MODES = [1, 2, 3];

/**
 * The WebSocket to the proxy. Says what it wants again after every interruption, and asks for a key when the proxy
 * does. `on.state` gets 'connecting', 'open' or 'waiting'; `on.tick` every tick; `on.skipped` how many were left out.
 */
export class Connection {
  #on;
  #socket;
  #pause = FIRST_PAUSE_MS;
  #timer;
  #wanted = new Map();
  #needsKey = false;

  constructor(on) {
    this.#on = on;
  }

  open() {
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#on.state('connecting');
    const url = new URL('ws', document.baseURI);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.addEventListener('open', () => this.#greet());
    socket.addEventListener('message', ({ data }) => this.#take(JSON.parse(data)));
    socket.addEventListener('close', ({ code }) => this.#retry(socket, code));
  }

  /** Says what is watched; the chosen instrument comes with its book. Only what has changed is sent. */
  want(instruments, chosen) {
    const wanted = new Map(
      instruments.map((instrument) => [
        instrument.key,
        { ...instrument, modes: instrument.key === chosen?.key ? CHOSEN_MODES : NORMAL_MODES },
      ]),
    );
    const before = this.#wanted;
    this.#wanted = wanted;
    if (!this.#isReady) return;
    for (const mode of CHOSEN_MODES) {
      this.#send('unsubscribe', mode, missing(before, wanted, mode));
      this.#send('subscribe', mode, missing(wanted, before, mode));
    }
  }

  get #isReady() {
    return this.#socket?.readyState === WebSocket.OPEN && !this.#needsKey;
  }

  #greet() {
    const current = key.get();
    this.#needsKey = current !== undefined;
    if (current === undefined) this.#begin();
    else this.#socket.send(JSON.stringify({ action: 'authenticate', api_key: current }));
  }

  #begin() {
    this.#needsKey = false;
    this.#pause = FIRST_PAUSE_MS;
    this.#on.state('open');
    for (const mode of CHOSEN_MODES) this.#send('subscribe', mode, missing(this.#wanted, new Map(), mode));
  }

  #take(message) {
    if (message.type === 'market_data') this.#on.tick(message);
    else if (message.type === 'auth' && message.status === 'success') this.#begin();
    else if (message.type === 'auth') this.#refused();
    else if (message.code === 'NOT_AUTHENTICATED') this.#refused();
    else if (message.type === 'skipped') this.#on.skipped(message.count);
  }

  #refused() {
    this.#needsKey = true;
    this.#on.keyWanted();
  }

  #retry(socket, code) {
    if (socket !== this.#socket) return;
    this.#on.state('waiting');
    if (code === UNAUTHORISED) this.#on.keyWanted();
    this.#timer = setTimeout(() => this.open(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE_MS);
  }

  #send(action, mode, instruments) {
    if (instruments.length === 0) return;
    const symbols = instruments.map(({ symbol, exchange }) => ({ symbol, exchange, mode }));
    this.#socket.send(JSON.stringify({ action, mode, depth: 20, symbols }));
  }
}

/** Those of `wanted` in this mode that are not in `given`. */
function missing(wanted, given, mode) {
  const has = (instrument) => instrument?.modes.includes(mode) ?? false;
  return [...wanted.values()].filter((instrument) => has(instrument) && !has(given.get(instrument.key)));
}
