import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { fits } from '../../src/cli/openalgo/python.ts';
import { pythonWith } from '../python.ts';
import { listening, StandIn } from './openalgo-stand-in.ts';
import { lives, removeRings, ringExists, run, RunningCommand, until } from './running-command.ts';

const python = pythonWith('openalgo_shm, zmq, sqlalchemy, dotenv');
const ring = `test-openalgo-${process.pid}`;
const KEY = 'a-key-of-openalgo';

let openalgo: StandIn;
beforeEach(async () => {
  if (python !== undefined) openalgo = await StandIn.make(python);
});
afterEach(async () => {
  await RunningCommand.endAll();
  openalgo?.remove();
  removeRings(ring);
});

const flags = (...more: string[]) => ['openalgo', openalgo.path, `--python=${python}`, `--ring=${ring}`, ...more];
const start = (...more: string[]) => new RunningCommand(flags(...more), { env: openalgo.environment });

async function logIn(): Promise<void> {
  await openalgo.use(
    { do: 'login', name: 'u', token: 't1', broker: 'mock' },
    { do: 'key', user_id: 'u', api_key: KEY },
  );
}

async function pidsOf(command: RunningCommand): Promise<{ host: number; proxy: number }> {
  const [, host] = await command.says(/host .*process (\d+)/);
  const [, proxy] = await command.says(/proxy .*process (\d+)/);
  await command.says(/Ctrl-C ends both/);
  return { host: Number(host), proxy: Number(proxy) };
}

interface Message {
  type?: string;
  status?: string;
  message?: string;
  symbol?: string;
  broker?: string;
  user_id?: string;
  data?: { ltp: number };
  subscriptions?: { symbol: string; status: string; message?: string }[];
}

