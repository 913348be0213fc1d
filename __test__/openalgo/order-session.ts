import { WebSocket } from 'ws';

/** A session that has asked for order updates. */
export class OrderSession {
  readonly #socket: WebSocket;
  readonly updates: unknown[] = [];
  /** True once the proxy has answered that it will get them. */
  isAsking = false;
  #settle: (() => void) | undefined;

  constructor(url: string, key: string) {
    this.#socket = new WebSocket(url);
    const send = (message: object): void => this.#socket.send(JSON.stringify(message));
    this.#socket.on('open', () => {
      send({ action: 'authenticate', api_key: key });
      send({ action: 'subscribe_orders' });
    });
    this.#socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as { type: string; status?: string };
      if (message.type === 'order_update') this.updates.push(message);
      if (message.type === 'subscribe_orders') this.isAsking = message.status === 'success';
      if (message.type === 'pong') this.#settle?.();
    });
  }

  /** The updates, once all that the proxy had sent has come: the answer to a ping is behind it. */
  async settled(): Promise<unknown[]> {
    const pong = new Promise<void>((resolve) => (this.#settle = resolve));
    this.#socket.send(JSON.stringify({ action: 'ping' }));
    await pong;
    return this.updates;
  }

  end(): void {
    this.#socket.terminate();
  }
}
