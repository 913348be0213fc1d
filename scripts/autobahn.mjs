// Runs the Autobahn test suite (fuzzing client, cases 1-7, 10, 12.1, 13.1) against the proxy's own endpoint in each of
// the ways below, and writes the outcome as a table.
//
//   npm run conformance                                     writes docs/websocket-conformance.md
//   npm run conformance -- other.md                         writes another file
//   npm run conformance -- --cases '1.*,7.1.1' [other.md]   runs some cases; without a file it only prints the table
//
// Exits with 1 if a case failed or a connection was closed wrongly. Needs Python 2.7: see autobahn-suite.mjs.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Fastify from 'fastify';
import { LockFreeRingBuffer } from '../dist/index.js';
import { openalgoShm } from '../dist/proxy/plugin.js';
import { SUITE, installSuite } from './autobahn-suite.mjs';
import { run } from './run.mjs';

/** The plugin's option that sends every frame through `ws`. */
const THROUGH_WS = { delivery: 'ws' };
/** The columns of the table. A way whose `options` the plugin does not know is skipped. */
const WAYS = [
  { name: 'plain TCP', options: {} },
  { name: 'plain TCP through `ws`', options: THROUGH_WS },
  { name: 'compression', options: { perMessageDeflate: true } },
  { name: 'TLS', options: {}, tls: true },
];

const CASES = ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '10.*', '12.1.*', '13.1.*'];
const NAMES = {
  1: 'framing',
  2: 'pings and pongs',
  3: 'reserved bits',
  4: 'opcodes',
  5: 'fragmentation',
  6: 'UTF-8',
  7: 'closing',
  9: 'limits and performance',
  10: 'fragmentation by the library',
  12: 'compression, message sizes',
  13: 'compression, parameters',
};
/** The suite's verdicts on the end of a connection that the protocol forbids. */
const CLOSED_WRONGLY = new Set(['FAILED', 'UNCLEAN', 'WRONG CODE']);
const AGENT = 'openalgo-shm';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DOCUMENT = join(ROOT, 'docs/websocket-conformance.md');

const { values, positionals } = parseArgs({ options: { cases: { type: 'string' } }, allowPositionals: true });
const target = positionals[0] ?? (values.cases === undefined ? DOCUMENT : undefined);
const { wstest, python } = await installSuite();
const ids = matchingCases(values.cases?.split(',').map((pattern) => pattern.trim()) ?? CASES);

const reports = [];
const skipped = [];
for (const way of WAYS) {
  const begun = performance.now();
  const cases = await verdictsOn(way);
  if (cases === undefined) {
    console.log(`${way.name}: skipped, as this version does not know ${JSON.stringify(way.options)}`);
    skipped.push(way);
    continue;
  }
  console.log(`${way.name}: ${cases.length} cases in ${Math.round((performance.now() - begun) / 1000)} s`);
  reports.push({ way, cases });
}

console.log(`\n${table()}\n`);
if (target !== undefined) {
  writeFileSync(target, page());
  console.log(`${target} written`);
}
const problems = reports.flatMap(({ way, cases }) => cases.flatMap((verdict) => problemOf(way, verdict) ?? []));
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

/** The suite's cases that match the patterns. The suite itself would wait for ever if there were none. */
function matchingCases(patterns) {
  const program = `
import json, sys
from autobahntestsuite.case import Cases, CaseBasename, CaseCategories, CaseSetname, CaseSubCategories
from autobahntestsuite.caseset import CaseSet
known = CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)
print(json.dumps([[c for c in known.resolveCasePatternList([p]) if c in known.CasesById] for p in json.loads(sys.argv[1])]))
`;
  const matches = JSON.parse(execFileSync(python, ['-c', program, JSON.stringify(patterns)], { encoding: 'utf8' }));
  const unmatched = patterns.filter((_pattern, index) => matches[index].length === 0);
  if (unmatched.length > 0) throw new Error(`no case matches ${unmatched.join(', ')}: give patterns like 1.* or 7.1.1`);
  return [...new Set(matches.flat())];
}

