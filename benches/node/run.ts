// `npm run bench [-- --quick] [--only ring|node|fanout|endurance] [--json FILE]`
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { measureAeron } from './aeron.ts';
import { measureConsume } from './consume.ts';
import { measureEndurance, measureFanOut } from './fanout.ts';
import { type Figure, Figures, table } from './figures.ts';
import { ROOT } from './processes.ts';
import { measurePublish } from './publish.ts';
import { writeReadme } from './readme.ts';
import { measureRing } from './ring.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const { quick, only, json } = values;
const wanted = (part: string): boolean => only === undefined || only === part;
const machine = `${cpus().length} cores, ${cpus()[0]?.model.trim() ?? process.arch}, Linux ${release()}, Node ${process.versions.node}`;

build('ring');
build('fanout');
console.log(`machine: ${machine}`);

const figures: Figure[] = [];
const measured = async (part: string, measure: (figures: Figures) => Promise<void> | void): Promise<void> => {
  if (!wanted(part)) return;
  const own = new Figures();
  await measure(own);
  figures.push(...own.list());
  console.log(table(own.list()));
};

if (wanted('ring')) {
  const ring = measureRing(quick);
  figures.push(...ring);
  console.log(table(ring));
}
await measured('ring', (own) => measureAeron(own, quick ? 1 : 3, quick));
await measured('node', async (own) => {
  for (let run = 0; run < (quick ? 1 : 3); run++) {
    await measurePublish(own, quick);
    await measureConsume(own, quick);
  }
});
await measured('fanout', async (own) => {
  for (let run = 0; run < (quick ? 1 : 3); run++) await measureFanOut(own, quick);
});
// Ten minutes: only when it is asked for.
if (only === 'endurance') await measured('endurance', measureEndurance);

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
