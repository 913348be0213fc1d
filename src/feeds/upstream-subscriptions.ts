import type { Mode } from '../message.ts';
import type { SubscriptionResult } from '../shm/subscription-results.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import { TopicQueue } from './topic-queue.ts';
import type { Instrument, Outcome, Outcomes, Upstream } from './upstream.ts';
import {
  PLAIN_DEPTH,
  type UpstreamTopic,
  askedDepth,
  forgetUpstream,
  isHeld,
  mayTryAgain,
  newTopic,
  topicKey,
} from './upstream-topic.ts';

export interface UpstreamSubscriptionsOptions {
  /** How long a topic stays subscribed upstream once nobody wants it, ms. Default 5,000. */
  graceMs?: number;
  /** Most instruments of one request. Default 500. */
  batchSize?: number;
  /** When a topic that was refused, or could not be asked for, is asked for again. Default 1 s to 60 s. */
  retry?: BackoffOptions;
  /** Hears what became of each topic, and again when somebody begins to want one of which that is known. */
  onResult?: (result: SubscriptionResult) => void;
}

type Name = Instrument & { mode: Mode };

/** Longer waits end at whole multiples of this, so that what waits is asked for together, ms. */
const ROUND_MS = 1_000;
/** Reasons that mean: there are too many. */
const NO_ROOM = /capacity|limit|maximum|too many/i;

/**
 * Keeps what is subscribed upstream equal to what is wanted here: in batches, one request at a time. What changes
 * while the upstream is away is known when it is back. What is refused is told, and asked for again while it is still
 * wanted: ever less often, and at once where there was no room and some is given up.
 */
export class UpstreamSubscriptions {
  readonly #graceMs: number;
  readonly #retry: Backoff;
  readonly #onResult: (result: SubscriptionResult) => void;
  readonly #topics = new Map<string, UpstreamTopic>();
  readonly #toSubscribe: TopicQueue;
  readonly #toUnsubscribe: TopicQueue;
  /** Subscribed, and to be asked for once more. */
  readonly #toRefresh: TopicQueue;
  /** Subscribed for a while longer though nobody wants them. */
  readonly #idle = new Set<UpstreamTopic>();
  /** Refused because there was no room. */
  readonly #roomless = new Set<UpstreamTopic>();
  #upstream: Upstream | undefined;
  #busy = false;

  constructor({
    graceMs = 5_000,
    batchSize = 500,
    retry = {},
    onResult = () => {},
  }: UpstreamSubscriptionsOptions = {}) {
    this.#graceMs = graceMs;
    this.#toSubscribe = new TopicQueue(batchSize, (a, b) => a.mode === b.mode && askedDepth(a) === askedDepth(b));
    this.#toUnsubscribe = new TopicQueue(batchSize, (a, b) => a.mode === b.mode);
    this.#toRefresh = new TopicQueue(batchSize, (a, b) => a.mode === b.mode && a.heldDepth === b.heldDepth);
    this.#retry = new Backoff({ longestMs: 60_000, ...retry });
    this.#onResult = onResult;
  }

  /** Topics that are wanted, those that are subscribed upstream, and those of the wanted ones that it refuses. */
  get counts(): { wanted: number; subscribed: number; refused: number } {
    const counts = { wanted: 0, subscribed: 0, refused: 0 };
    for (const { wanted, heldDepth, refusal } of this.#topics.values()) {
      if (wanted) counts.wanted++;
      if (heldDepth !== undefined) counts.subscribed++;
      if (wanted && refusal !== undefined) counts.refused++;
    }
    return counts;
  }

