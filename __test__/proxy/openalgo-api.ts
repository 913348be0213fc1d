import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What OpenAlgo's REST API was asked. */
export interface Asked {
  endpoint: 'ping' | 'chart';
  key: string;
}

/**
 * Answers about keys as OpenAlgo's REST API does (2.0.2.1: `restx_api/ping.py`, `restx_api/chart_api.py`,
 * `utils/security_middleware.py`): `ping` needs a key and a session at the broker, `chart` the key alone.
 */
export class OpenAlgoApi {
  readonly asked: Asked[] = [];
  /** The broker of the user of each key; undefined while the user is logged out of it. */
  readonly keys = new Map<string, string | undefined>();
  /** Whether it has banned whoever asks. */
  isBanning = false;
  /** Whether its version is too old for `chart`. */
  isOld = false;
  /** Whether it has no `chart`, and a page for every path that it does not know, with status 200. */
  hasPageForAnyPath = false;
  /** Answers everything in this way, if set. */
  instead: ((response: ServerResponse) => void) | undefined;
  /** Holds answers back until it is called. */
  release: (() => void) | undefined;
  /** Most that were being answered at the same time. */
  most = 0;
  #underWay = 0;
  #held = Promise.resolve();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async listen(): Promise<OpenAlgoApi> {
    const api = new OpenAlgoApi();
    api.#server.listen(0, '127.0.0.1');
    await once(api.#server, 'listening');
    return api;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** Answers nothing until `release` is called. */
  hold(): void {
    this.#held = new Promise((resolve) => (this.release = resolve));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#underWay += 1;
    this.most = Math.max(this.most, this.#underWay);
    response.once('close', () => (this.#underWay -= 1));
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { pathname, searchParams } = new URL(request.url ?? '', this.url);
    const what = `${request.method} ${pathname}`;
    if (what === 'POST /api/v1/ping') {
      const key = (JSON.parse(Buffer.concat(chunks).toString()) as { apikey: string }).apikey;
      this.asked.push({ endpoint: 'ping', key });
      await this.#held;
      const broker = this.keys.get(key);
      if (this.#answersOtherwise(response)) return;
      if (broker === undefined) return refuse(response);
      return json(response, 200, { status: 'success', data: { message: 'pong', broker } });
    }
    if (this.hasPageForAnyPath) {
      return void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html>');
    }
    if (what === 'GET /api/v1/chart' && !this.isOld) {
      const key = searchParams.get('apikey') ?? '';
      this.asked.push({ endpoint: 'chart', key });
      await this.#held;
      if (this.#answersOtherwise(response)) return;
      if (!this.keys.has(key)) return refuse(response);
      return json(response, 200, { status: 'success', data: {} });
    }
    json(response, 404, { message: 'The requested URL was not found on the server.' });
  }

  #answersOtherwise(response: ServerResponse): boolean {
    if (this.isBanning) {
      response.writeHead(403, { 'content-type': 'text/plain' }).end('Access Denied: Your IP has been banned');
      return true;
    }
    this.instead?.(response);
    return this.instead !== undefined;
  }
}

function refuse(response: ServerResponse): void {
  json(response, 403, { status: 'error', message: 'Invalid openalgo apikey' });
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
