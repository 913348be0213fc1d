// Writes docs/api.md from the declarations of the built package; with --check, only says whether it is as it should be.
//
// The declarations that tsc writes are regular: a comment, then a declaration, members a line each and indented by four.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'docs/api.md');
const ENTRIES = [
  ['openalgo-shm', 'dist/index.d.ts'],
  ['openalgo-shm/fastify', 'dist/proxy/plugin.d.ts'],
];

const EXPORTS = /^export (?:type )?\{ ([^}]+) \} from '([^']+)';$/gm;
const OWN = /^export (?:declare )?(?:abstract )?(class|interface|type|const|function) (\w+)/gm;

/** Every name that an entry exports, in order, and the file that declares it. */
export function exportsOf(entry) {
  const file = join(root, entry);
  const text = readFileSync(file, 'utf8').replaceAll(
    /\{\n\s*([^}]+?),?\n\}/g,
    (_, names) => `{ ${names.replaceAll(/\s+/g, ' ')} }`,
  );
  const found = [];
  for (const [, names, from] of text.matchAll(EXPORTS)) {
    const source = join(dirname(file), from.replace(/\.ts$/, '.d.ts'));
    for (const name of names.split(',')) found.push({ name: name.replace('type ', '').trim(), file: source });
  }
  for (const [, , name] of text.matchAll(OWN)) found.push({ name, file });
  return found;
}

/** What a declaration file says of a name: kind, declaration, comment. Follows a name that it passes on. */
function declarationOf({ name, file }) {
  const lines = readFileSync(file, 'utf8').split('\n');
  const start = lines.findIndex((line) =>
    new RegExp(`^export (declare )?(abstract )?(class|interface|type|const|function) ${name}\\b`).test(line),
  );
  if (start < 0) {
    const passedOn = exportsOf(file.slice(root.length)).find((other) => other.name === name && other.file !== file);
    if (passedOn === undefined) throw new Error(`${name} is not declared in ${file}`);
    return declarationOf(passedOn);
  }
  // What is longer than a line ends with a bracket at its beginning.
  let end = start;
  if (!lines[start].endsWith(';')) while (!/^[})\]](.*[;}])?$/.test(lines[end])) end++;
  const kind = /(class|interface|type|const|function) /.exec(lines[start])[1];
  return { kind, lines: lines.slice(start, end + 1), comment: commentBefore(lines, start) };
}

/** The comment above a line, without its stars. */
function commentBefore(lines, at) {
  if (!lines[at - 1]?.trimEnd().endsWith('*/')) return '';
  let first = at - 1;
  while (!lines[first].trimStart().startsWith('/**')) first--;
  const text = lines.slice(first, at).map((line) => line.replace(/^\s*\/?\*+\/? ?/, '').replace(/\s*\*\/$/, ''));
  return text.join('\n').trim();
}

/** Members of a class or interface that others may use, with their comments. */
function membersOf(lines) {
  const members = [];
  lines.forEach((line, at) => {
    if (!/^ {4}\S/.test(line) || /^ {4}(\/?\*| \*|#|private |protected |\}|set )/.test(line)) return;
    let signature = line.trim();
    for (let next = at + 1; !isWhole(signature); next++) signature += ` ${lines[next].trim()}`;
    members.push({ signature: signature.replace(/;$/, ''), comment: commentBefore(lines, at) });
  });
  return members;
}

/** True for a declaration to its semicolon, with every bracket closed. */
function isWhole(signature) {
  const brackets = signature.replaceAll('=>', '');
  const opened = brackets.match(/[{([]/g)?.length ?? 0;
  return signature.endsWith(';') && opened === (brackets.match(/[})\]]/g)?.length ?? 0);
}

/** Prose of a comment, on one line: links become code, tags become words, examples are left to the guides. */
function prose(comment) {
  return comment
    .replace(/@example[^]*$/, '')
    .replaceAll(/\{@link ([^}|]+)(?:\|[^}]*)?\}/g, '`$1`')
    .replaceAll(/@param (\w+)\s*-?\s*/g, '**$1**: ')
    .replaceAll(/@returns\s*/g, 'Gives ')
    .replaceAll(/@throws (?:\{?OpenAlgoShmError\}?\s*)?/g, 'Throws ')
    .split(/\n\s*\n/)
    .map((part) =>
      part
        .replaceAll(/\s*\n\s*(?=\*\*|Gives |Throws )/g, '. ')
        .replaceAll(/\s+/g, ' ')
        .trim(),
    )
    .filter(Boolean)
    .map((part) => part.replaceAll('..', '.'))
    .join(' ');
}

function section(exported) {
  const { kind, lines, comment } = declarationOf(exported);
  const parts = [`### \`${exported.name}\``, ''];
  const said = prose(comment);
  if (said !== '') parts.push(said, '');
  if (kind !== 'class' && kind !== 'interface') {
    const text = lines.join('\n').replace(/^export (declare )?/, '');
    parts.push('```ts', shortened(text.replaceAll(/^\s*\/?\*.*\n/gm, '')), '```', '');
    return parts.join('\n');
  }
  const [, parents] = /(?:extends|implements) (.+?) \{/.exec(lines[0]) ?? [];
  // What feeds have in common is no export; it is what `Feed` says.
  if (parents !== undefined)
    parts.push(`${kind === 'class' ? 'Is' : 'Has all of'} \`${parents.replace('PublishingFeed', 'Feed')}\`.`, '');
  const members = membersOf(lines);
  if (members.length > 0) {
    parts.push('| member | |', '|---|---|');
    for (const { signature, comment } of members) parts.push(`| \`${cell(signature)}\` | ${cell(prose(comment))} |`);
    parts.push('');
  }
  return parts.join('\n');
}

/** Long lists get lines; types that are derived from schemas are cut: /openapi.json describes them. */
function shortened(text) {
  if (text.length > 160 && !text.includes('\n')) return text.replaceAll(/, (?=readonly \[|'ERR_)/g, ',\n  ');
  return text.split('\n').length > 30 ? `${text.split('\n').slice(0, 2).join('\n')}\n…` : text;
}

function cell(text) {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

export function reference() {
  const parts = [
    '# API',
    '',
    'Every export of the package, from its declarations: `npm run api` writes this page, and a test keeps it true. Examples are in the [guides](README.md).',
    '',
  ];
  const described = new Set();
  for (const [entry, file] of ENTRIES) {
    parts.push(`## \`import … from '${entry}'\``, '');
    const exported = exportsOf(file);
    const again = exported.filter(({ name }) => described.has(name)).map(({ name }) => `\`${name}\``);
    for (const one of exported) {
      if (described.has(one.name)) continue;
      described.add(one.name);
      parts.push(section(one));
    }
    if (again.length > 0) parts.push(`And, as above: ${again.join(', ')}.`, '');
  }
  return `${parts.join('\n').trimEnd()}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes('--check')) writeFileSync(page, reference());
  else if (readFileSync(page, 'utf8') !== reference()) {
    console.error('docs/api.md is not what the declarations say: run `npm run api` and commit it');
    process.exitCode = 1;
  }
}
