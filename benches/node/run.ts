// `npm run bench [-- --quick] [--only PART[,PART…]] [--json FILE]`
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measureAeron } from './aeron.ts';
import { measureBlocking } from './blocking.ts';
import { measureClients } from './clients.ts';
import { measureConsume } from './consume.ts';
import { contenders } from './contenders.ts';
import { measureDeliveries } from './deliveries.ts';
import { type Figure, Figures, table } from './figures.ts';
import { drawGrowth } from './growth-picture.ts';
import { measureGrowth } from './growth.ts';
import { measureHardClients } from './hard-clients.ts';
import { measureLatency } from './latency.ts';
import { ROOT } from './processes.ts';
import { measurePublish } from './publish.ts';
import { writeReadme } from './readme.ts';
import { measureRing } from './ring.ts';
import { measureEndurance, measureSoak } from './soak.ts';
import { measureThreads } from './threads.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const { quick, json } = values;
const machine = `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? process.arch}, Linux ${release()}, Node ${process.versions.node}`;

/** Adds one run's figures. */
type Measure = (figures: Figures, quick: boolean) => Promise<void> | void;

/** Parts that are measured in turn, as often as the group has runs. `--only` takes the name of a group or of a part. */
interface Group {
  name: string;
  parts: Readonly<Record<string, Measure>>;
  /** Measured only when it is asked for, and once. */
  isLong?: boolean;
}

const GROUPS: readonly Group[] = [
  { name: 'ring', parts: { aeron: measureAeron } },
  { name: 'node', parts: { publish: measurePublish, consume: measureConsume } },
  {
    name: 'fanout',
    parts: {
      deliveries: (own) => measureDeliveries(own, contenders(), quick),
      latency: (own) => measureLatency(own, contenders(), quick),
      clients: measureClients,
      'hard-clients': measureHardClients,
      blocking: measureBlocking,
      threads: measureThreads,
    },
  },
  { name: 'growth', parts: { growth: measureGrowth } },
  { name: 'soak', parts: { soak: measureSoak }, isLong: true },
  { name: 'endurance', parts: { endurance: measureEndurance }, isLong: true },
];

const only = values.only?.split(',');
const known = GROUPS.flatMap(({ name, parts }) => [name, ...Object.keys(parts)]);
const unknown = only?.find((name) => !known.includes(name));
if (unknown !== undefined) throw new Error(`--only ${unknown}: expected some of ${[...new Set(known)].join(', ')}`);
const wanted = (group: Group, part: string): boolean =>
  only === undefined ? group.isLong !== true : only.includes(group.name) || only.includes(part);

console.log(`machine: ${machine}`);
const figures: Figure[] = [];
if (only === undefined || only.includes('ring')) {
  build('ring');
  const ring = measureRing(quick);
  figures.push(...ring);
  console.log(table(ring));
}
build('fanout');
for (const group of GROUPS) {
  const parts = Object.entries(group.parts).filter(([part]) => wanted(group, part));
  const own = new Figures();
  for (let run = 0; run < (quick || group.isLong === true ? 1 : 3); run++) {
    for (const [, measure] of parts) await measure(own, quick);
  }
  if (parts.length === 0) continue;
  figures.push(...own.list());
  console.log(table(own.list()));
  // A quick run is no picture of the machine.
  if (group.name === 'growth') drawGrowth(own, `${ROOT}${quick ? '.bench' : 'benches'}/growth.svg`);
}

if (json !== undefined) writeFileSync(resolve(json), `${JSON.stringify(figures, undefined, 1)}\n`);
if (only === undefined) writeReadme(figures, machine, quick);

function build(crate: string): void {
  const built = spawnSync(
    'cargo',
    ['build', '--release', '--locked', '--manifest-path', `benches/${crate}/Cargo.toml`],
    {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, CARGO_TARGET_DIR: `${ROOT}target/benches` },
    },
  );
  if (built.status !== 0) throw new Error(`benches/${crate} does not build`);
}
