import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as main from '../../src/index.ts';
import * as fastify from '../../src/proxy/plugin.ts';
import { run } from '../cli/running-command.ts';

const page = readFileSync('docs/api.md', 'utf8');
const headings = Array.from(page.matchAll(/^### `(\w+)`$/gm), ([, name]) => name!);

test('the reference is what the declarations say', async () => {
  expect((await run(['--version'])).code, 'the package is built').toBe(0);
  const { status, stderr } = spawnSync(process.execPath, ['scripts/api-reference.mjs', '--check'], {
    encoding: 'utf8',
  });
  expect([stderr, status]).toEqual(['', 0]);
});

test('it has every export, each once', () => {
  expect(headings).toHaveLength(new Set(headings).size);
  const exported = [...Object.keys(main), ...Object.keys(fastify)].filter((name) => name !== 'default');
  expect(exported.length).toBeGreaterThan(20);
  expect(exported.filter((name) => !headings.includes(name))).toEqual([]);
});

test('it has every type that the entries name', () => {
  for (const file of ['src/index.ts', 'src/proxy/plugin.ts']) {
    const names = Array.from(readFileSync(file, 'utf8').matchAll(/^export (?:type )?\{([^}]+)\}/gm), ([, list]) =>
      list!.split(',').map((name) => name.replace('type ', '').trim()),
    ).flat();
    expect(names.filter((name) => name !== '' && !headings.includes(name))).toEqual([]);
  }
});

test('it has the methods of the classes', () => {
  for (const [name, value] of Object.entries(main)) {
    if (typeof value !== 'function' || !/^class\b/.test(Function.prototype.toString.call(value))) continue;
    const section = page.split(`### \`${name}\`\n`)[1]!.split('\n### ')[0]!;
    for (const member of Object.getOwnPropertyNames(value.prototype as object)) {
      // Feeds run themselves: that method is for those who write one.
      if (!['constructor', 'run'].includes(member))
        expect(section, `${name}.${member}`).toMatch(new RegExp(`\\b${member}\\b`));
    }
  }
});
