import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { run } from './cli/running-command.ts';
import { RunningProxy } from './proxy/running-proxy.ts';
import { pythonWith } from './python.ts';

const example = (name: string): string => readFileSync(`examples/${name}`, 'utf8');
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

describe('the Prometheus and Grafana examples', () => {
  let metrics = '';
  beforeAll(async () => {
    const running = await RunningProxy.start();
    running.publisher().publishMarketData('SBIN', { ltp: 1 });
    metrics = await (await fetch(`${running.httpUrl}/metrics`)).text();
    await running.stop();
  });

  test.each(['grafana-dashboard.json', 'prometheus-alerts.yml'])('%s asks for nothing that there is not', (name) => {
    const asked = new Set(example(name).match(/\b(openalgo_shm|nodejs|process)_[a-z0-9_]+/g));
    expect(asked.size).toBeGreaterThan(4);
    for (const metric of asked) expect(metrics).toMatch(new RegExp(`^${metric}[{ ]`, 'm'));
  });

  test('the dashboard has a query in every panel, and no two panels in one place', () => {
    const { panels } = JSON.parse(example('grafana-dashboard.json')) as {
      panels: { id: number; targets: { expr: string }[]; gridPos: { x: number; y: number } }[];
    };
    expect(panels.length).toBeGreaterThan(10);
    for (const { targets } of panels) {
      expect(targets.length).toBeGreaterThan(0);
      for (const { expr } of targets)
        expect(expr).toMatch(/(openalgo_shm|nodejs|process)_\w+\{instance=~"\$instance"\}/);
    }
    expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x},${y}`)).size).toBe(panels.length);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  test('the scrape configuration asks where the proxy answers', () => {
    expect(example('prometheus.yml')).toMatch(/metrics_path: \/metrics\n[^]*127\.0\.0\.1:8765/);
  });
});

describe.each(['openalgo-shm.service', 'openalgo/openalgo-shm.service'])('the systemd unit %s', (name) => {
  const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-unit-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test.skipIf(!hasSystemd)('is understood by systemd (systemd-analyze)', () => {
    const unit = join(folder, 'openalgo-shm.service');
    const installed = example(name).replace('/usr/bin/openalgo-shm', '/bin/true');
    writeFileSync(unit, installed.replace(/^User=.*$/m, 'User=root'));
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
    expect([status, (stdout + stderr).split('\n').filter((line) => line.includes(unit))]).toEqual([0, []]);
  });

  test('starts a command that is understood', async () => {
    const [, words] = /^ExecStart=\S+ (.*?)(?: --config \S+)?$/m.exec(example(name)) ?? [];
    const { code } = await run([...words!.split(' '), '--print-config']);
    expect(code).toBe(0);
  });
});

describe('the systemd timer that asks whether the proxy works', () => {
  const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-timer-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test.skipIf(!hasSystemd)('is understood by systemd (systemd-analyze)', () => {
    const units = ['openalgo-shm-live.timer', 'openalgo-shm-live.service'].map((name) => {
      const unit = join(folder, name);
      writeFileSync(unit, example(name));
      return unit;
    });
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', ...units], { encoding: 'utf8' });
    expect([status, (stdout + stderr).split('\n').filter((line) => line.includes(folder))]).toEqual([0, []]);
  });

  test('asks for what a restart may mend', async () => {
    const [, path] = /http:\/\/127\.0\.0\.1:8765(\S*)/.exec(example('openalgo-shm-live.service'))!;
    const running = await RunningProxy.start();
    expect((await running.get(path!)).status).toBe(200);
    await running.stop();
  });
});

describe('the compose file for OpenAlgo', () => {
  interface Service {
    build?: string;
    command: string[];
    environment: Record<string, string>;
    volumes: string[];
    network_mode?: string;
    ports?: string[];
  }
  const { services, volumes } = parse(example('openalgo/compose.yaml'), { strict: true, merge: true }) as {
    services: Record<'web' | 'host' | 'proxy', Service>;
    volumes: Record<string, { driver_opts?: { type: string; o: string } } | null>;
  };
  const python = pythonWith('openalgo_shm');

  test('mounts nothing that it does not declare, and builds only from existing folders', () => {
    const named = Object.values(services).flatMap((service) => service.volumes.map((mount) => mount.split(':')[0]!));
    expect(named.filter((name) => !name.startsWith('${') && !(name in volumes))).toEqual([]);
    for (const { build } of Object.values(services)) {
      if (build !== undefined) expect(existsSync(join('examples/openalgo', build, 'Dockerfile'))).toBe(true);
    }
  });

  test('lets host and proxy share memory and the socket for keys, and web and host a network', () => {
    for (const { volumes: mounts, environment } of [services.host, services.proxy]) {
      expect(mounts).toEqual(expect.arrayContaining(['ring:/dev/shm', 'run:/run/openalgo-shm']));
      expect(environment).toMatchObject({ XDG_RUNTIME_DIR: '/run/openalgo-shm' });
    }
    expect(volumes['ring']!.driver_opts).toMatchObject({ type: 'tmpfs', o: expect.stringContaining('mode=1777') });
    expect(volumes['run']!.driver_opts!.o).toContain('uid=1000,gid=1000,mode=0700');
    expect(services.host.network_mode).toBe('service:web');
    expect(services.host.volumes.filter((mount) => mount.includes('/app'))).toEqual(services.web.volumes);
  });

  test('keeps OpenAlgo from its own server, and opens ports to this machine alone', () => {
    expect(services.web.environment).toMatchObject({ APP_MODE: 'standalone' });
    expect(services.web.command.join(' ')).not.toMatch(/start\.sh|websocket_proxy/);
    for (const { ports = [] } of Object.values(services)) {
      for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
    }
  });

  test('starts a proxy whose command is understood, for the ring of the host', async () => {
    const { code, stdout } = await run([...services.proxy.command, '--print-config']);
    expect(code).toBe(0);
    const { settings } = JSON.parse(stdout) as { settings: Record<string, { value: unknown }> };
    expect(services.host.command).toEqual([
      '--buffer-name',
      settings['ring']!.value,
      '--depth-levels',
      String(settings['depth-levels']!.value),
    ]);
    expect(settings['keys-socket']!.value).toBe(true);
  });

  test.skipIf(python === undefined)('starts a host that is understood', () => {
    // Understood, and then there is no OpenAlgo in this folder.
    const words = ['-m', 'openalgo_shm.host', ...services.host.command];
    const { status, stderr } = spawnSync(python!, words, { encoding: 'utf8' });
    expect([status, stderr]).toEqual([2, expect.stringContaining('ERR_NOT_A_CHECKOUT')]);
    expect(example('openalgo/Dockerfile')).toMatch(/^ENTRYPOINT \["\S+python", "-m", "openalgo_shm\.host"\]$/m);
  });
});

test('the Dockerfile starts a command that is understood, and asks whether the process works', async () => {
  const file = example('Dockerfile');
  const command = JSON.parse(/^CMD (\[.*\])$/m.exec(file)![1]!) as string[];
  expect((await run([...command, '--print-config'])).code).toBe(0);
  const running = await RunningProxy.start();
  const check = (JSON.parse(/^ {2}CMD (\[.*\])$/m.exec(file)![1]!) as string[]).map((word) =>
    word.replace('8765', String(running.port)),
  );
  // Without a feed: before the market opens that is no reason to start the container again.
  expect((await running.get('/health')).status).toBe(503);
  const alive = await exitCodeOf(check);
  await running.stop();
  expect([alive, await exitCodeOf(check)]).toEqual([0, 1]);
});

async function exitCodeOf([program, ...args]: string[]): Promise<number | null> {
  const { spawn } = await import('node:child_process');
  const child = spawn(program === 'node' ? process.execPath : program!, args, { stdio: 'ignore' });
  return new Promise((resolve) => child.once('exit', resolve));
}
