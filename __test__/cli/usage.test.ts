import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, test } from 'vitest';
import { ROLE_COMMAND } from '../../src/cli/bench/role-command.ts';
import { createProgram, everyCommand } from '../../src/cli/program.ts';
import { ringExists, run } from './running-command.ts';

const directory = mkdtempSync(join(tmpdir(), 'openalgo-shm-'));
afterAll(() => rmSync(directory, { recursive: true }));

const pathsOf = () =>
  everyCommand(createProgram())
    .filter((command) => command.name() !== ROLE_COMMAND)
    .map((command) => {
      const path = [];
      for (let at = command; at.parent !== null; at = at.parent) path.unshift(at.name());
      return path;
    });

describe('help', () => {
  test.each(pathsOf())('of "%s %s" teaches with examples', async (...path) => {
    const { code, stdout, stderr } = await run([...path, '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`Usage: openalgo-shm ${path.join(' ')}`.trimEnd());
    expect(stdout).toMatch(/Examples:|Begin with:/);
  });

  test('names the exit codes and the order of configuration', async () => {
    const { stdout } = await run(['--help']);
    expect(stdout).toMatch(/Exit codes: 0 .* 1 .* 2 /);
    expect(stdout).toMatch(/1\. flags\n.*2\. environment[^]*3\. a JSON file[^]*4\. defaults/);
  });

  test('comes, with exit code 2, when no command is given', async () => {
    const { code, stderr } = await run([]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('Usage: openalgo-shm')]);
  });

  test('says its version', async () => {
    expect((await run(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('what makes no sense is one line that says what to do, with exit code 2', () => {
  test.each([
    [['sevre'], /unknown command 'sevre'.*Did you mean serve/],
    [['serve', '--prot=1'], /unknown option '--prot=1'.*Did you mean --port/],
    [['serve', '--port=abc'], /'abc' is invalid.*whole number from 0 to 65535/],
    [['serve', '--port=70000'], /whole number from 0 to 65535/],
    [['serve', '--buffer-size=0'], /size above 0/],
    [['serve', '--depth-levels=201'], /whole number from 0 to 200/],
    [['serve', '--ring=a/b'], /ERR_SHM_NAME: /],
    [['serve', '--keys-file=k', '--openalgo-url=http://x'], /cannot be used with/],
    [['serve', '--keys-file=k', '--keys-socket'], /cannot be used with/],
    [['serve', '--keys-socket=s', '--openalgo-url=http://x'], /cannot be used with/],
    [['serve', '--openalgo-user=alice'], /ERR_INVALID_OPTION: openalgo-user is set without openalgo-url/],
    [['serve', '--subscribe-timeout=-1'], /whole number from 0/],
    [['feed', 'simulated', '--rate=0'], /number above 0, or max/],
    [['feed', 'simulated', '--rate=-5'], /number above 0, or max/],
    [['feed', 'replay'], /missing required argument 'file'/],
    [['openalgo'], /missing required argument 'path'/],
    [['openalgo', '/nowhere'], /ERR_INVALID_ARGUMENT: \/nowhere is not a checkout/],
    [['watch', '--sort=color'], /Allowed choices are symbol, ltp/],
    [['stats', '--url=nowhere'], /address such as/],
    [['stats', '--url=http://x', '--ring=y'], /cannot be used with/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await run(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^openalgo-shm: ERR_\w+: [^\n]+\n$/);
  });

  test('a stack only comes with DEBUG', async () => {
    const { stderr } = await run(['serve', '--ring=a/b'], { env: { DEBUG: '1' } });
    expect(stderr).toMatch(/\n {4}at /);
  });
});

describe('settings come from flags, then the environment, then a file, then defaults', () => {
  const printed = async (args: string[], env: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await run([...args, '--print-config'], { env, cwd: directory });
    expect([code, stderr]).toEqual([0, '']);
    return JSON.parse(stdout).settings;
  };
  const file = (name: string, content: unknown) => {
    const path = join(directory, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  test('each layer gives way to the one above', async () => {
    const config = file('layers.json', { port: 1, 'buffer-size': '2MiB', depthLevels: 20, serve: { port: 2 } });
    const settings = await printed(['serve', '--config', config, '--depth-levels=50'], {
      OPENALGO_SHM_BUFFER_SIZE: '4MiB',
      SHM_BUFFER_NAME: 'named_by_openalgo',
    });
    expect(settings).toMatchObject({
      'depth-levels': { value: 50, source: 'flag' },
      'buffer-size': { value: 4 * 1024 * 1024, source: 'environment', from: 'OPENALGO_SHM_BUFFER_SIZE' },
      ring: { value: 'named_by_openalgo', source: 'environment', from: 'SHM_BUFFER_NAME' },
      port: { value: 2, source: 'file', from: config },
      host: { value: '127.0.0.1', source: 'default' },
    });
  });

  test('OpenAlgo’s own variables count, and give way to this program’s', async () => {
    const env = {
      SHM_BUFFER_SIZE: '2097152',
      WEBSOCKET_HOST: '127.0.0.2',
      WEBSOCKET_PORT: '1',
      OPENALGO_SHM_PORT: '2',
    };
    expect(await printed(['serve'], env)).toMatchObject({
      'buffer-size': { value: 2_097_152 },
      host: { value: '127.0.0.2', from: 'WEBSOCKET_HOST' },
      port: { value: 2, from: 'OPENALGO_SHM_PORT' },
    });
  });

  test('a file in the working directory is found, and sections nest like commands', async () => {
    const path = file('openalgo-shm.json', { feed: { simulated: { rate: 'max' }, ring: 'mine' }, snapshot: false });
    expect(await printed(['feed', 'simulated'])).toMatchObject({
      rate: { value: 'max', source: 'file' },
      ring: { value: 'mine', source: 'file' },
    });
    expect(await printed(['serve'])).toMatchObject({ snapshot: { value: false, source: 'file' } });
    rmSync(path);
  });

  test('a flag with or without a value can be either in every layer', async () => {
    expect(await printed(['serve', '--keys-socket'])).toMatchObject({ 'keys-socket': { value: true, source: 'flag' } });
    for (const [text, value] of [
      ['true', true],
      ['false', false],
      ['/run/host.sock', '/run/host.sock'],
    ]) {
      const settings = await printed(['serve'], { OPENALGO_SHM_KEYS_SOCKET: String(text) });
      expect(settings).toMatchObject({ 'keys-socket': { value, source: 'environment' } });
    }
    const config = file('socket.json', { serve: { keysSocket: true, subscribeTimeout: 5 } });
    expect(await printed(['serve', '--config', config])).toMatchObject({
      'keys-socket': { value: true, source: 'file' },
      'subscribe-timeout': { value: 5, source: 'file' },
    });
    expect(await printed(['serve', '--config', config, '--keys-file=k'])).toMatchObject({
      'keys-socket': { source: 'default' },
    });
  });

  test('a flag rules out what weaker layers say of those that it excludes', async () => {
    const settings = await printed(['serve', '--openalgo-url=http://127.0.0.1:5000'], {
      OPENALGO_SHM_KEYS_FILE: 'keys',
    });
    expect(settings).toMatchObject({
      'openalgo-url': { value: 'http://127.0.0.1:5000', source: 'flag' },
      'keys-file': { value: null, source: 'default' },
    });
    const other = await printed(['serve', '--keys-file=keys'], { OPENALGO_SHM_OPENALGO_URL: 'http://127.0.0.1:5000' });
    expect(other).toMatchObject({ 'keys-file': { value: 'keys' }, 'openalgo-url': { value: null } });
  });

  test('two places for keys are refused, wherever they are named', async () => {
    const env = { OPENALGO_SHM_KEYS_FILE: 'keys', OPENALGO_SHM_OPENALGO_URL: 'http://127.0.0.1:5000' };
    const { code, stderr } = await run(['serve', '--port=0', `--ring=test-usage-${process.pid}`], { env });
    expect([code, stderr]).toEqual([2, expect.stringMatching(/ERR_INVALID_OPTION: keys-file and openalgo-url/)]);
  });

  test('a key is never printed', async () => {
    const settings = await printed(['stats'], { OPENALGO_SHM_API_KEY: 'letmein' });
    expect(settings['api-key']).toEqual({ value: '(set)', source: 'environment', from: 'OPENALGO_SHM_API_KEY' });
  });

  test('printing starts nothing', async () => {
    await printed(['serve', `--ring=test-usage-${process.pid}`]);
    expect(ringExists(`test-usage-${process.pid}`)).toBe(false);
  });

  test.each([
    ['an unknown key', { prot: 1 }, 2, /"prot" in .* is no setting/],
    ['a key of another command', { watch: { rate: 5 } }, 2, /"watch\.rate" in .* is no setting/],
    ['nothing for a value', { ring: null }, 2, /"ring" in .* is null; it must be text/],
    ['an object for a value', { serve: { ring: {} } }, 2, /"serve\.ring" in .* is an object; it must be text/],
    ['a value that does not fit', { port: 'http' }, 2, /"port" in .* is 'http'\. It must be a whole number/],
    ['no JSON', '{', 1, /ERR_FILE: configuration .* cannot be read/],
    ['an array', [], 1, /ERR_FILE: .*expected a JSON object/],
  ])('a file with %s is refused', async (_what, content, exitCode, message) => {
    const config = file('wrong.json', content);
    const { code, stderr } = await run(['serve', '--config', config, '--print-config']);
    expect([code, stderr]).toEqual([exitCode, expect.stringMatching(message)]);
  });

  test('a variable that does not fit is refused by its name', async () => {
    const { code, stderr } = await run(['serve', '--print-config'], { env: { WEBSOCKET_PORT: 'eight' } });
    expect([code, stderr]).toEqual([2, expect.stringMatching(/ERR_INVALID_OPTION: WEBSOCKET_PORT is 'eight'/)]);
  });
});

describe('completion', () => {
  test('in bash offers commands, flags and values', async () => {
    const { stdout } = await run(['completion', 'bash']);
    const complete = (...words: string[]) => {
      const line = words.map((word) => `'${word}'`).join(' ');
      const script = `${stdout}\nCOMP_WORDS=(openalgo-shm ${line}); COMP_CWORD=${words.length}; _openalgo_shm; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { status, stdout: offered } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
      expect(status).toBe(0);
      return offered.trim().split('\n');
    };
    expect(complete('fe')).toEqual(['feed']);
    expect(complete('feed', 'si')).toEqual(['simulated']);
    expect(complete('feed', 'replay', '--sp')).toEqual(['--speed']);
    expect(complete('watch', '--sort', 'vol')).toEqual(['volume']);
    expect(complete('openalgo', '--py')).toEqual(['--python']);
  });

  test('in fish keeps commands of one name apart', async () => {
    const { stdout } = await run(['completion', 'fish']);
    const within = '__fish_seen_subcommand_from openalgo';
    expect(stdout).toContain(`-n '${within}; and not __fish_seen_subcommand_from feed' -l python`);
    expect(stdout).toContain(`-n '__fish_seen_subcommand_from feed; and ${within}' -l api-key`);
  });

  test.each(['zsh', 'fish'])('for %s names every command', async (shell) => {
    const { code, stdout } = await run(['completion', shell]);
    expect(code).toBe(0);
    for (const path of pathsOf()) expect(stdout).toContain(path.at(-1) ?? '');
  });
});

describe('doctor', () => {
  test('finds this machine in order, and says what it looked at', async () => {
    const { stdout } = await run(['doctor', '--json', '--port=0']);
    const findings: { check: string; verdict: string; remedy?: string }[] = JSON.parse(stdout);
    expect(findings.map(({ check }) => check)).toEqual(expect.arrayContaining(['kernel', 'cores', 'clock', 'port']));
    expect(findings.filter(({ verdict, remedy }) => verdict !== 'good' && !remedy)).toEqual([]);
  });

  test('fails, with what to change, where the ring cannot fit', async () => {
    const { code, stdout } = await run(['doctor', '--port=0', '--buffer-size=4096GiB']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/✗ \/dev\/shm .*\n +→ sudo mount -o remount,size=/);
  });

  test.runIf(existsSync('/dev/shm'))(
    'finds what is no ring under the name of one, and every command says so',
    async () => {
      const name = `test-foreign-${process.pid}`;
      const path = join('/dev/shm', name);
      writeFileSync(path, randomBytes(100_000), { mode: 0o600 });
      try {
        const { code, stdout } = await run(['doctor', '--port=0', `--ring=${name}`]);
        expect([code, stdout]).toEqual([1, expect.stringMatching(/✗ ring .*\n.*rm \/dev\/shm\//)]);
        for (const words of [
          ['serve', '--port=0'],
          ['watch'],
          ['stats'],
          ['feed', 'simulated'],
          ['start', '--port=0'],
        ]) {
          const refused = await run([...words, `--ring=${name}`]);
          expect([refused.code, refused.stdout]).toEqual([1, '']);
          expect(refused.stderr).toMatch(/openalgo-shm: ERR_SHM_LAYOUT: .*not a segment of this library.*\n$/);
        }
        await run(['cleanup', `--ring=${name}`]);
        expect(existsSync(path)).toBe(true);
      } finally {
        rmSync(path);
      }
    },
  );
});
