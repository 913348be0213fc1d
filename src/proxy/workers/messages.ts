import type { ErrorCode } from '../../errors.ts';
import type { AuthOption } from '../auth.ts';
import type { ProxyAddress, WebSocketProxyOptions } from '../websocket-proxy.ts';
import type { Gathered, Part, PartKind } from './worker-place.ts';

/** Options of a proxy that can be sent to another process. */
export type WorkerOptions = Omit<WebSocketProxyOptions, 'auth' | 'log' | 'server' | 'source' | 'worker'> & {
  auth?: Exclude<AuthOption, ((...args: never[]) => unknown) | { verify: unknown }>;
  log?: Extract<WebSocketProxyOptions['log'], string>;
};

/** What the primary tells a worker. */
export type ToWorker =
  | { type: 'start'; number: number; options: WorkerOptions }
  /** What do you say of yourself? */
  | { type: 'ask'; id: number; kind: PartKind }
  /** What the others have said. */
  | { type: 'gathered'; id: number; gathered: Gathered<PartKind> }
  /** See your clients off and end. */
  | { type: 'stop' };

/** What a worker tells the primary. */
export type ToPrimary =
  /** It listens to messages: what comes earlier is lost. */
  | { type: 'hello' }
  | { type: 'ready'; address: ProxyAddress }
  | { type: 'failed'; code: ErrorCode; message: string }
  /** What do the others say of themselves? */
  | { type: 'gather'; id: number; kind: PartKind }
  /** The answer to `ask`. */
  | { type: 'part'; id: number; part: Part<PartKind> };