  /** A topic is wanted in a mode; again for a book of another depth. */
  want(name: Name & { depth: number }): void {
    const topic = this.#topics.get(topicKey(name)) ?? newTopic(name);
    this.#topics.set(topic.key, topic);
    const depth = name.depth > 0 ? name.depth : PLAIN_DEPTH;
    const isOtherDepth = depth !== topic.depth;
    topic.wanted = true;
    topic.depth = depth;
    if (isOtherDepth) topic.depthLimit = undefined;
    this.#toUnsubscribe.delete(topic);
    this.#idle.delete(topic);
    const mayHaveRoom = this.#roomless.has(topic) && this.#idle.size > 0;
    if (topic.heldDepth !== undefined || (topic.refusal !== undefined && (isOtherDepth || mayHaveRoom))) {
      this.#clearTimer(topic);
    }
    this.#tellKnown(topic);
    this.#place(topic);
    this.#pump();
  }

  /** Nobody wants a topic in a mode any more. */
  unwant(name: Name): void {
    const topic = this.#topics.get(topicKey(name));
    if (topic === undefined || !topic.wanted) return;
    topic.wanted = false;
    topic.failures = 0;
    for (const queue of [this.#toSubscribe, this.#toUnsubscribe]) queue.delete(topic);
    if (topic.refusal !== undefined) this.#tell(topic, { status: 'ended' });
    if (topic.heldDepth !== undefined) this.#leaveLater(topic);
    // What was just refused is not asked for again at once, however often somebody begins to want it.
    else if (topic.timer !== undefined) this.#shorten(topic, this.#retry.waitAfter(1));
    else this.#place(topic);
  }

  /** Somebody else wants a topic too that is wanted already. */
  wantToo(name: Name): void {
    const topic = this.#topics.get(topicKey(name));
    if (topic !== undefined) this.#tellKnown(topic);
  }

  /** The upstream has ended a subscription that it had taken. */
  endedUpstream(name: Name, reason: string): void {
    const topic = this.#topics.get(topicKey(name));
    // A request that is under way is answered later than this was said.
    if (topic?.heldDepth === undefined || topic.asked) return;
    this.#clearTimer(topic);
    topic.heldDepth = topic.levels = undefined;
    this.#toUnsubscribe.delete(topic);
    this.#idle.delete(topic);
    this.#refuse(topic, reason);
    this.#place(topic);
    this.#pump();
  }

  /** The upstream may have lost what is subscribed, without a word: asks for all of it once more. */
  refresh(): void {
    // Also what is about to be left: whoever wants it again is told at once that it is subscribed.
    for (const topic of this.#topics.values())
      if (topic.heldDepth !== undefined || topic.asked) this.#toRefresh.add(topic);
    this.#pump();
  }

  /** The upstream is there, and nothing is subscribed yet. */
  connected(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#pump();
  }

  /** The upstream is gone, and with it what was subscribed. */
  disconnected(): void {
    this.#upstream = undefined;
    for (const set of [this.#toUnsubscribe, this.#toRefresh, this.#idle, this.#roomless]) set.clear();
    for (const topic of this.#topics.values()) {
      this.#clearTimer(topic);
      forgetUpstream(topic);
      this.#place(topic);
    }
  }

  /** Forgets everything. */
  close(): void {
    this.#upstream = undefined;
    for (const topic of this.#topics.values()) this.#clearTimer(topic);
    for (const all of [this.#topics, ...this.#places]) all.clear();
  }

  get #places(): (TopicQueue | Set<UpstreamTopic>)[] {
    return [this.#toSubscribe, this.#toUnsubscribe, this.#toRefresh, this.#idle, this.#roomless];
  }

  #drop(topic: UpstreamTopic): void {
    if (topic.isTold) this.#tell(topic, { status: 'ended' });
    this.#topics.delete(topic.key);
    for (const place of this.#places) place.delete(topic);
  }

  #clearTimer(topic: UpstreamTopic): void {
    clearTimeout(topic.timer);
    topic.timer = undefined;
  }

  #shorten(topic: UpstreamTopic, ms: number): void {
    if (topic.due - performance.now() > ms) this.#wait(topic, ms);
  }

  #wait(topic: UpstreamTopic, ms: number): void {
    this.#clearTimer(topic);
    const now = performance.now();
    const late = ms < ROUND_MS ? 0 : ROUND_MS - ((now + ms) % ROUND_MS);
    topic.due = now + ms + late;
    topic.timer = setTimeout(() => {
      topic.timer = undefined;
      this.#idle.delete(topic);
      this.#place(topic);
      this.#pump();
    }, ms + late).unref();
  }

  /** Clients come back, and strategies restart: what is left for a moment only stays. */
  #leaveLater(topic: UpstreamTopic): void {
    this.#idle.add(topic);
    this.#wait(topic, this.#graceMs);
  }

  /** Puts a topic where it has to go now that nothing is under way about it. */
  #place(topic: UpstreamTopic): void {
    if (topic.asked) return;
    if (topic.heldDepth === undefined) this.#toRefresh.delete(topic);
    if (topic.timer !== undefined || (topic.wanted && isHeld(topic))) return;
    if (topic.heldDepth === undefined) {
      if (topic.wanted) this.#toSubscribe.add(topic);
      else this.#drop(topic);
    } else {
      // OpenAlgo takes a deeper subscription for the one that it has, so that one has to go first.
      this.#toUnsubscribe.add(topic);
    }
  }

  #pump(): void {
    if (this.#busy || this.#upstream === undefined) return;
    this.#busy = true;
    // What is wanted in the same turn goes out together.
    setImmediate(() => void this.#work());
  }

  async #work(): Promise<void> {
    try {
      while (this.#upstream !== undefined) {
        if (!this.#toSubscribe.isEmpty) await this.#subscribeSome(this.#upstream);
        else if (!this.#toUnsubscribe.isEmpty) await this.#unsubscribeSome(this.#upstream);
        else if (!this.#toRefresh.isEmpty) await this.#refreshSome(this.#upstream);
        else break;
      }
    } finally {
      this.#busy = false;
    }
  }

  async #subscribeSome(upstream: Upstream): Promise<void> {
    const batch = this.#toSubscribe.take();
    const [first] = batch;
    const depth = askedDepth(first);
    const outcomes = await this.#outcomesOf(upstream, upstream.subscribe(first.mode, depth, batch));
    if (this.#upstream !== upstream) return;
    for (const topic of batch) {
      topic.asked = false;
      this.#subscribed(topic, depth, outcomes.get(topic) ?? { status: 'success' });
      this.#place(topic);
    }
  }

  #subscribed(topic: UpstreamTopic, depth: number, outcome: Outcome): void {
    if (outcome.status === 'success') {
      topic.heldDepth = depth;
      topic.levels = topic.mode === 3 ? Math.min(outcome.depth ?? depth, topic.mostLevels ?? Infinity) : undefined;
      topic.fallbackDepth = topic.refusal = undefined;
      topic.refusals = topic.failures = 0;
      topic.isSuspect = false;
      topic.wasTaken = true;
      this.#roomless.delete(topic);
      if (topic.wanted) this.#tellKnown(topic);
      else this.#leaveLater(topic);
    } else if (topic.fallbackDepth !== undefined) {
      // Those who had a book keep it.
      topic.depthLimit = topic.fallbackDepth;
      topic.fallbackDepth = undefined;
    } else {
      this.#missed(topic, outcome);
    }
  }

  /** It was not taken. What this upstream has taken before is rarely refused for good: its broker may be on its way back. */
  #missed(topic: UpstreamTopic, outcome: Exclude<Outcome, { status: 'success' }>): void {
    const isForGood = outcome.status === 'refused' && !topic.wasTaken;
    if (isForGood || !mayTryAgain(topic, outcome)) return this.#refuse(topic, outcome.reason);
    if (topic.isTold) this.#tell(topic, { status: 'ended' });
    if (topic.wanted) this.#wait(topic, this.#retry.waitAfter(topic.failures));
  }

  #refuse(topic: UpstreamTopic, reason: string): void {
    if (!topic.wanted) return;
    topic.failures = 0;
    topic.wasTaken = false;
    this.#wait(topic, this.#retry.waitAfter(++topic.refusals));
    if (NO_ROOM.test(reason)) {
      this.#roomless.add(topic);
      const [idle] = this.#idle;
      if (idle !== undefined) {
        // It is asked for again when that is given up, and only then told.
        this.#idle.delete(idle);
        this.#clearTimer(idle);
        this.#place(idle);
        return;
      }
    }
    topic.refusal = reason;
    this.#tell(topic, { status: 'error', message: reason });
  }

  async #refreshSome(upstream: Upstream): Promise<void> {
    const batch = this.#toRefresh.take();
    const [{ mode, heldDepth = PLAIN_DEPTH }] = batch;
    const outcomes = await this.#outcomesOf(upstream, upstream.refresh(mode, heldDepth, batch));
    if (this.#upstream !== upstream) return;
    for (const topic of batch) {
      topic.asked = false;
      const outcome = outcomes.get(topic);
      if (outcome?.status === 'refused') {
        this.#clearTimer(topic);
        topic.heldDepth = topic.levels = undefined;
        this.#missed(topic, outcome);
      }
      this.#place(topic);
    }
  }

  async #unsubscribeSome(upstream: Upstream): Promise<void> {
    const batch = this.#toUnsubscribe.take();
    const [first] = batch;
    // From now on nothing may be told of it: who wants it meanwhile hears of the subscription that comes next.
    for (const topic of batch) [topic.fallbackDepth, topic.heldDepth] = [topic.heldDepth, undefined];
    const outcomes = await this.#outcomesOf(upstream, upstream.unsubscribe(first.mode, batch));
    if (this.#upstream !== upstream) return;
    let left = 0;
    for (const topic of batch) {
      topic.asked = false;
      const outcome = outcomes.get(topic) ?? { status: 'success' };
      if (outcome.status === 'failed' && mayTryAgain(topic, outcome)) {
        [topic.heldDepth, topic.fallbackDepth] = [topic.fallbackDepth, undefined];
        if (topic.wanted && isHeld(topic)) this.#tellKnown(topic);
        else this.#wait(topic, this.#retry.waitAfter(topic.failures));
        continue;
      }
      topic.failures = 0;
      // It may have kept the book that it has, and take the next subscription for this one.
      if (outcome.status !== 'success') topic.mostLevels = topic.levels;
      topic.levels = undefined;
      if (!topic.wanted) left++;
      this.#place(topic);
    }
    this.#giveRoom(left);
  }

  /** Some were given up: as many of those that there was no room for are asked for again. */
  #giveRoom(count: number): void {
    let left = count;
    for (const topic of this.#roomless) {
      if (left === 0) return;
      if (topic.asked || topic.timer === undefined) continue;
      this.#clearTimer(topic);
      this.#roomless.delete(topic);
      if (topic.wanted) left--;
      this.#place(topic);
    }
  }

  #tellKnown(topic: UpstreamTopic): void {
    const { levels, refusal } = topic;
    if (isHeld(topic)) this.#tell(topic, { status: 'success', ...(levels !== undefined && { depth: levels }) });
    else if (refusal !== undefined && topic.timer !== undefined)
      this.#tell(topic, { status: 'error', message: refusal });
  }

  #tell(topic: UpstreamTopic, result: Pick<SubscriptionResult, 'status' | 'depth' | 'message'>): void {
    const { exchange, symbol, mode } = topic;
    topic.isTold = result.status !== 'ended';
    this.#onResult({ exchange, symbol, mode, ...result });
  }

  /** A request rejects once the upstream is gone: what was asked for waits for the next. */
  async #outcomesOf(upstream: Upstream, request: Promise<Outcomes>): Promise<Outcomes> {
    try {
      return await request;
    } catch {
      if (this.#upstream === upstream) this.disconnected();
      return new Map();
    }
  }
}