/** A client that knows a key. */
class Client {
  readonly messages: Message[] = [];
  readonly #socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    // A proxy that is killed cuts it off.
    socket.on('error', () => {});
    socket.on('message', (data) => this.messages.push(JSON.parse(String(data)) as Message));
  }

  /** Connects as soon as somebody listens, and waits for the answer to its key; tries again while it cannot be checked. */
  static async authenticated(apiKey = KEY): Promise<Client> {
    for (;;) {
      const socket = new WebSocket(`ws://127.0.0.1:${openalgo.webSocketPort}`);
      try {
        await once(socket, 'open');
        const client = new Client(socket);
        client.send({ action: 'authenticate', api_key: apiKey });
        await until('an answer to the key', () => client.messages.length > 0);
        if (!client.messages[0]!.message?.includes('could not be checked')) return client;
        client.close();
      } catch {
        // Nobody listens yet.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  send(message: object): void {
    this.#socket.send(JSON.stringify(message));
  }

  subscribe(...symbols: string[]): void {
    this.send({ action: 'subscribe', symbols: symbols.map((symbol) => ({ symbol, exchange: 'NSE' })), mode: 'LTP' });
  }

  /** Lets the broker tick a price until it comes here. */
  async untilTick(symbol: string, ltp: number): Promise<void> {
    await until(`a tick of ${symbol} at ${ltp}`, () => {
      openalgo.broker.tick(`NSE_${symbol}_LTP`, { symbol, exchange: 'NSE', mode: 'ltp', ltp });
      return this.messages.some(
        (message) => message.type === 'market_data' && message.symbol === symbol && message.data?.ltp === ltp,
      );
    });
  }

  close(): void {
    this.#socket.terminate();
  }
}

describe.skipIf(python === undefined)('openalgo', () => {
  test('brings a broker’s ticks to a client with one of OpenAlgo’s keys, and its refusals', async () => {
    await logIn();
    const command = start();
    await pidsOf(command);
    expect(command.stdout).toContain('broker mock, user u');
    expect(command.stdout).toContain(`ws://127.0.0.1:${openalgo.webSocketPort}`);

    const stranger = await Client.authenticated('a-guess');
    expect(stranger.messages[0]).toMatchObject({ status: 'error' });
    stranger.close();

    const client = await Client.authenticated();
    expect(client.messages[0]).toMatchObject({ type: 'auth', status: 'success', broker: 'mock', user_id: 'u' });
    client.subscribe('SBIN', 'UNKNOWN');
    await until('the answer to subscribe', () => client.messages.some(({ type }) => type === 'subscribe'));
    expect(client.messages.find(({ type }) => type === 'subscribe')).toMatchObject({
      status: 'partial',
      subscriptions: [
        { symbol: 'SBIN', status: 'success' },
        { symbol: 'UNKNOWN', status: 'error', message: expect.stringContaining('no such symbol') },
      ],
    });
    await client.untilTick('SBIN', 625.5);
    client.close();
    const { code, stderr } = await command.signal('SIGINT');
    expect([code, stderr]).toEqual([0, expect.not.stringMatching(/ERR_|Traceback/)]);
  });

  test.each(['host', 'proxy'] as const)(
    'starts the %s again when it dies, and ticks come as before',
    async (victim) => {
      await logIn();
      const command = start();
      const pids = await pidsOf(command);
      const before = await Client.authenticated();
      before.subscribe('SBIN');
      await before.untilTick('SBIN', 1);
      process.kill(pids[victim], 'SIGKILL');
      await until('it is told', () =>
        command.stderr.includes(`the ${victim} was ended by a signal; it is started again`),
      );
      await until('it runs again', () => command.stderr.includes(`the ${victim} runs again`));
      const after = await Client.authenticated();
      after.subscribe('SBIN');
      await after.untilTick('SBIN', 2);
      // The other one was left alone.
      expect(lives(victim === 'host' ? pids.proxy : pids.host)).toBe(true);
      for (const client of [before, after]) client.close();
      expect((await command.signal('SIGTERM')).code).toBe(0);
    },
  );

  test('ends both processes and removes the shared memory with Ctrl-C', async () => {
    const command = start();
    const { host, proxy } = await pidsOf(command);
    expect(command.stdout).toContain('nobody is logged in to OpenAlgo yet');
    expect(ringExists(ring)).toBe(true);
    const { code } = await command.signal('SIGINT');
    expect(code).toBe(0);
    expect([lives(host), lives(proxy), ringExists(ring)]).toEqual([false, false, false]);
  });

  test('leaves no process behind when it is killed itself', async () => {
    const command = start();
    const { host, proxy } = await pidsOf(command);
    await command.signal('SIGKILL');
    await until('host and proxy to end', () => !lives(host) && !lives(proxy));
  });

  test('asks for no keys with --no-keys, and serves with several threads', async () => {
    await logIn();
    await pidsOf(start('--no-keys', '--threads=2'));
    const stats = (await (await fetch(`http://127.0.0.1:${openalgo.webSocketPort}/stats`)).json()) as object;
    expect(stats).toMatchObject({ threads: [{}, {}] });
    const client = await Client.authenticated('anything');
    expect(client.messages[0]).toMatchObject({ type: 'auth', status: 'success' });
    client.close();
  });

  test('is not started again when the host says that its configuration is wrong', async () => {
    writeFileSync(join(openalgo.path, 'websocket_proxy/broker_factory.py'), 'import a_module_that_is_not_there\n');
    const { code, stderr } = await run(flags(), { env: openalgo.environment });
    expect(code).toBe(2);
    expect(stderr).toMatch(/ERR_IMPORT_FAILED/);
    expect(stderr).not.toMatch(/started again/);
    expect(ringExists(ring)).toBe(false);
  });

  test.runIf(existsSync('/dev/shm'))('ends with the message of what cannot begin, without trying again', async () => {
    const foreign = join('/dev/shm', ring);
    writeFileSync(foreign, randomBytes(100_000), { mode: 0o600 });
    const { code, stdout, stderr } = await run(flags(), { env: openalgo.environment });
    expect([code, stdout, existsSync(foreign)]).toEqual([1, '', true]);
    expect(stderr).toMatch(/^openalgo-shm: ERR_SHM_LAYOUT: [^\n]+\n$/);
    rmSync(foreign);
  });

  test('says so where OpenAlgo would start a server of its own', async () => {
    openalgo.configure({ APP_MODE: 'integrated' });
    const command = start();
    await pidsOf(command);
    // In a container OpenAlgo never does.
    const isTold = /warning: \S+\.env has no APP_MODE='standalone'/.test(command.stderr);
    expect(isTold).toBe(!existsSync('/.dockerenv'));
  });

  test('takes host and port of .env where nothing stronger says them, and shows it', async () => {
    const { stdout } = await run(flags('--host=127.0.0.2', '--print-config'));
    expect(JSON.parse(stdout).settings).toMatchObject({
      host: { value: '127.0.0.2', source: 'flag' },
      port: { value: openalgo.webSocketPort, source: 'file', from: join(openalgo.path, '.env') },
      'depth-levels': { value: 50, source: 'default' },
    });
    const stronger = await run(flags('--print-config'), { env: { OPENALGO_SHM_PORT: '1234' } });
    expect(JSON.parse(stronger.stdout).settings).toMatchObject({ port: { value: 1234, source: 'environment' } });
  });

  describe('before anything starts, says in one line what to change, with exit code 2', () => {
    async function refusal(...more: string[]): Promise<string> {
      const { code, stdout, stderr } = await run(flags(...more), { env: openalgo.environment });
      expect([code, stdout, ringExists(ring)]).toEqual([2, '', false]);
      expect(stderr).toMatch(/^openalgo-shm: ERR_\w+: [^\n]+\n$/);
      return stderr;
    }

    /** A Python of its own that says whatever the test wants. */
    function pretend(script: string): string {
      const file = join(openalgo.path, 'pretended-python');
      writeFileSync(file, `#!/bin/sh\n${script}\n`);
      chmodSync(file, 0o755);
      return `--python=${file}`;
    }

    test('of a folder that is no checkout', async () => {
      rmSync(join(openalgo.path, 'database/auth_db.py'));
      expect(await refusal()).toMatch(/ERR_INVALID_ARGUMENT: .* is not a checkout .* no database\/auth_db\.py; give/);
    });

    test('of a checkout without .env', async () => {
      rmSync(join(openalgo.path, '.env'));
      expect(await refusal()).toMatch(/ERR_FILE: .*\.env is not there; copy \.sample\.env/);
    });

    test('of settings in .env that do not fit', async () => {
      openalgo.configure({ ZMQ_PORT: 'five' });
      expect(await refusal()).toMatch(/ERR_INVALID_OPTION: ZMQ_PORT in \S+\.env is 'five'; it must be/);
      openalgo.configure({ WEBSOCKET_PORT: 'eight' });
      expect(await refusal()).toMatch(/ERR_INVALID_OPTION: "port" in \S+\.env is 'eight'\. It must be/);
    });

    test('of an address that is not of this machine', async () => {
      openalgo.configure({ WEBSOCKET_HOST: '192.0.2.1' });
      expect(await refusal()).toMatch(/ERR_INVALID_OPTION: 192\.0\.2\.1:\d+ \(WEBSOCKET_PORT\) cannot be listened on/);
    });

    test('of a Python that cannot be run', async () => {
      expect(await refusal('--python=/nowhere/python')).toMatch(
        /ERR_NOT_INSTALLED: \/nowhere\/python cannot be run.*--python FILE/,
      );
      expect(await refusal(pretend('echo broken >&2; exit 3'))).toMatch(/cannot be run as a Python: broken;/);
    });

    test('of a Python that is too old for the checkout', async () => {
      writeFileSync(join(openalgo.path, 'pyproject.toml'), '[project]\nrequires-python = ">=3.99"\n');
      expect(await refusal()).toMatch(/ERR_NOT_INSTALLED: .* is Python 3\.\d+\.\d+, and \S+ needs >=3\.99; give/);
    });

    test('of a Python without the package', async () => {
      const found = JSON.stringify({ version: [3, 12, 1], pip: true, there: false });
      expect(await refusal(pretend(`echo '${found}'`))).toMatch(
        /ERR_NOT_INSTALLED: (\S+) has no package openalgo-shm; install it: \1 -m pip install \S+crates\/python\n/,
      );
      const withoutPip = JSON.stringify({ version: [3, 12, 1], pip: false, there: false });
      expect(await refusal(pretend(`echo '${withoutPip}'`))).toMatch(/uv pip install --python \S+ \S+crates\/python\n/);
    });

    test('of a package that cannot be imported', async () => {
      const found = JSON.stringify({ version: [3, 12, 1], pip: true, there: true, error: 'ImportError: torn' });
      expect(await refusal(pretend(`echo '${found}'`))).toMatch(
        /cannot be imported by \S+: ImportError: torn; install/,
      );
    });

    test('of a package of another version', async () => {
      const found = { version: [3, 12, 1], pip: true, there: true, package: '0.0.1', format: 1 };
      expect(await refusal(pretend(`echo '${JSON.stringify(found)}'`))).toMatch(
        /ERR_SHM_VERSION: .* has openalgo-shm 0\.0\.1 with ring format 1, and this is \S+ with ring format \d+; install/,
      );
    });

    test.each(['webSocketPort', 'busPort'] as const)('of a port that is taken (%s), and by whom', async (which) => {
      const server = await listening(openalgo[which]);
      const text = await refusal();
      expect(text).toMatch(/ERR_PORT_IN_USE: 127\.0\.0\.1:\d+ \((WEBSOCKET|ZMQ)_PORT\) is taken/);
      if (process.platform === 'linux') expect(text).toContain(`process ${process.pid} (`);
      expect(text).toContain("APP_MODE='standalone'");
      await new Promise((resolve) => server.close(resolve));
    });

    test('of another that runs already', async () => {
      await pidsOf(start());
      const { code, stderr } = await run(flags(), { env: openalgo.environment });
      expect([code, stderr]).toEqual([2, expect.stringMatching(/ERR_PORT_IN_USE: .*belongs to openalgo-shm already/)]);
    });
  });

  test('finds the Python of the checkout’s own environment', async () => {
    const bin = join(openalgo.path, '.venv/bin');
    mkdirSync(bin, { recursive: true });
    symlinkSync(python!, join(bin, 'python'));
    cpSync(join(dirname(python!), '../pyvenv.cfg'), join(openalgo.path, '.venv/pyvenv.cfg'));
    symlinkSync(join(dirname(python!), '../lib'), join(openalgo.path, '.venv/lib'));
    await pidsOf(new RunningCommand(['openalgo', openalgo.path, `--ring=${ring}`], { env: openalgo.environment }));
  });
});

test.each([
  ['>=3.12', [3, 12, 1], true],
  ['>=3.12', [3, 11, 9], false],
  ['>=3.9', [3, 12, 0], true],
  ['>=3.12,<3.14', [3, 13, 5], true],
  ['>=3.12, <3.14', [3, 14, 0], false],
  ['>3.11', [3, 12, 0], true],
  ['<=3.12', [3, 13, 0], false],
  ['!=3.13.0', [3, 13, 0], true],
])('%s is kept by Python %j: %s', (required, version, expected) => {
  expect(fits(version as number[], required as string)).toBe(expected);
});
