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

  kill(): void {
    this.die();
  }
}

let said = '';
let puppets: Puppet[] = [];
const ending = { controller: new AbortController() };

function kept(): KeptAlive<Puppet> {
  const launch = (): Puppet => {
    puppets.push(new Puppet());
    return puppets.at(-1)!;
  };
  return new KeptAlive('host', launch, ending.controller.signal);
}

const keep = (): Promise<void> => kept().keep();

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

test('starts again at once, then after 1 s, and at once again when the child has lived for a minute', async () => {
  const keeping = keep();
  await dieOnce(1);
  await dieOnce();
  const now = performance.now.bind(performance);
  vi.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
  await dieOnce(1);
  ending.controller.abort();
  await keeping;
  expect(said.match(/the host (ended with exit code 1|was ended by a signal); it is started again .+/g)).toEqual([
    'the host ended with exit code 1; it is started again at once',
    'the host was ended by a signal; it is started again in 1 s',
    'the host ended with exit code 1; it is started again at once',
  ]);
});

test('gives up when the child says that its configuration is wrong', async () => {
  const keeping = keep();
  puppets[0]!.die(2);
  await expect(keeping).rejects.toSatisfy((error) => error instanceof ChildFailure && error.exitCode === 2);
  expect([puppets.length, said]).toEqual([1, '']);
});

test('starts nothing once it is to end, not even what it waits to start', async () => {
  const keeping = keep();
  await dieOnce(1);
  puppets[1]!.die(1);
  await until('it is said', () => said.includes('started again in'));
  ending.controller.abort();
  await keeping;
  expect(puppets).toHaveLength(2);
});

test.each(['end', 'kill'] as const)('starts nothing again that was ended by %s()', async (how) => {
  const host = kept();
  const keeping = host.keep();
  await host[how]();
  await keeping;
  expect([puppets.length, said]).toEqual([1, '']);
});
