import type { FastifyBaseLogger } from 'fastify';
import { AnswerQueue } from './answer-queue.ts';
import * as answers from './answers.ts';
import { type Asker, type Identity, LOCAL_USER } from './auth.ts';
import { CLOSE, type CloseCode, type Connection } from './connection.ts';
import type { Refusal as RefusalCount } from './counters.ts';
import { feedStatus } from './feed-status.ts';
import { TooManyKeyChecks } from './key-check-limits.ts';
import { MessageRate } from './message-rate.ts';
import { PendingSubscribe } from './pending-subscribe.ts';
import {
  type Body,
  type Message,
  ProtocolError,
  type ProtocolErrorCode,
  decode,
  echoed,
  requestIdIn,
  needsAuthentication,
} from './protocol.ts';
import type { Recipient, RecipientOwner } from './recipient.ts';
import { type SubscribeRequest, type UnsubscribeRequest, isBulk, readSubscribe, readUnsubscribe } from './requests.ts';
import type { Services } from './services.ts';
import { keyedLines, settleKnown } from './settled-lines.ts';
import type { Plan } from './subscriber.ts';
import { inTurns } from './turns.ts';
import type { UnfinishedMessage } from './unfinished.ts';
import type { Refusal } from './verdicts.ts';
import { WorkBudget } from './work-budget.ts';

/** What tells clients apart. */
export interface ClientName {
  /** Its number since the start of the proxy, from 1. */
  id: number;
  address: string;
}

/** A message that has come. */
interface Incoming {
  data: Buffer;
  /** To be called once its memory is free. */
  onServed: () => void;
}

/** Bytes of a message that are read whatever the client has asked for before. */
const FREE_BYTES = 4 * 1024;
/** Bytes of a longer one that cost as much as an entry, whatever is in them: to read them is half of the work. */
const BYTES_AN_ENTRY = 100;
/** Bytes above which messages of all clients are served one at a time. */
const LONG_MESSAGE = 16 * 1024;

/** Messages that wait of a client that has given no key: each takes far more memory than its bytes. */
const MOST_WAITING_WITHOUT_KEY = 256;

/** Time that a client whose key was refused has for another one, ms. */
const SECOND_CHANCE_MS = 1_000;

/** What a refused message counts as, unless it is malformed. */
const REFUSAL_OF_CODE: Partial<Record<ProtocolErrorCode, RefusalCount>> = {
  NOT_AUTHENTICATED: 'not_authenticated',
  RATE_LIMIT_EXCEEDED: 'work_budget',
};

/** One client: who it is, what it asked for, and the answers to its messages. */
export class Session implements RecipientOwner, Asker {
  readonly connection: Connection;
  readonly recipient: Recipient;
  readonly #services: Services;
  readonly #log: FastifyBaseLogger;
  /** Made with the first message: most clients send few, and then only listen. */
  #rate: MessageRate | undefined;
  /** Entries of lists, and last values; made with the first. */
  #budget: WorkBudget | undefined;
  #authDeadline: NodeJS.Timeout | undefined;
  /** Whether the deadline is that of a refused key: more refused keys do not move it. */
  #hasSecondChance = false;
  /** The close code when it ends: 4401 says that the key is bad, which is not known where it could not be checked. */
  #missed: CloseCode = CLOSE.UNAUTHORIZED;
  /** Its number since the start of the proxy, from 1. */
  readonly id: number;
  /** Where it came from. */
  readonly address: string;
  /** What it has sent of a message that is not finished. */
  readonly unfinished: UnfinishedMessage<Session>;
  readonly #connectedAt = performance.now();
  #identity: Identity | undefined;
  #unwatchKey: (() => void) | undefined;
  /** Messages that came while a key was being checked, or a long list was being served. */
  #waiting: Incoming[] | undefined;
  #isKeyBeingChecked = false;
  /** A list is served over several turns of the event loop. */
  #isServing = false;
  /** Lets the next long message of all clients be served; undefined unless one of this client is. */
  #leaveTurnstile: (() => void) | undefined;
  /** Answers that wait for a broker, and those behind them; undefined while there are none. */
  #held: AnswerQueue | undefined;
  #ended = false;
  /** Whether anything has come since the last ping, or there was none yet. */
  #isAlive = true;

