import type { Mode } from '../message.ts';
import { MESSAGE_PACK } from '../shm/tick-encoder.ts';
import { ALL_MODES_MASK } from './modes.ts';

/** How messages are written to a client. */
export type Format = 'json' | 'msgpack';

/** The subprotocol of clients that want MessagePack. */
export const MESSAGE_PACK_PROTOCOL = 'openalgo-shm.msgpack';

/** A mode as a client gets it: one number of mode and format. A tick is encoded once for each that somebody wants. */
export function variantOf(mode: Mode, format: Format): number {
  return format === 'json' ? mode : mode + MESSAGE_PACK;
}

/** The bits of a mask of modes as bits of variants. */
export function variantsOfModes(modes: number, format: Format): number {
  return format === 'json' ? modes : modes << MESSAGE_PACK;
}

/** The modes among some variants. */
export function modesOfVariants(variants: number): number {
  return (variants | (variants >> MESSAGE_PACK)) & ALL_MODES_MASK;
}
