import type { Mode } from '../message.ts';
import type { TickEncoder } from '../shm/tick-encoder.ts';
import { payloads } from './frames.ts';
import { MODES_HIGHEST_FIRST } from './modes.ts';
import type { SnapshotMessage } from './schemas.ts';

export type { LatencyPercentiles } from '../shm/tick-encoder.ts';
export type { LaneStats, RingStats } from '../shm/ring-buffer.ts';
export type { TopicName } from '../shm/topic-words.ts';
export { ENTRY_INTS } from '../shm/tick-encoder.ts';

/** What the proxy needs of the ring: ticks that are encoded already, each once per wanted mode, as WebSocket frames. */
export type TickSource = Pick<
  TickEncoder,
  | 'topic'
  | 'findTopic'
  | 'topicName'
  | 'ticked'
  | 'want'
  | 'wantExchange'
  | 'drain'
  | 'arena'
  | 'entries'
  | 'publishNs'
  | 'snapshot'
  | 'onReady'
  | 'arm'
  | 'isCurrent'
  | 'reattach'
  | 'stats'
  | 'droppedTicks'
  | 'latency'
  | 'ringInfo'
  | 'ringStats'
  | 'close'
>;

/** The last tick that a subscriber of this mode would have got, as the message; without a mode in the richest form there is. */
export function lastMessage(source: TickSource, topic: number, mode?: Mode): SnapshotMessage | undefined {
  const modes = mode === undefined ? MODES_HIGHEST_FIRST : [mode];
  for (const candidate of modes) {
    const frame = source.snapshot(topic, candidate);
    if (frame === null) continue;
    const [payload] = payloads(frame);
    return payload && (JSON.parse(payload.bytes.toString('utf8')) as SnapshotMessage);
  }
  return undefined;
}
