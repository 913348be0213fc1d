import { InvalidArgumentError, type Command, type Option } from 'commander';
import { OpenAlgoShmError } from '../errors.ts';
import { ConfigurationFile } from './configuration-file.ts';

/** Where a setting's value comes from, the strongest first. */
export type Source = 'flag' | 'environment' | 'file' | 'default';

/** A setting as a command would use it. */
export interface Setting {
  value: unknown;
  source: Source;
  /** The variable or file that it comes from. */
  from?: string;
}

/** Variables that OpenAlgo's installations have already, by flag. */
const KNOWN_VARIABLES: Record<string, string> = {
  ring: 'SHM_BUFFER_NAME',
  'buffer-size': 'SHM_BUFFER_SIZE',
  host: 'WEBSOCKET_HOST',
  port: 'WEBSOCKET_PORT',
};

/** A file of another program with settings that are ours too: weaker than ours, stronger than defaults. */
export interface ForeignSettings {
  path: string;
  /** Values by flag. */
  values: ReadonlyMap<string, string>;
}

const foreignSettings = new WeakMap<Command, () => ForeignSettings>();

/** Lets a command take settings from another program's file too, which may depend on its arguments. */
export function addForeignSettings(command: Command, find: () => ForeignSettings): void {
  foreignSettings.set(command, find);
}

/** Flags about the configuration itself. */
const META = new Set(['config', 'print-config', 'version', 'help']);

/** What the order of the layers is, for `--help`. */
export const CONFIGURATION_HELP = `Configuration, the strongest first:
  1. flags
  2. environment: OPENALGO_SHM_<FLAG> for every flag (OPENALGO_SHM_DEPTH_LEVELS=20);
     also ${Object.values(KNOWN_VARIABLES).join(', ')}
  3. a JSON file, { "port": 9000, "serve": { "host": "127.0.0.1" } }: --config FILE, else OPENALGO_SHM_CONFIG,
     else ./openalgo-shm.json, else ~/.config/openalgo-shm/config.json
  4. defaults
  --print-config shows what holds, and where it comes from.`;

/** The name of a flag as a setting: `--no-snapshot` sets `snapshot`. */
export function settingName(option: Option): string {
  return option.negate ? option.name().replace(/^no-/, '') : option.name();
}

/** The flags of a command that can be configured. */
export function configurable(command: Command): Option[] {
  return command.options.filter((option) => !META.has(option.name()));
}

/**
 * Gives every flag of the command that was not given the value of the environment or of the file.
 *
 * @throws OpenAlgoShmError `ERR_INVALID_OPTION` for a value that does not fit; `ERR_FILE`
 */
export function configure(command: Command, environment: NodeJS.ProcessEnv): Map<string, Setting> {
  const given = command.optsWithGlobals<{ config?: string }>().config;
  const file = ConfigurationFile.find(given, environment);
  const path = pathOf(command);
  file?.checkKeys(rootOf(command));
  const foreign = foreignSettings.get(command)?.();
  const settings = new Map<string, Setting>();
  const excluded = excludedByFlags(command);
  for (const option of configurable(command)) {
    const isGiven = isFlag(command, option) || excluded.has(option.attributeName());
    const setting = isGiven ? undefined : layered(option, path);
    if (setting !== undefined) command.setOptionValueWithSource(option.attributeName(), setting.value, 'config');
    settings.set(settingName(option), setting ?? asParsed(command, option));
  }
  return settings;

  function layered(option: Option, commandPath: readonly string[]): Setting | undefined {
    for (const variable of variablesOf(option)) {
      const text = environment[variable];
      if (text !== undefined && text !== '') {
        return { value: parse(option, text, variable), source: 'environment', from: variable };
      }
    }
    const name = settingName(option);
    const own = file?.value(name, commandPath);
    const [text, path] = own === undefined ? [foreign?.values.get(name), foreign?.path] : [String(own), file?.path];
    if (text === undefined || path === undefined) return undefined;
    return { value: parse(option, text, `"${name}" in ${path}`), source: 'file', from: path };
  }
}

function isFlag(command: Command, option: Option): boolean {
  return command.getOptionValueSource(option.attributeName()) === 'cli';
}

/** What the flags that were given cannot stand beside: no weaker layer brings it in again. */
function excludedByFlags(command: Command): Set<string> {
  const options = configurable(command);
  const excluded = new Set<string>();
  for (const option of options) {
    for (const name of (option as Option & { conflictsWith?: string[] }).conflictsWith ?? []) {
      const other = options.find((candidate) => candidate.attributeName() === name);
      if (isFlag(command, option)) excluded.add(name);
      else if (other !== undefined && isFlag(command, other)) excluded.add(option.attributeName());
    }
  }
  return excluded;
}

/** The environment variables of a flag. */
function variablesOf(option: Option): string[] {
  const known = KNOWN_VARIABLES[settingName(option)];
  const own = `OPENALGO_SHM_${settingName(option).toUpperCase().replaceAll('-', '_')}`;
  return known === undefined ? [own] : [own, known];
}

function asParsed(command: Command, option: Option): Setting {
  const value: unknown = command.getOptionValue(option.attributeName());
  return { value, source: isFlag(command, option) ? 'flag' : 'default' };
}

function parse(option: Option, text: string, from: string): unknown {
  if (option.isBoolean() || option.negate) return truth(text, from);
  if (option.optional && /^(true|false)$/i.test(text)) return truth(text, from);
  try {
    return option.parseArg === undefined ? text : option.parseArg(text, undefined);
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new OpenAlgoShmError('ERR_INVALID_OPTION', `${from} is '${text}'. ${error.message}`);
  }
}

function truth(text: string, from: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  throw new OpenAlgoShmError('ERR_INVALID_OPTION', `${from} is '${text}'. It must be true or false.`);
}

function pathOf(command: Command): string[] {
  return command.parent === null ? [] : [...pathOf(command.parent), command.name()];
}

function rootOf(command: Command): Command {
  return command.parent === null ? command : rootOf(command.parent);
}
