import { WebSocket } from 'ws';

/** What a raw client wants: instruments in one mode. */
export interface Wanted {
  symbols: readonly { exchange: string; symbol: string }[];
  mode: 1 | 2 | 3;
  depth?: number;
}

interface MarketData {
  type: string;
  exchange: string;
  symbol: string;
  mode: number;
  seq: number;
  snapshot?: boolean;
  data: { ltp?: number; depth?: { buy: unknown[]; sell: unknown[] } };
  count?: number;
}

const RECONNECT_MS = 50;

/** A client without a library, as strategies have them: it connects again by itself, and counts what `seq` says is missing. */
export class RawClient {
  readonly wanted: Wanted;
  readonly #url: string;
  readonly #key: string;
  readonly #sequences = new Map<string, number>();
  #socket: WebSocket | undefined;
  #ended = false;
  /** Live ticks of what it wanted. */
  ticks = 0;
  /** Ticks that were none of its own, or not in its mode. */
  strangers = 0;
  /** Ticks that the sequences say it has not got, within connections. */
  missing = 0;
  /** Times it has connected. */
  connections = 0;
  /** Most levels a side that it has seen. */
  deepest = 0;

  constructor(url: string, key: string, wanted: Wanted) {
    this.#url = url;
    this.#key = key;
    this.wanted = wanted;
    this.#connect();
  }

  end(): void {
    this.#ended = true;
    this.#socket?.terminate();
  }

  #connect(): void {
    if (this.#ended) return;
    const socket = new WebSocket(this.#url, { perMessageDeflate: false });
    this.#socket = socket;
    socket.on('open', () => socket.send(JSON.stringify({ action: 'authenticate', api_key: this.#key })));
    socket.on('message', (data) => this.#receive(socket, JSON.parse(String(data)) as MarketData));
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(() => this.#connect(), RECONNECT_MS));
  }

  #receive(socket: WebSocket, message: MarketData): void {
    if (message.type === 'auth') {
      this.connections++;
      this.#sequences.clear();
      socket.send(JSON.stringify({ action: 'subscribe', ...this.wanted }));
    } else if (message.type === 'market_data') {
      this.#tick(message);
    }
  }

  #tick({ exchange, symbol, mode, seq, snapshot, data }: MarketData): void {
    const isMine = this.wanted.symbols.some((one) => one.symbol === symbol && one.exchange === exchange);
    if (!isMine || mode !== this.wanted.mode) this.strangers++;
    if (snapshot === true) return;
    const key = `${exchange}:${symbol}`;
    const before = this.#sequences.get(key);
    if (before !== undefined) this.missing += seq - before - 1;
    this.#sequences.set(key, seq);
    this.deepest = Math.max(this.deepest, data.depth?.buy.length ?? 0);
    this.ticks++;
  }
}
