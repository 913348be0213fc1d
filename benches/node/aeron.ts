import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Figures } from './figures.ts';
import { ROOT } from './processes.ts';

const FOLDER = `${ROOT}benches/aeron/`;
const JARS = `${ROOT}.bench/aeron/`;

/** Aeron's IPC between two threads of Java, if Java and Maven are there. */
export function measureAeron(figures: Figures, quick: boolean): void {
  if (!existsSync(JARS)) {
    const fetched = spawnSync(
      'mvn',
      ['-q', '-B', '-f', FOLDER, 'dependency:copy-dependencies', `-DoutputDirectory=${JARS}`],
      {
        stdio: 'ignore',
      },
    );
    if (fetched.status !== 0) return;
  }
  const ran = spawnSync(
    'java',
    [
      '--add-opens',
      'java.base/sun.nio.ch=ALL-UNNAMED',
      '-cp',
      `${JARS}*`,
      `${FOLDER}AeronIpc.java`,
      quick ? '200000' : '1000000',
    ],
    { encoding: 'utf8', timeout: 120_000 },
  );
  if (ran.status !== 0) return;
  const [p50, p99, p999, rate] = ran.stdout.trim().split('\n').at(-1)!.split(' ').map(Number) as [
    number,
    number,
    number,
    number,
  ];
  figures.add('peer', 'one-way p50, Aeron IPC (threads)', 'ns', p50);
  figures.add('peer', 'one-way p99, Aeron IPC (threads)', 'ns', p99);
  figures.add('peer', 'one-way p99.9, Aeron IPC (threads)', 'ns', p999);
  figures.add('peer', '1 to 1, Aeron IPC (threads)', 'M/s', rate);
}