/** The suite's verdicts on a proxy that echoes; undefined if the plugin does not know the way's options. */
async function verdictsOn({ options, tls }) {
  const ring = `autobahn-${process.pid}`;
  const server = Fastify(tls ? { https: certificate() } : {});
  const directory = mkdtempSync(join(tmpdir(), 'autobahn-'));
  try {
    const known = await registers(server, { ...options, pingInterval: 0, ring: { name: ring } }, options);
    if (!known) return undefined;
    echo(server);
    const url = (await server.listen({ host: '127.0.0.1', port: 0 })).replace('http', 'ws');
    const spec = { outdir: directory, servers: [{ agent: AGENT, url }], cases: ids, 'exclude-cases': [] };
    writeFileSync(join(directory, 'spec.json'), JSON.stringify(spec));
    if ((await run(wstest, ['-m', 'fuzzingclient', '-s', join(directory, 'spec.json')])) !== 0)
      throw new Error('the suite failed to run');
    const verdicts = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8'))[AGENT] ?? {};
    // The suite ends without an error where it cannot connect.
    const missing = ids.filter((id) => !(id in verdicts));
    if (missing.length > 0) throw new Error(`the suite gave no verdict on ${missing.join(', ')}`);
    return ids.map((id) => ({ id, ...verdicts[id] }));
  } finally {
    await server.close();
    for (const name of [ring, `${ring}.interest`, `${ring}.events`]) LockFreeRingBuffer.unlink(name);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Registers the plugin; false if it refuses the options of a way that has some. */
async function registers(server, settings, options) {
  try {
    await server.register(openalgoShm, settings);
    return true;
  } catch (error) {
    if (error.code === 'ERR_INVALID_OPTION' && Object.keys(options).length > 0) return false;
    throw error;
  }
}

/**
 * Answers every message with itself. The endpoint, its limits and its error handling stay the proxy's; only what messages
 * mean is replaced.
 */
function echo(server) {
  const { openalgoShm } = server;
  const admit = openalgoShm.admit.bind(openalgoShm);
  openalgoShm.admit = (webSocket, request) => {
    admit(webSocket, request);
    webSocket.removeAllListeners('message');
    webSocket.on('message', (data, binary) => webSocket.send(data, { binary }));
  };
}

/** A self-signed certificate, which the suite's client accepts. The suite's own libraries make it. */
function certificate() {
  const program = `
from OpenSSL import crypto
key = crypto.PKey()
key.generate_key(crypto.TYPE_RSA, 2048)
cert = crypto.X509()
cert.set_serial_number(1)
cert.get_subject().CN = 'localhost'
cert.set_issuer(cert.get_subject())
cert.gmtime_adj_notBefore(-3600)
cert.gmtime_adj_notAfter(24 * 3600)
cert.set_pubkey(key)
cert.sign(key, 'sha256')
print(crypto.dump_privatekey(crypto.FILETYPE_PEM, key) + crypto.dump_certificate(crypto.FILETYPE_PEM, cert))
`;
  const pem = execFileSync(python, ['-W', 'ignore', '-c', program], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { key: pem, cert: pem };
}

function problemOf({ name }, { id, behavior, behaviorClose }) {
  if (behavior === 'FAILED') return `${name}: case ${id} failed`;
  return closedWrongly({ behaviorClose })
    ? `${name}: case ${id} closed wrongly (${behaviorClose.toLowerCase()})`
    : undefined;
}

function closedWrongly({ behaviorClose }) {
  return CLOSED_WRONGLY.has(behaviorClose);
}

function page() {
  const ws = JSON.parse(readFileSync(join(ROOT, 'node_modules/ws/package.json'), 'utf8')).version;
  const left = skipped.map(({ name, options }) => `${name} (this version has no option \`${Object.keys(options)}\`)`);
  const notRun = left.length > 0 ? `\nNot run: ${left.join('; ')}.\n` : '';
  return `# WebSocket conformance

The table shows the verdicts of the Autobahn test suite (${SUITE}, fuzzing client) on the proxy's own
endpoint, with ws ${ws} and Node.js ${process.versions.node}. The test replaces the proxy's answers by an echo, which goes
through the same socket. \`npm run conformance\` writes this page; the most telling cases are also ordinary tests, in
\`__test__/proxy/broken-frames.test.ts\`.

Cases 9 send messages of up to 16 MiB, which no client of the proxy may: they are not in the table. With limits raised to
20 MB, 50 of the 54 pass in each way; the other four send 4 MiB in more fragments than the 16,384 that \`ws\` takes. Of cases 12
and 13 the first group is run.

"Unimplemented" are the cases of compression where it is off, as it is by default. "Informational" cases have no right
answer. "Non-strict" are cases whose invalid UTF-8 the proxy refuses only at the end of the message, not at its first wrong
byte. A connection is closed wrongly if the wrong side ends it, if the closing handshake is missing, or if the close code
is not the one that the protocol asks for.

${table()}
${notRun}`;
}

function table() {
  const groups = [...new Set(ids.map(groupOf))].sort((a, b) => a - b);
  const row = (...cells) => `| ${cells.join(' | ')} |`;
  return [
    row('cases', 'about', ...reports.map(({ way }) => way.name)),
    `|${'---|'.repeat(reports.length + 2)}`,
    ...groups.map((group) => {
      const inGroup = ({ id }) => groupOf(id) === group;
      return row(group, NAMES[group] ?? '', ...reports.map(({ cases }) => summary(cases.filter(inGroup))));
    }),
    row('**all**', '', ...reports.map(({ cases }) => summary(cases))),
    row('', 'closed wrongly', ...reports.map(({ cases }) => cases.filter(closedWrongly).length)),
  ].join('\n');
}

function groupOf(id) {
  return id.split('.')[0];
}

function summary(cases) {
  const counts = new Map();
  for (const { behavior } of cases) counts.set(behavior, (counts.get(behavior) ?? 0) + 1);
  return [...counts].map(([behavior, count]) => `${count} ${behavior.toLowerCase()}`).join(', ') || '-';
}
