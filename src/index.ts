export { ERROR_CODES, OpenAlgoShmError, hasCode, type ErrorCode } from './errors.ts';
export {
  FIELDS,
  MAX_DEPTH_LEVELS,
  MAX_EXCHANGE_BYTES,
  MAX_SYMBOL_BYTES,
  MODE,
  MODE_NAMES,
  type DepthLevel,
  type FieldName,
  type MarketData,
  type MarketDepth,
  type Mode,
  type Tick,
  type TickFields,
} from './message.ts';
export {
  DEFAULT_BUFFER_SIZE,
  DEFAULT_DEPTH_LEVELS,
  DEFAULT_RING_NAME,
  type Policy,
  type RingOptions,
  type Wait,
} from './shm/options.ts';
export { SharedMemoryPublisher, type PublisherOptions, type PublisherStats } from './shm/publisher.ts';
export {
  LockFreeRingBuffer,
  type ConsumerStats,
  type FoundRing,
  type LaneStats,
  type RingInfo,
  type RingStats,
} from './shm/ring-buffer.ts';
export { SharedMemorySubscriber, type SubscriberOptions, type SubscriberStats } from './shm/subscriber.ts';
export type { TickBatch } from './shm/tick-batch.ts';
export type { TickView } from './shm/tick-view.ts';
