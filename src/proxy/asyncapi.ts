import { REQUESTS, RESPONSES, type Schema } from './asyncapi-schemas.ts';

const DESCRIPTION = `Ticks from shared memory over a WebSocket, in OpenAlgo's protocol: JSON text frames, every message an object with
\`action\` (or \`type\`) from the client and \`type\` from the server. Who offers the subprotocol \`openalgo-shm.msgpack\` gets
the same in MessagePack, as binary frames. Close codes: 1001 the server ends, 1008 a limit was
passed, 1009 a message was too big, 1013 too slow or too many clients, 4401 not authenticated in time or key revoked.`;

/** Describes the WebSocket in AsyncAPI 3.0. @param address path of the WebSocket */
export function asyncApi(address: string, version: string): Schema {
  return {
    asyncapi: '3.0.0',
    info: { title: 'openalgo-shm', version, description: DESCRIPTION },
    defaultContentType: 'application/json',
    channels: {
      ticks: { address, messages: { ...references('request', REQUESTS), ...references('response', RESPONSES) } },
    },
    operations: {
      ask: operation('receive', 'What a client may ask for', 'request', REQUESTS),
      answer: operation('send', 'Ticks, answers and notices', 'response', RESPONSES),
    },
    components: { messages: { ...messages('request', REQUESTS), ...messages('response', RESPONSES) } },
  };
}

/** Name of a message among all of them. */
function nameOf(kind: string, name: string): string {
  return `${kind}_${name}`;
}

function operation(action: 'send' | 'receive', summary: string, kind: string, schemas: Record<string, Schema>): Schema {
  return {
    action,
    summary,
    channel: { $ref: '#/channels/ticks' },
    messages: Object.keys(schemas).map((name) => ({ $ref: `#/channels/ticks/messages/${nameOf(kind, name)}` })),
  };
}

function references(kind: string, schemas: Record<string, Schema>): Schema {
  const entries = Object.keys(schemas).map((name) => nameOf(kind, name));
  return Object.fromEntries(entries.map((name) => [name, { $ref: `#/components/messages/${name}` }]));
}

function messages(kind: string, schemas: Record<string, Schema>): Schema {
  return Object.fromEntries(Object.entries(schemas).map(([name, payload]) => [nameOf(kind, name), { name, payload }]));
}
