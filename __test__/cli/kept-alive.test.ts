import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ChildFailure } from '../../src/cli/child-process.ts';
import { type Child, KeptAlive } from '../../src/cli/kept-alive.ts';
import { until } from './running-command.ts';

/** A child that ends when the test says so. */
class Puppet implements Child {
  readonly pid = 1;
  readonly ready = Promise.resolve({});
  readonly ended: Promise<number | undefined>;
  die!: (code?: number) => void;

  constructor() {
    this.ended = new Promise((resolve) => (this.die = resolve));
  }

  async end(): Promise<void> {
    this.die(0);
  }
}

let said = '';
let puppets: Puppet[] = [];
const ending = { controller: new AbortController() };

function keep(): Promise<void> {
  const launch = (): Puppet => {
    puppets.push(new Puppet());
    return puppets.at(-1)!;
  };
  return new KeptAlive('host', launch, ending.controller.signal).keep();
}

/** Lets the newest child die, and waits until there is another. */
async function dieOnce(code?: number): Promise<void> {
  const before = puppets.length;
  puppets.at(-1)!.die(code);
  await until('another child', () => puppets.length > before);
}

beforeEach(() => {
  said = '';
  puppets = [];
  ending.controller = new AbortController();
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(() => {
  ending.controller.abort();
  vi.restoreAllMocks();
});

test('starts again after 1 s, then 2 s, and after 1 s again when the child has lived for a minute', async () => {
  const kept = keep();
  await dieOnce(1);
  await dieOnce();
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
  await dieOnce(1);
  ending.controller.abort();
  await kept;
  expect(said.match(/the host (ended with exit code 1|was ended by a signal); it is started again in \d+ s/g)).toEqual([
    'the host ended with exit code 1; it is started again in 1 s',
    'the host was ended by a signal; it is started again in 2 s',
    'the host ended with exit code 1; it is started again in 1 s',
  ]);
});

test('gives up when the child says that its configuration is wrong', async () => {
  const kept = keep();
  puppets[0]!.die(2);
  await expect(kept).rejects.toSatisfy((error) => error instanceof ChildFailure && error.exitCode === 2);
  expect([puppets.length, said]).toEqual([1, '']);
});

test('starts nothing once it is to end, not even what it waits to start', async () => {
  const kept = keep();
  puppets[0]!.die(1);
  await until('it is said', () => said.includes('started again'));
  ending.controller.abort();
  await kept;
  expect(puppets).toHaveLength(1);
});
