import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { OpenAlgoShmError } from '../errors.ts';

type Section = Readonly<Record<string, unknown>>;

/**
 * A JSON file of settings: flags by their names (`"depth-levels"` or `"depthLevels"`), for all commands at the top,
 * for one command in a section of its name.
 */
export class ConfigurationFile {
  readonly path: string;
  readonly #root: Section;

  private constructor(path: string, root: Section) {
    this.path = path;
    this.#root = root;
  }

  /**
   * The file that was named, else the first of the usual places that exists.
   *
   * @throws OpenAlgoShmError `ERR_FILE` where a named file is missing, or any is no JSON object
   */
  static find(named: string | undefined, environment: NodeJS.ProcessEnv): ConfigurationFile | undefined {
    const path =
      named ?? environment['OPENALGO_SHM_CONFIG'] ?? usualPlaces(environment).find((place) => existsSync(place));
    return path === undefined ? undefined : new ConfigurationFile(path, readObject(path));
  }

  /** The setting of a flag for a command: the innermost section that has it. */
  value(flag: string, commandPath: readonly string[]): unknown {
    let section = this.#root;
    let found = lookUp(section, flag);
    for (const name of commandPath) {
      const inner = section[name];
      if (!isSection(inner)) break;
      section = inner;
      found = lookUp(section, flag) ?? found;
    }
    return found;
  }

  /**
   * Refuses settings that no command has.
   *
   * @throws OpenAlgoShmError `ERR_INVALID_OPTION` naming the key
   */
  checkKeys(program: Command): void {
    this.#checkSection(this.#root, program, '');
  }

  #checkSection(section: Section, command: Command, where: string): void {
    for (const [key, value] of Object.entries(section)) {
      const inner = command.commands.find((candidate) => candidate.name() === key);
      if (inner !== undefined && isSection(value)) this.#checkSection(value, inner, `${where}${key}.`);
      else if (!flagsWithin(command).has(kebab(key))) {
        throw new OpenAlgoShmError(
          'ERR_INVALID_OPTION',
          `"${where}${key}" in ${this.path} is no setting; see ${['openalgo-shm', ...where.split('.')].join(' ').trim()} --help`,
        );
      } else if (value === null || isSection(value)) {
        throw new OpenAlgoShmError(
          'ERR_INVALID_OPTION',
          `"${where}${key}" in ${this.path} is ${value === null ? 'null' : 'an object'}; it must be text, a number, true or false`,
        );
      }
    }
  }
}

function usualPlaces(environment: NodeJS.ProcessEnv): string[] {
  const home = environment['XDG_CONFIG_HOME'] ?? join(homedir(), '.config');
  return ['openalgo-shm.json', join(home, 'openalgo-shm', 'config.json')];
}

function readObject(path: string): Section {
  try {
    const root: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (!isSection(root)) throw new Error('expected a JSON object of settings');
    return root;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new OpenAlgoShmError('ERR_FILE', `configuration ${path} cannot be read: ${reason}`, { cause: error });
  }
}

function lookUp(section: Section, flag: string): unknown {
  return section[flag] ?? section[flag.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())];
}

function flagsWithin(command: Command): Set<string> {
  const flags = new Set(command.options.map((option) => option.name().replace(/^no-/, '')));
  for (const inner of command.commands) for (const flag of flagsWithin(inner)) flags.add(flag);
  return flags;
}

function kebab(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
