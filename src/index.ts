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
  type TickMembers,
} from './message.ts';
export {
  DEFAULT_BUFFER_SIZE,
  DEFAULT_DEPTH_LEVELS,
  DEFAULT_RING_NAME,
  DEFAULT_TOPICS,
  type Policy,
  type RingOptions,
  type Wait,
} from './shm/options.ts';
export { SharedMemoryPublisher, type PublisherOptions, type PublisherStats } from './shm/publisher.ts';
export type { TopicData, TopicHandle } from './shm/topic-handle.ts';
export type { LtpFields } from './shm/tick-writer.ts';
export {
  FORMAT_VERSION,
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
export {
  SharedMemoryBrokerAdapter,
  type BrokerAdapterEvents,
  type BrokerAdapterOptions,
  type BrokerAdapterStats,
} from './feeds/broker-adapter.ts';
export type { RawTick } from './feeds/dialect.ts';
export type { Feed, FeedCounters, FeedOptions } from './feeds/feed.ts';
export type { BackoffOptions } from './feeds/backoff.ts';
export type { FeedLog } from './feeds/feed-log.ts';
export type { EventCounters } from './feeds/live-events.ts';
export type { LiveCounters } from './feeds/live-ticks.ts';
export { OpenAlgoFeed, type OpenAlgoCounters, type OpenAlgoFeedOptions } from './feeds/openalgo.ts';
export { ReplayFeed, type ReplayCounters, type ReplayFeedOptions } from './feeds/replay.ts';
export type { SkippedStep } from './feeds/recording-pace.ts';
export { SimulatedFeed, type SimulatedFeedOptions } from './feeds/simulated.ts';
export { ZmqFeed, type ZmqCounters, type ZmqFeedOptions } from './feeds/zmq.ts';
export type { MalformedLine, RecordingOptions, RecordingProgress } from './feeds/recording.ts';
export { WebSocketProxy, type ProxyAddress, type WebSocketProxyOptions } from './proxy/websocket-proxy.ts';
export type {
  AuthOption,
  Identity,
  Interest,
  KeyEntry,
  KeyVerdict,
  Limits,
  OpenAlgoShmPluginOptions,
  ProxyOptions,
  StatsReport,
} from './proxy/plugin.ts';
export type { Health, HealthReason } from './proxy/health.ts';
export { EventPublisher, EventReader, MAX_EVENT_BYTES, type EventOptions, type RingEvent } from './shm/events.ts';
export { InterestPublisher, InterestReader, type InterestOptions } from './shm/interest.ts';
export type { InterestChange, InterestListener } from './shm/interest-union.ts';
export { Recorder, type RecorderCounters, type RecorderOptions } from './recording/recorder.ts';
export { readRecording, type RecordingContents } from './recording/read-recording.ts';
export type { RecordedTick } from './recording/recorded-tick.ts';
export type { ExportedContents } from './recording/export-file.ts';
export { exportCsv } from './recording/export-csv.ts';
export { exportParquet } from './recording/export-parquet.ts';
export type { ExportOptions } from './recording/export-columns.ts';
