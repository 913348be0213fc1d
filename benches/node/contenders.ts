import type { By } from './figures.ts';
import {
  type Launch,
  bareSender,
  bareSenderInStep,
  naiveServer,
  natsServer,
  ownProxy,
  uWebSockets,
} from './servers.ts';

/** A server that is measured beside the others. */
export interface Contender {
  name: string;
  by: By;
  launch: Launch;
  /** Left out of the largest loads, which it cannot carry in a bounded time. */
  small?: boolean;
  /** Makes its ticks itself: their stamps are younger than a wake-up, and none is late because the last was. */
  makesTicks?: boolean;
}

/** All servers, as far as this machine can build them. */
export function contenders(): Contender[] {
  const [uws, nats] = [uWebSockets(), natsServer()];
  return [
    { name: 'bare epoll', by: 'limit', launch: bareSender, makesTicks: true },
    { name: 'bare epoll in step, spin', by: 'limit', launch: bareSenderInStep('spin') },
    { name: 'bare epoll in step', by: 'limit', launch: bareSenderInStep('adaptive') },
    { name: 'proxy, spin', by: 'own', launch: ownProxy({ wait: 'spin' }) },
    { name: 'proxy', by: 'own', launch: ownProxy() },
    ...(uws === undefined ? [] : [{ name: 'uWebSockets', by: 'peer' as const, launch: uws, makesTicks: true }]),
    ...(nats === undefined ? [] : [{ name: 'nats-server', by: 'peer' as const, launch: nats }]),
    { name: 'naive ws', by: 'peer', launch: naiveServer, small: true, makesTicks: true },
  ];
}
