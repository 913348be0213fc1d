import { comingAndGoing, resets, slowReaders } from './catalog/connections.ts';
import { figuresInALoop } from './catalog/http.ts';
import { wrongKeys } from './catalog/keys.ts';
import { inventedLists, longLists, wildcardList } from './catalog/lists.ts';
import { tinyMessages } from './catalog/messages.ts';
import { manyIntervals, switchedSymbol, wildcardAgain } from './catalog/subscriptions.ts';
import { unfinishedMessages } from './catalog/unfinished.ts';
import type { Target } from './target.ts';

/** One way to harm the proxy or its other clients. */
export interface Attack {
  name: string;
  /** What the attacker does, in the full run. */
  does: string;
  /** Whether the proxy asks for keys. Default false. */
  needsKeys?: boolean;
  /** Whether the attacker itself has a key. Default true. */
  hasKey?: boolean;
  /** An answer that the attacker has to get at least once. */
  owed?: RegExp;
  /** Runs until the target's time is up. Small numbers where the target asks for a short run. */
  run(target: Target): Promise<void>;
}

/** An answer, an error with a code, or a close with a code. */
const ANY_ANSWER = /^(subscribe|[A-Z_]+$|close \d)/;
/** A refusal: a list answered in part, an error with a code, or a close with a code. */
const REFUSAL = /^(subscribe partial|[A-Z_]+$|close \d)/;

/** Every attack that is tried, in the order of a run. */
export const ATTACKS: readonly Attack[] = [
  {
    name: 'wildcard-list',
    does: 'one client asks for everything 34,000 times in one message, again as soon as it is answered',
    owed: ANY_ANSWER,
    run: wildcardList,
  },
  {
    name: 'invented-symbols',
    does: 'one client asks for lists of 10,000 symbols that do not exist, always new ones',
    owed: ANY_ANSWER,
    run: (target) => inventedLists(target, 1),
  },
  {
    name: 'invented-symbols-28',
    does: '28 clients ask for lists of 10,000 symbols that do not exist, always new ones',
    owed: ANY_ANSWER,
    run: (target) => inventedLists(target, target.amount(28, 10)),
  },
  {
    name: 'long-lists',
    does: '20 clients ask for lists of 750 KB, of which most is beyond their limit',
    owed: REFUSAL,
    run: (target) => longLists(target, target.amount(20, 8)),
  },
  {
    name: 'switched-symbol',
    does: 'two clients have 9,000 equal subscriptions, and one of them switches one symbol on and off 900 times a second',
    owed: ANY_ANSWER,
    run: switchedSymbol,
  },
  {
    name: 'wildcard-again',
    does: '5 clients subscribe to everything anew, each 900 times a second',
    owed: ANY_ANSWER,
    run: (target) => wildcardAgain(target, 5),
  },
  {
    name: 'intervals',
    does: '300 clients subscribe with 300 different interval_ms',
    owed: ANY_ANSWER,
    run: manyIntervals,
  },
  {
    name: 'unfinished-without-key',
    does: '1,000 clients that have given no key begin messages of 1 MiB and never end them',
    needsKeys: true,
    hasKey: false,
    run: (target) => unfinishedMessages(target, !target.isShort),
  },
  {
    name: 'unfinished-with-key',
    does: '1,000 clients with a key begin messages of 1 MiB and never end them',
    needsKeys: true,
    run: (target) => unfinishedMessages(target, false),
  },
  {
    name: 'wrong-keys',
    does: '20 connections at a time try 111,600 wrong keys, as fast as they are answered',
    needsKeys: true,
    hasKey: false,
    owed: /^(AUTHENTICATION_ERROR|RATE_LIMIT_EXCEEDED|close (4401|1008|1013))/,
    run: wrongKeys,
  },
  {
    name: 'figures',
    does: '20 connections that stay read /stats, /metrics and /topics in a loop',
    owed: /^HTTP (200|429)/,
    run: (target) => figuresInALoop(target, 20),
  },
  {
    name: 'slow-readers',
    does: 'a client that reads one byte a second and one that never reads, both subscribed to everything',
    run: slowReaders,
  },
  {
    name: 'resets',
    does: '100 clients at a time subscribe to everything and reset their connection in the middle of the ticks',
    run: (target) => resets(target, 100),
  },
  {
    name: 'coming-and-going',
    does: '1,000 clients a second connect, subscribe and go',
    owed: ANY_ANSWER,
    run: (target) => comingAndGoing(target, target.amount(1_000, 300)),
  },
  {
    name: 'tiny-messages',
    does: '20 clients send 900 pings and 900 ping frames a second each, and one client sends 18,000 pings a second',
    owed: /^pong/,
    run: (target) => tinyMessages(target, target.amount(20, 8)),
  },
];