  constructor(
    connection: Connection,
    recipient: Recipient,
    unfinished: UnfinishedMessage<Session>,
    services: Services,
    log: FastifyBaseLogger,
    name: ClientName,
  ) {
    this.id = name.id;
    this.address = name.address;
    this.unfinished = unfinished;
    this.connection = connection;
    this.recipient = recipient;
    recipient.owner = this;
    this.#services = services;
    this.#log = log;
    if (services.authenticator.open) this.#identity = LOCAL_USER;
    else this.#authDeadline = setTimeout(() => this.#missDeadline(), services.settings.authTimeout).unref();
  }

  /** Its user; undefined until it has authenticated. */
  get userId(): string | undefined {
    return this.#identity && this.#services.userNames.of(this.#identity.userId);
  }

  /** Its user, as the check of its key says: perhaps by a name made of the key, although the user's own is known. */
  get checkedUserId(): string | undefined {
    return this.#identity?.userId;
  }

  get isGone(): boolean {
    return this.#ended;
  }

  /** Time since it has connected, s. */
  get connectedSeconds(): number {
    return (performance.now() - this.#connectedAt) / 1000;
  }

  /** Notes that something has come from the client. */
  markAlive(): void {
    this.#isAlive = true;
  }

  /** A ping has come: its pong is written, and may not be taken. */
  notePing(payloadBytes: number): void {
    this.markAlive();
    this.unfinished.leaveOut(payloadBytes);
    this.#holdBack();
  }

  /** Whether its key is being checked, so that it is not known yet what it may send. */
  get isBeingChecked(): boolean {
    return this.#isKeyBeingChecked && this.#identity === undefined;
  }

  /** Whether anything has come since this was asked the last time. */
  answersPing(): boolean {
    const isAlive = this.#isAlive;
    this.#isAlive = false;
    return isAlive;
  }

  /** Sends something that the client did not ask for just now. */
  notify(notice: answers.Answer): void {
    this.connection.send(notice);
  }

  hearRefusal(key: number, { symbol, exchange, mode, message }: Refusal): void {
    if (this.#held?.refuse(key, message)) return;
    this.#services.counters.refusalNotices += 1;
    const broker = this.#services.brokers.of(this.#identity);
    this.notify(answers.subscriptionRefused({ symbol, exchange }, mode, message, broker));
  }

  /** Waits for no broker any more. */
  answerNow(): void {
    this.#held?.giveUp();
  }

  /** Takes one message. Whatever is wrong with it is answered; nothing is thrown. @param onServed is called once its memory is free */
  receive(data: Buffer, onServed: () => void): void {
    this.#services.counters.received += 1;
    this.#take({ data, onServed });
  }

  /** Ends all that it asked for; the connection is somebody else's. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#authDeadline);
    this.#unwatchKey?.();
    this.#dropHeld();
    for (const { onServed } of this.#waiting ?? []) onServed();
    this.#waiting = undefined;
    this.#services.subscriber.release(this.recipient);
    this.#services.orders.unsubscribe(this);
    this.#services.feedStatus.unsubscribe(this);
  }

  #answer({ data, onServed }: Incoming): void {
    onServed();
    let toPay = 0;
    let message: Message | undefined;
    try {
      if (data.length > FREE_BYTES) {
        this.#requireBudget();
        toPay = data.length / BYTES_AN_ENTRY;
      }
      message = this.#decode(data.toString('utf8'), data.length);
      if (message !== undefined) this.#serve(message);
    } catch (error) {
      this.#refuse(error, message?.body ?? { request_id: requestIdIn(data) });
    }
    // Afterwards: it must not be what itself is refused for.
    this.#budget?.take(toPay);
    this.#holdBack();
  }

  #decode(text: string, bytes: number): Message | undefined {
    if (bytes <= this.#services.settings.limits.messageBytes) return decode(text);
    const message = this.#identity === undefined ? undefined : bulkMessage(text);
    if (message === undefined) {
      this.#services.counters.refuse('message_too_big');
      this.connection.close(CLOSE.TOO_BIG, 'message too big');
      this.end();
    }
    return message;
  }

  #serve({ action, body }: Message): void {
    if (needsAuthentication(action) && this.#identity === undefined) {
      throw new ProtocolError('NOT_AUTHENTICATED', 'You must authenticate first');
    }
    switch (action) {
      case 'authenticate':
      case 'auth':
        return this.#authenticate(body);
      case 'subscribe':
        return this.#subscribe(body);
      case 'unsubscribe':
      case 'unsubscribe_all':
        return this.#unsubscribe(body);
      case 'subscribe_orders':
        this.#services.orders.subscribe(this);
        return this.#reply(answers.ordersSubscribed(echoed(body['request_id'])));
      case 'unsubscribe_orders':
        this.#services.orders.unsubscribe(this);
        return this.#reply(answers.ordersUnsubscribed(echoed(body['request_id'])));
      case 'get_broker_info':
        return this.#tellBroker();
      case 'get_supported_brokers':
        return this.#reply(answers.supportedBrokers(this.#services.brokers.supported()));
      case 'ping':
        return this.#reply(answers.pong(Date.now(), echoed(body['timestamp']), echoed(body['_pingId'])));
    }
  }

  #authenticate(body: Body): void {
    const key = body['api_key'] || body['apikey'];
    if (!key) return this.#refuseKey('API key is required', body);
    if (typeof key !== 'string') return this.#refuseKey('Invalid API key', body);
    if (this.#services.authenticator.open) return this.#admit(LOCAL_USER);
    this.#waiting = [];
    this.#isKeyBeingChecked = true;
    this.#checkKey(key, body)
      .catch((error: unknown) => this.#refuse(error, body))
      .then(() => {
        this.#isKeyBeingChecked = false;
        this.#goOn();
      })
      .catch((error: unknown) =>
        this.#log.error({ err: error }, 'a session could not go on after its key was checked'),
      );
  }

  async #checkKey(key: string, body: Body): Promise<void> {
    const { authenticator } = this.#services;
    let identity: Identity | undefined;
    try {
      identity = await authenticator.verify(key, this);
    } catch (error) {
      if (this.#ended) return;
      this.#missed = CLOSE.TRY_AGAIN_LATER;
      if (error instanceof TooManyKeyChecks) {
        return this.#refuseKey(error.message, body, 'RATE_LIMIT_EXCEEDED', 'too_many_key_checks');
      }
      this.#services.keyTrouble.note(error);
      return this.#refuseKey('The API key could not be checked; try again', body);
    }
    if (this.#ended) return;
    this.#missed = CLOSE.UNAUTHORIZED;
    if (identity === undefined) return this.#refuseKey('Invalid API key', body);
    this.#unwatchKey?.();
    this.#unwatchKey = authenticator.watch(key, (owner) => this.#noteOwner(owner));
    this.#admit(identity);
  }

  #admit(identity: Identity): void {
    clearTimeout(this.#authDeadline);
    this.#identity = identity;
    this.#reply(answers.authenticated(this.#services.brokers.of(identity), this.userId ?? ''));
  }

  // Messages keep their order: those that came meanwhile are served now, and one of them may have to wait again.
  #goOn(): void {
    if (!this.#isServing) this.#passTurnstile();
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const [index, incoming] of waiting.entries()) {
      const again = this.#waiting as Incoming[] | undefined;
      if (again !== undefined) {
        this.#waiting = again.concat(waiting.slice(index));
        break;
      }
      this.#take(incoming);
    }
    this.#resume();
    this.#holdBack();
  }

  // A client that sends nothing while its key is checked is read on, or nobody would notice that it goes.
  #take(incoming: Incoming): void {
    if (this.#ended) return incoming.onServed();
    if (this.#waiting !== undefined) {
      this.#waiting.push(incoming);
      this.connection.webSocket.pause();
      const isKnown = this.#identity !== undefined || this.#isKeyBeingChecked;
      if (!isKnown && this.#waiting.length > MOST_WAITING_WITHOUT_KEY) this.#endFlood();
      return;
    }
    this.#rate ??= new MessageRate(this.#services.settings.limits.messagesPerSecond);
    const waitMs = this.#rate.waitMs(performance.now());
    if (waitMs !== undefined) this.#takeLater(incoming, waitMs);
    else if (incoming.data.length > LONG_MESSAGE) this.#takeInTurn(incoming);
    else this.#answer(incoming);
  }

  #endFlood(): void {
    this.#services.counters.refuse('not_authenticated');
    this.connection.closeUnread(CLOSE.POLICY, 'too many messages without a key');
    this.end();
  }

  // Back-pressure: what has been read waits here, and what the client sends beyond it waits in its socket.
  #takeLater(incoming: Incoming, waitMs: number): void {
    this.#waiting = [incoming];
    this.connection.webSocket.pause();
    const goOn = (): void => {
      try {
        this.#goOn();
      } catch (error) {
        this.#log.error({ err: error }, 'a client is closed because of an error of the server');
        this.connection.close(CLOSE.INTERNAL, 'internal error');
      }
    };
    if (waitMs === 0) return void setImmediate(goOn);
    this.#services.counters.heldBack += 1;
    setTimeout(goOn, waitMs).unref();
  }

  // What a long message is read into takes many times its size: one of all clients' is served at a time.
  #takeInTurn(incoming: Incoming): void {
    this.#waiting = [];
    this.connection.webSocket.pause();
    this.#services.turnstile.enter((leave) => {
      if (this.#ended) {
        incoming.onServed();
        // Its answer to the close is still to be read.
        this.connection.webSocket.resume();
        return leave();
      }
      this.#leaveTurnstile = leave;
      const behind = this.#waiting ?? [];
      this.#waiting = undefined;
      try {
        this.#answer(incoming);
      } finally {
        const mustWait = (this.#waiting as Incoming[] | undefined) !== undefined;
        this.#waiting = behind;
        // A key that is being checked keeps nobody else waiting.
        if (!this.#isServing) this.#passTurnstile();
        if (!mustWait) this.#goOn();
      }
    });
  }

  #passTurnstile(): void {
    this.#leaveTurnstile?.();
    this.#leaveTurnstile = undefined;
  }

  #subscribe(body: Body): void {
    const request = readSubscribe(body, this.#services.settings.defaultExchange);
    this.#requireBudget();
    this.#serveInTurns(this.#carryOut(request), body);
  }

  *#carryOut(request: SubscribeRequest): Generator<void, void> {
    const { brokers, subscriber } = this.#services;
    const broker = brokers.of(this.#identity);
    const depth = brokers.depthOf(request.depth);
    const plan = yield* subscriber.plan(this.recipient, request, depth, broker);
    try {
      if (!this.#ended) this.#apply(request, plan, depth, broker);
    } finally {
      subscriber.letGo(plan);
    }
  }

  #apply(request: SubscribeRequest, plan: Plan, depth: number, broker: string): void {
    const { settings, subscriber, delivery } = this.#services;
    const wantsSnapshots = request.snapshot ?? settings.snapshot;
    this.#budget?.take(costOf(request.entries.length, plan.lines.length));
    if (wantsSnapshots) this.#budget?.take(subscriber.snapshotCount(plan));
    // No tick comes between the subscriptions and the answer that announces them.
    delivery.together(() => {
      const answer = this.#answerTo(request, plan, depth, broker);
      subscriber.apply(this.recipient, plan, depth);
      answer();
    });
    const oldestMs = request.snapshot === true ? undefined : settings.snapshotMaxAge;
    if (wantsSnapshots) subscriber.sendSnapshots(this.recipient, plan, oldestMs);
    if (!request.status) return;
    const health = this.#services.monitor.health();
    this.#services.feedStatus.subscribe(this);
    this.notify(feedStatus(health));
  }

  // What is known is looked up before the subscriptions hold. Feeds hear of these in a later turn of the event loop, so
  // that a broker's result finds the answer that waits for it.
  #answerTo(request: SubscribeRequest, { lines, wanted }: Plan, depth: number, broker: string): () => void {
    const { settings, brokers, verdicts } = this.#services;
    const unsettled = settleKnown(lines, wanted, depth, verdicts);
    const open = settings.subscribeTimeout > 0 ? unsettled : new Set<number>();
    const answer = (lines: readonly answers.SubscriptionLine[]): answers.Answer => {
      return answers.subscribed(lines, broker, request.requestId, brokers.trouble());
    };
    return () => {
      if (open.size === 0 && this.#held === undefined) this.#reply(answer(lines));
      else this.#hold(new PendingSubscribe(lines, depth, keyedLines(wanted), open, answer));
    };
  }

  /** @throws {ProtocolError} `RATE_LIMIT_EXCEEDED` while what it has asked for before is more than its share. */
  #requireBudget(): void {
    const { entriesPerSecond } = this.#services.settings.limits;
    this.#budget ??= new WorkBudget(entriesPerSecond);
    const waitMs = this.#budget.waitMs(performance.now());
    if (waitMs === 0) return;
    throw new ProtocolError(
      'RATE_LIMIT_EXCEEDED',
      `More than ${entriesPerSecond} entries and last values in a second; try again in ${waitMs} ms`,
    );
  }

  // Messages that come meanwhile wait, so that all keep their order.
  #serveInTurns(work: Generator<void, void>, body: Body): void {
    this.#isServing = inTurns(
      work,
      () => this.#ended,
      (error) => {
        this.#isServing = false;
        if (error !== undefined && !this.#ended) this.#refuse(error, body);
        this.#goOn();
      },
    );
    if (this.#isServing) this.#waiting = [];
  }

  #hold(pending: PendingSubscribe): void {
    const { settings, verdictDelivery } = this.#services;
    this.#held ??= new AnswerQueue(
      (answer) => this.connection.send(answer),
      () => this.#goOnAnswering(),
    );
    const held = this.#held;
    verdictDelivery.await(held);
    pending.startTimer(settings.subscribeTimeout, () => held.flush());
    held.add(pending);
  }

  #goOnAnswering(): void {
    if (this.#held?.isEmpty) this.#dropHeld();
    this.#resume();
    this.#holdBack();
  }

  #dropHeld(): void {
    if (this.#held === undefined) return;
    this.#services.verdictDelivery.release(this.#held);
    this.#held.discard();
    this.#held = undefined;
  }

  /** Answers a message, after all that came before it. */
  #reply(answer: answers.Answer): void {
    if (this.#held === undefined) this.connection.send(answer);
    else this.#held.add(answer);
  }

  #unsubscribe(body: Body): void {
    const request = readUnsubscribe(body, this.#services.settings.defaultExchange);
    this.#requireBudget();
    this.#serveInTurns(this.#leave(request), body);
  }

  *#leave(request: UnsubscribeRequest): Generator<void, void> {
    const { brokers, subscriber } = this.#services;
    const broker = brokers.of(this.#identity);
    const { successful, failures, left } = yield* subscriber.unsubscribe(this.recipient, request, broker);
    this.#budget?.take(costOf(request.entries.length, successful.length + failures.length));
    if (request.all) this.#held?.leaveAll();
    else this.#held?.leave(left);
    this.#reply(answers.unsubscribed(successful, failures, broker, request.requestId));
  }

  #tellBroker(): void {
    const { brokers } = this.#services;
    this.#reply(answers.brokerInfo(brokers.of(this.#identity), brokers.areConnected(), this.userId ?? ''));
  }

  /** @param body of the message that is refused, as far as it could be read. */
  #refuse(error: unknown, body: Body): void {
    const requestId = echoed(body['request_id']);
    if (error instanceof ProtocolError) {
      this.#services.counters.refuse(REFUSAL_OF_CODE[error.code] ?? 'malformed_message');
      return this.#reply(answers.failed(error.code, error.message, requestId));
    }
    this.#log.error({ err: error }, 'a message could not be processed');
    const message = error instanceof Error ? error.message : String(error);
    this.#reply(answers.failed('PROCESSING_ERROR', message, requestId));
  }

  #refuseKey(
    message: string,
    body: Body,
    code: ProtocolErrorCode = 'AUTHENTICATION_ERROR',
    refusal: RefusalCount = 'authentication',
  ): void {
    this.#services.counters.refuse(refusal);
    this.#reply(answers.authenticationFailed(message, code, echoed(body['request_id'])));
    if (this.#identity !== undefined || this.#ended || this.#hasSecondChance) return;
    this.#hasSecondChance = true;
    // OpenAlgo's client for Python waits five seconds for another answer, unless the connection ends.
    this.#endSoon(message);
  }

  #endSoon(reason: string): void {
    clearTimeout(this.#authDeadline);
    this.#authDeadline = setTimeout(() => {
      // Another key is being checked, or the same once more.
      const hasTime = this.connectedSeconds * 1000 < this.#services.settings.authTimeout;
      if (this.#waiting !== undefined && hasTime) this.#endSoon(reason);
      else this.#missDeadline(reason);
    }, SECOND_CHANCE_MS).unref();
  }

  // A key may have been given to another user; a check that does not tell the broker takes none away.
  #noteOwner(owner: Identity | undefined): void {
    if (owner === undefined) return this.#revoke();
    this.#identity = owner.userId === this.#identity?.userId ? { ...this.#identity, ...owner } : owner;
  }

  #revoke(): void {
    this.#services.counters.refuse('revoked_key');
    this.#identity = undefined;
    this.connection.close(CLOSE.UNAUTHORIZED, 'key revoked');
    this.end();
  }

  #missDeadline(reason = 'auth timeout'): void {
    if (this.#identity !== undefined) return;
    this.#services.counters.refuse('authentication_timeout');
    // A key that is still being checked is not known to be bad.
    this.connection.close(this.#isKeyBeingChecked ? CLOSE.TRY_AGAIN_LATER : this.#missed, reason);
    this.end();
  }

  // A client that does not take its answers, or waits for too many, is not read, or its messages would pile up here.
  #holdBack(): void {
    const { connection } = this;
    if (connection.webSocket.isPaused) return;
    if (this.#held?.isFull) return connection.webSocket.pause();
    if (connection.backlog <= this.#services.settings.highWaterMark) return;
    connection.webSocket.pause();
    connection.whenFlushed(() => this.#resume());
  }

  #resume(): void {
    if (this.#waiting === undefined && !this.#held?.isFull) this.connection.webSocket.resume();
  }
}

/** What a list costs: to read past a repeated entry takes a tenth of serving one. */
function costOf(entries: number, lines: number): number {
  return lines + Math.max(0, entries - lines) / 10;
}

function bulkMessage(text: string): Message | undefined {
  try {
    const message = decode(text);
    return needsAuthentication(message.action) && isBulk(message.body) ? message : undefined;
  } catch {
    return undefined;
  }
}
