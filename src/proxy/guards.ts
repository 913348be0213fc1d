import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Proxy, Rejection } from './proxy.ts';
import { upgradeOf } from './upgrades.ts';

/** Ends a request that may not be served, and leaves the others alone. */
export type Guard = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined>;

/** Who may open a WebSocket; plain requests pass. */
export function webSocketGuard(proxy: Proxy): Guard {
  return async (request, reply) => {
    const rejection = becomesWebSocket(request) ? proxy.rejectionOf(request) : undefined;
    return rejection === undefined ? undefined : reject(reply, rejection);
  };
}

/** Who may see figures and prices; requests for a WebSocket pass. */
export function figuresGuard(proxy: Proxy): Guard {
  return async (request, reply) => {
    const rejection = becomesWebSocket(request) ? undefined : await proxy.httpRejectionOf(request);
    return rejection === undefined ? undefined : reject(reply, rejection);
  };
}

// A HEAD that asks for an upgrade gets none: its answer tells what a GET's would.
function becomesWebSocket({ raw, method }: FastifyRequest): boolean {
  return upgradeOf(raw) !== undefined && method === 'GET';
}

function reject(reply: FastifyReply, { statusCode, code, message }: Rejection): FastifyReply {
  return reply.code(statusCode).send({ status: 'error', code, message });
}
