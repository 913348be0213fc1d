import { type Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { addressGroup, isLoopback } from './addresses.ts';
import type { Counters } from './counters.ts';
import { CLIENTS_OF_OTHER_ADDRESS, type Settings } from './options.ts';

/**
 * The connections of a server that are no WebSocket clients: those that have sent nothing yet, or half of a request, that
 * are shaking hands, or that get figures over HTTP. Closes those that an address has too many of.
 */
export class Connections {
  readonly #limits: Settings['limits'];
  readonly #counters: Counters;
  readonly #perAddress = new Map<string, number>();
  /** The address of each that counts, by its two ends: with TLS a request comes on another socket than the connection. */
  readonly #counted = new Map<string, string>();

  constructor(limits: Settings['limits'], counters: Counters) {
    this.#limits = limits;
    this.#counters = counters;
  }

  /**
   * Follows the connections of a server from now on.
   *
   * @param areForwarded whether it believes reverse proxies on other machines who their clients are.
   */
  watch(server: Server, areForwarded: boolean): void {
    server.on('connection', (socket: Socket) => this.#begin(socket, areForwarded));
    server.on('clientError', ({ code }: { code?: string }) => {
      if (code === 'ERR_HTTP_REQUEST_TIMEOUT') this.#counters.refuse('slow_request');
    });
  }

  /** A connection has become a client, which has bounds of its own. */
  promote(socket: Duplex): void {
    if (socket instanceof Socket) this.#forget(endsOf(socket));
  }

  #begin(socket: Socket, areForwarded: boolean): void {
    const { remoteAddress } = socket;
    // It has gone already.
    if (remoteAddress === undefined) return;
    const group = addressGroup(remoteAddress);
    const count = this.#perAddress.get(group) ?? 0;
    if (count >= this.#most(group, areForwarded)) {
      this.#counters.refuse('too_many_connections');
      return void socket.destroy();
    }
    const ends = endsOf(socket);
    this.#perAddress.set(group, count + 1);
    this.#counted.set(ends, group);
    socket.once('close', () => this.#forget(ends));
  }

  #most(group: string, areForwarded: boolean): number {
    const { connectionsPerAddress, clientsPerAddress = CLIENTS_OF_OTHER_ADDRESS, clients } = this.#limits;
    if (connectionsPerAddress !== undefined) return connectionsPerAddress;
    const most = Math.max(CLIENTS_OF_OTHER_ADDRESS, clientsPerAddress);
    return areForwarded || isLoopback(group) ? Math.max(most, clients) : most;
  }

  #forget(ends: string): void {
    const group = this.#counted.get(ends);
    if (group === undefined) return;
    this.#counted.delete(ends);
    const left = (this.#perAddress.get(group) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(group, left);
    else this.#perAddress.delete(group);
  }
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
