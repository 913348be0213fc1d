// Runs the Autobahn test suite (fuzzing client, cases 1-7, 10, 12.1, 13.1) against the proxy's own endpoint,
// once without and once with compression, and writes the outcome as a table.
//
//   node scripts/autobahn.mjs [docs/websocket-conformance.md]
//
// Needs the built package (npm run build) and Python 2.7, which the suite is written for: `python2.7` on the
// path or in PYTHON27. The suite goes into a virtual environment of its own, .venv-autobahn.
import { mkdtempSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify from 'fastify';
import { LockFreeRingBuffer } from '../dist/index.js';
import { openalgoShm } from '../dist/proxy/plugin.js';
import { run } from './run.mjs';

const SUITE = 'autobahntestsuite==25.10.1';
const CASES = ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '10.*', '12.1.*', '13.1.*'];
const VENV = '.venv-autobahn';
const NAMES = {
  1: 'framing',
  2: 'pings and pongs',
  3: 'reserved bits',
  4: 'opcodes',
  5: 'fragmentation',
  6: 'UTF-8',
  7: 'closing',
  10: 'fragmentation by the library',
  12: 'compression, message sizes',
  13: 'compression, parameters',
};

const target = process.argv[2] ?? 'docs/websocket-conformance.md';
const wstest = await suite();
const reports = [];
for (const perMessageDeflate of [false, true])
  reports.push({ perMessageDeflate, cases: await judge(perMessageDeflate) });
writeFileSync(target, table(reports));
const failed = reports.flatMap(({ cases }) => cases).filter(({ behavior }) => behavior === 'FAILED');
for (const { id } of failed) console.error(`failed: ${id}`);
console.log(`${target} written`);
process.exitCode = failed.length === 0 ? 0 : 1;

async function suite() {
  const command = join(VENV, 'bin', 'wstest');
  if (existsSync(command)) return command;
  const python = process.env.PYTHON27 ?? 'python2.7';
  for (const words of [
    ['-m', 'pip', 'install', '--quiet', '--user', 'virtualenv'],
    ['-m', 'virtualenv', '--quiet', VENV],
  ]) {
    if ((await run(python, words)) !== 0) throw new Error(`${python} ${words.join(' ')} failed: is Python 2.7 there?`);
  }
  if ((await run(join(VENV, 'bin', 'pip'), ['install', '--quiet', SUITE])) !== 0)
    throw new Error(`${SUITE} could not be installed`);
  return command;
}

/** The suite's verdicts on a proxy that echoes. */
async function judge(perMessageDeflate) {
  const ring = `autobahn-${process.pid}`;
  const server = Fastify();
  await server.register(openalgoShm, { perMessageDeflate, pingInterval: 0, ring: { name: ring } });
  // The endpoint, its limits and its error handling stay the proxy's; only what messages mean is replaced by an echo.
  server.websocketServer.on('connection', (webSocket) => {
    setImmediate(() => {
      webSocket.removeAllListeners('message');
      webSocket.on('message', (data, binary) => webSocket.send(data, { binary }));
    });
  });
  const url = (await server.listen({ host: '127.0.0.1', port: 0 })).replace('http', 'ws');
  const directory = mkdtempSync(join(tmpdir(), 'autobahn-'));
  try {
    const agent = perMessageDeflate ? 'with compression' : 'without compression';
    const spec = { outdir: directory, servers: [{ agent, url }], cases: CASES, 'exclude-cases': [] };
    writeFileSync(join(directory, 'spec.json'), JSON.stringify(spec));
    if ((await run(wstest, ['-m', 'fuzzingclient', '-s', join(directory, 'spec.json')])) !== 0)
      throw new Error('the suite failed to run');
    const verdicts = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'))[agent];
    return Object.entries(verdicts).map(([id, { behavior, behaviorClose }]) => ({ id, behavior, behaviorClose }));
  } finally {
    await server.close();
    for (const name of [ring, `${ring}.interest`, `${ring}.events`]) LockFreeRingBuffer.unlink(name);
    rmSync(directory, { recursive: true, force: true });
  }
}

function table(all) {
  const ws = JSON.parse(readFileSync('node_modules/ws/package.json', 'utf8')).version;
  const groups = [...new Set(all.flatMap(({ cases }) => cases.map(({ id }) => groupOf(id))))].sort((a, b) => a - b);
  const rows = groups.map((group) => {
    const cells = all.map(({ cases }) => summary(cases.filter(({ id }) => groupOf(id) === group)));
    return `| ${group} | ${NAMES[group] ?? ''} | ${cells.join(' | ')} |`;
  });
  const totals = all.map(({ cases }) => summary(cases)).join(' | ');
  return `# WebSocket conformance

The Autobahn test suite (${SUITE}, fuzzing client) against the proxy's own endpoint, whose messages a test
replaces by an echo; ws ${ws}, Node.js ${process.versions.node}. Made by \`node scripts/autobahn.mjs\`; the most telling
cases are ordinary tests in \`__test__/proxy/broken-frames.test.ts\` as well.

"Unimplemented" are the cases of compression where it is off, as it is by default, or where the suite asks for window
sizes that the server does not offer. "Informational" cases have no right answer.

| cases | about | without compression | with compression |
|---|---|---|---|
${rows.join('\n')}
| **all** | | ${totals} |
`;
}

function groupOf(id) {
  return id.split('.')[0];
}

function summary(cases) {
  const counts = new Map();
  for (const { behavior } of cases) counts.set(behavior, (counts.get(behavior) ?? 0) + 1);
  return [...counts].map(([behavior, count]) => `${count} ${behavior.toLowerCase()}`).join(', ') || '-';
}
