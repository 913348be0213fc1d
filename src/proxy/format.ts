/** How messages are written to a client. */
export type Format = 'json' | 'msgpack';

/** The subprotocol of clients that want MessagePack. */
export const MESSAGE_PACK_PROTOCOL = 'openalgo-shm.msgpack';
