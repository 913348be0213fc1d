import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

// @fastify/websocket gives each request for a WebSocket a response, so that Fastify can refuse it with one.

/**
 * Lets go of the request that a WebSocket came with: the response that never was keeps it at the socket, and
 * @fastify/websocket in its listener for errors, as long as the client stays. That is more memory than all the rest.
 */
export function releaseRequest(webSocket: WebSocket, socket: Duplex | undefined): void {
  webSocket.removeAllListeners('error');
  if (socket !== undefined) responseOf(socket)?.detachSocket(socket as Socket);
}

/**
 * Ends the socket of a request for a WebSocket that was answered before any hook could see it, such as one with a
 * broken URL: nobody would read from it or close it any more.
 */
export function endIfAnswered(_request: unknown, socket: Duplex): void {
  if (responseOf(socket)?.writableEnded === true) (socket as Socket).destroySoon();
}

function responseOf(socket: Duplex): ServerResponse | undefined {
  return (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? undefined;
}
