import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from './cli/running-command.ts';
import { RunningProxy } from './proxy/running-proxy.ts';

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

describe('the systemd unit', () => {
  const folder = mkdtempSync(join(tmpdir(), 'openalgo-shm-unit-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test.skipIf(!hasSystemd)('is understood by systemd (systemd-analyze)', () => {
    const unit = join(folder, 'openalgo-shm.service');
    const installed = example('openalgo-shm.service').replace('/usr/bin/openalgo-shm', '/bin/true');
    writeFileSync(unit, installed.replace(/^User=.*$/m, 'User=root'));
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', unit], { encoding: 'utf8' });
    expect([status, (stdout + stderr).split('\n').filter((line) => line.includes(unit))]).toEqual([0, []]);
  });

  test('starts a command that is understood', async () => {
    const [, words] = /^ExecStart=\S+ (.*) --config \S+$/m.exec(example('openalgo-shm.service')) ?? [];
    const { code } = await run([...words!.split(' '), '--print-config']);
    expect(code).toBe(0);
  });
});

test('the Dockerfile starts a command that is understood, and asks for the health where it is', async () => {
  const file = example('Dockerfile');
  const command = JSON.parse(/^CMD (\[.*\])$/m.exec(file)![1]!) as string[];
  expect((await run([...command, '--print-config'])).code).toBe(0);
  const running = await RunningProxy.start();
  running.publisher();
  const check = (JSON.parse(/^ {2}CMD (\[.*\])$/m.exec(file)![1]!) as string[]).map((word) =>
    word.replace('8765', String(running.port)),
  );
  await expect.poll(async () => (await fetch(`${running.httpUrl}/health`)).status, { timeout: 20_000 }).toBe(200);
  const healthy = await exitCodeOf(check);
  await running.stop();
  expect([healthy, await exitCodeOf(check)]).toEqual([0, 1]);
});

async function exitCodeOf([program, ...args]: string[]): Promise<number | null> {
  const { spawn } = await import('node:child_process');
  const child = spawn(program === 'node' ? process.execPath : program!, args, { stdio: 'ignore' });
  return new Promise((resolve) => child.once('exit', resolve));
}
