import { readFileSync, writeFileSync } from 'node:fs';
import type { Figure } from './figures.ts';
import { ROOT } from './processes.ts';

/** What follows this line in `benches/README.md` is written by the bench. */
const MARK = '<!-- written by npm run bench -->';

/** Puts the figures of a run into `benches/README.md`, under the method. */
export function writeReadme(figures: readonly Figure[], machine: string, quick: boolean): void {
  const file = `${ROOT}benches/README.md`;
  const [method = ''] = readFileSync(file, 'utf8').split(MARK);
  const day = new Date().toISOString().slice(0, 10);
  const head = `Machine: ${machine}. ${day}${quick ? ', a quick run: fewer and shorter measurements' : ''}. Medians; in parentheses the lowest and the highest run.`;
  const parts = SECTIONS.map(([title, belongs, above]) =>
    section(
      title,
      figures.filter(({ name }) => belongs(name)),
      above,
    ),
  );
  writeFileSync(file, `${method}${MARK}\n\n${head}\n\n${parts.filter((part) => part !== '').join('\n')}`);
}

const starts =
  (...words: string[]) =>
  (name: string): boolean =>
    words.some((word) => name.startsWith(word));

/** Title, the figures that belong to it, what stands above them. */
const SECTIONS: readonly [string, (name: string) => boolean, string?][] = [
  ['Ratios to the limit and to peers of the same run', starts('ratio:')],
  ['Ring: one-way latency', starts('one-way', 'wake')],
  ['Ring: throughput', starts('1 to', '2 to', 'publish with nobody', 'ticks lost')],
  ['JavaScript', starts('JavaScript', 'JSON.stringify', 'onBatch', 'CPU of a subscriber')],
  ['WebSocket deliveries', starts('deliveries')],
  ['WebSocket latency', starts("publish to client's", 'CPU of the proxy')],
  ['WebSocket clients', starts('memory', '50 clients', '45 clients', 'subscribe storm')],
  ['In an application that blocks its event loop', starts('plugin in')],
  ['Delivery threads', starts('threads')],
  [
    'How cost grows',
    starts('growth'),
    '![Processor time and age of a tick, by clients, topics and ticks](growth.svg)\n\n',
  ],
];

function section(title: string, figures: readonly Figure[], above = ''): string {
  if (figures.length === 0) return '';
  const rows = figures.map(({ name, value, unit, by, min, max }) => {
    return `| ${name.replace(/^ratio: /, '')} | ${by} | ${value} | ${unit} | ${min === max ? '' : `${min} to ${max}`} |`;
  });
  return `### ${title}\n\n${above}| what | by | median | unit | spread |\n|---|---|---:|---|---|\n${rows.join('\n')}\n`;
}
