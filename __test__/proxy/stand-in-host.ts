import { type RingEvent, EventPublisher } from '../../src/shm/events.ts';
import { type InterestChange, InterestReader } from '../../src/shm/interest.ts';
import { type SubscriptionResult, resultEvents } from '../../src/shm/subscription-results.ts';
import { type RunningProxy, until } from './running-proxy.ts';

/** What a host's broker says of a subscription; undefined for nothing yet. */
export type Broker = (change: InterestChange) => Pick<SubscriptionResult, 'status' | 'depth' | 'message'> | undefined;

/** The ring's side of a feed that tells what its broker says of each subscription. */
export class StandInHost {
  /** What it was asked for and has ended, in order, like `+NSE:SBIN 1`. */
  readonly heard: string[] = [];
  readonly #running: RunningProxy;
  readonly #events: EventPublisher;
  readonly #interest: InterestReader;
  /** Results that go out together: a host that tells each on its own would overrun the ring. */
  #gathered: SubscriptionResult[] = [];

  private constructor(running: RunningProxy, broker: Broker, ownerName: string) {
    this.#running = running;
    this.#events = new EventPublisher({ name: running.ring, ownerName });
    const listener = {
      subscribe: (change: InterestChange) => {
        this.heard.push(`+${change.exchange}:${change.symbol} ${change.mode}`);
        const verdict = broker(change);
        if (verdict !== undefined) this.#gather({ ...named(change), ...verdict });
      },
      unsubscribe: (change: InterestChange) => {
        this.heard.push(`-${change.exchange}:${change.symbol} ${change.mode}`);
        this.#gather({ ...named(change), status: 'ended' });
      },
    };
    this.#interest = new InterestReader(listener, { name: running.ring });
  }

  /** A host whose source is there, once the proxy has heard so. */
  static async up(running: RunningProxy, broker: Broker = () => undefined, name = 'zerodha'): Promise<StandInHost> {
    const host = new StandInHost(running, broker, name);
    await host.source({ feed: name, up: true });
    return host;
  }

  /** Tells of its source, and waits until the proxy has heard. */
  async source(members: object): Promise<void> {
    this.publish({ type: 'feed_source', answers: true, ...members });
    await this.isHeard();
  }

  tell(results: readonly SubscriptionResult[]): void {
    for (const event of resultEvents('zerodha', results)) this.publish(event);
  }

  #gather(result: SubscriptionResult): void {
    if (this.#gathered.push(result) > 1) return;
    setImmediate(() => this.tell(this.#gathered.splice(0)));
  }

  publish(event: RingEvent): void {
    this.#events.publish(event);
  }

  /** Waits until the proxy has read all that was published: an event that it does not know is behind it. */
  async isHeard(): Promise<void> {
    const unknown = (): number => this.#running.proxy.getStats().feed_events.unknown;
    const before = unknown();
    this.publish({ type: 'marker' });
    await until('the proxy has read the events', () => unknown() > before);
  }

  /** Leaves the ring without a word, as a process that was killed does. */
  close(): void {
    this.#interest.close();
    this.#events.close();
  }
}

function named({ exchange, symbol, mode }: InterestChange): Pick<SubscriptionResult, 'exchange' | 'symbol' | 'mode'> {
  return { exchange, symbol, mode };
}
