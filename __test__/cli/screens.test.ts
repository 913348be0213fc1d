import { spawnSync } from 'node:child_process';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { bytes, count, counted, duration, short } from '../../src/cli/figures.ts';
import { LiveScreen } from '../../src/cli/live-screen.ts';
import { ProgressLine } from '../../src/cli/progress-line.ts';
import { TickRows, type TickRow } from '../../src/cli/tick-rows.ts';
import { screenOf } from '../../src/cli/tick-screen.ts';
import { root, run } from './running-command.ts';

function stream(isTTY: boolean): { written: string; stream: NodeJS.WriteStream } {
  const sink = { written: '', isTTY, columns: 20, rows: 5, write: (text: string) => (sink.written += text) };
  return {
    get written() {
      return sink.written;
    },
    stream: sink as unknown as NodeJS.WriteStream,
  };
}

describe('the progress line', () => {
  test('is written over on a terminal, no wider than that, and taken away at the end', () => {
    const terminal = stream(true);
    const line = new ProgressLine(terminal.stream);
    line.show('1 tick');
    line.show('2 ticks and more than fits');
    line.clear();
    expect(terminal.written).toBe('\r1 tick\u001b[K\r2 ticks and more th\u001b[K\r\u001b[K');
  });

  test('is not there in a pipe', () => {
    const pipe = stream(false);
    const line = new ProgressLine(pipe.stream);
    line.show('1 tick');
    line.clear();
    expect(pipe.written).toBe('');
  });
});

describe('the live screen', () => {
  test('gives back what was there before, and draws no more lines than there are', () => {
    const terminal = stream(true);
    const screen = new LiveScreen(terminal.stream);
    screen.draw('1\n2\n3\n4\n5\n6');
    screen.close();
    expect(terminal.written.startsWith('\u001b[?1049h')).toBe(true);
    expect(terminal.written.endsWith('5\u001b[K\u001b[J\u001b[?25h\u001b[?1049l')).toBe(true);
    expect(terminal.written).not.toContain('6\u001b[K');
  });
});

test('the live screen is left when the process is ended in the midst of it', async () => {
  expect((await run(['--version'])).code, 'the package is built').toBe(0);
  const script = `import { LiveScreen } from './dist/cli/live-screen.js'; new LiveScreen().draw('x'); process.exit(130);`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
  });
  expect([status, stdout.endsWith('\u001b[?25h\u001b[?1049l')]).toEqual([130, true]);
});

const tick = (symbol: string, fields: Partial<TickRow> & { mode?: number; ageMs?: number } = {}) =>
  ({ exchange: 'NSE', symbol, publisher: 'mock', publishNs: 0, mode: 1, ...fields }) as unknown as Parameters<
    TickRows['update']
  >[0];

describe('the rows', () => {
  test('keep what a tick does not carry', () => {
    const rows = new TickRows();
    rows.update(tick('TCS', { ltp: 1, volume: 5 }));
    expect(rows.update(tick('TCS', { ltp: 2 }))).toMatchObject({ ltp: 2, volume: 5, ticks: 2 });
  });

  test('keep what is newer than the last value of another source', () => {
    const rows = new TickRows();
    rows.update(tick('TCS', { ltp: 1, publishNs: 5, ageMs: 9 }));
    rows.update(tick('TCS', { ltp: 2, publishNs: 8 }));
    expect(rows.update(tick('TCS', { ltp: 1, publishNs: 6, ageMs: 9 }))).toMatchObject({
      ltp: 2,
      publishNs: 8,
      ticks: 2,
    });
  });

  test.each([
    ['symbol', false, ['A', 'B', 'C']],
    ['symbol', true, ['C', 'B', 'A']],
    ['volume', false, ['B', 'C', 'A']],
    ['change', false, ['C', 'B', 'A']],
    ['age', false, ['A', 'C', 'B']],
  ] as const)('are sorted by %s (the other way round: %s)', (key, reverse, expected) => {
    const rows = new TickRows();
    rows.update(tick('B', { volume: 9, changePercent: -1, publishNs: 1 }));
    rows.update(tick('A', { publishNs: 3 }));
    rows.update(tick('C', { volume: 2, changePercent: 1, publishNs: 2 }));
    expect(rows.sorted(key, reverse).map(({ symbol }) => symbol)).toEqual(expected);
  });

  test('fill the terminal and no more, with as many books as there is room for', () => {
    const rows = new TickRows();
    const depth = { buy: [{ price: 99.5, quantity: 5, orders: 2 }], sell: [{ price: 100.5, quantity: 7, orders: 1 }] };
    for (let index = 0; index < 100; index++) rows.update(tick(`S${index}`, { ltp: index, mode: 3, depth }));
    const context = { title: 'ring', footer: 'Ctrl-C ends', lines: 24, columns: 120, depth: 1, nowNs: 1000 };
    const lines = stripVTControlCharacters(screenOf(rows.sorted('ltp', false), context)).split('\n');
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(lines.length).toBeGreaterThan(18);
    expect(lines[2]).toMatch(/^S99 +NSE +99\.00 .* 99\.50 +100\.50 /);
    expect(lines.filter((line) => /5 +99\.50 +100\.50 +7/.test(line)).length).toBeGreaterThan(1);
    expect(lines.at(-1)).toMatch(/Ctrl-C ends, \d+ more rows/);
  });
});

describe('figures', () => {
  test.each([
    [count(1_234_567), '1,234,567'],
    [counted(1, 'tick'), '1 tick'],
    [counted(2000, 'tick'), '2,000 ticks'],
    [duration(250), '250 ns'],
    [duration(12_340), '12.3 µs'],
    [duration(4_560_000), '4.56 ms'],
    [duration(7_800_000_000), '7.80 s'],
    [bytes(512), '512 B'],
    [bytes(1024 * 1024), '1.00 MiB'],
    [short(950), '950'],
    [short(12_300), '12.3 k'],
    [short(4_560_000), '4.56 M'],
  ])('are short: %s', (text, expected) => {
    expect(text).toBe(expected);
  });
});
