import type { Command, Option } from 'commander';

export type Shell = 'bash' | 'zsh' | 'fish';

/** What can follow a command: `feed replay` has the words `feed replay`. */
interface Place {
  words: string;
  commands: { name: string; description: string }[];
  options: Option[];
}

/** The completion script of a shell for this program as it is. */
export function completionScript(shell: Shell, program: Command): string {
  const places = placesWithin(program, [], []);
  return { bash, zsh, fish }[shell](places);
}

function placesWithin(command: Command, path: readonly string[], inherited: readonly Option[]): Place[] {
  const options = [...command.options, ...inherited];
  const visible = command.createHelp().visibleCommands(command);
  const commands = visible.map((inner) => ({ name: inner.name(), description: inner.description() }));
  const inner = visible.flatMap((child) => placesWithin(child, [...path, child.name()], options));
  return [{ words: path.join(' '), commands, options }, ...inner];
}

function bash(places: readonly Place[]): string {
  const cases = places.map(({ words, commands, options }) => {
    const candidates = [...commands.map(({ name }) => name), ...options.map(flagOf), '--help'];
    return `    '${words}') candidates='${candidates.join(' ')}' ;;`;
  });
  const values = uniqueOptions(places)
    .filter(({ argChoices }) => argChoices !== undefined)
    .map(
      (option) =>
        `    ${flagOf(option)}) COMPREPLY=($(compgen -W '${option.argChoices!.join(' ')}' -- "$current")); return ;;`,
    );
  return `# bash completion of openalgo-shm
_openalgo_shm() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" place='' word candidates=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${place:+$place }$word" in
      ${places
        .map(({ words }) => words)
        .filter((words) => words !== '')
        .map((words) => `'${words}'`)
        .join('|')}) place="\${place:+$place }$word" ;;
    esac
  done
  case "$previous" in
${values.join('\n')}
  esac
  case "$place" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
  [[ \${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _openalgo_shm openalgo-shm
`;
}

function zsh(places: readonly Place[]): string {
  const cases = places.map(({ words, commands, options }) => {
    const candidates = [
      ...commands.map(({ name, description }) => `${name}:${description}`),
      ...options.map((option) => `${flagOf(option)}:${option.description}`),
    ].map((text) => quoted(text.replaceAll(/^([^:]*):/g, (_, name: string) => `${name}:`)));
    return `    '${words}') candidates=(${candidates.join(' ')}) ;;`;
  });
  return `#compdef openalgo-shm
_openalgo_shm() {
  local place='' word
  local -a candidates
  for word in \${words[2,CURRENT-1]}; do
    case "\${place:+$place }$word" in
      ${places
        .map(({ words }) => words)
        .filter((words) => words !== '')
        .map((words) => `'${words}'`)
        .join('|')}) place="\${place:+$place }$word" ;;
    esac
  done
  case "$place" in
${cases.join('\n')}
  esac
  _describe openalgo-shm candidates || _files
}
compdef _openalgo_shm openalgo-shm
`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ words, commands, options }) => {
    const within = words === '' ? '__fish_use_subcommand' : fishCondition(words, places);
    return [
      ...commands.map(
        ({ name, description }) =>
          `complete -c openalgo-shm -n ${quoted(within)} -f -a ${name} -d ${quoted(description)}`,
      ),
      ...options.map((option) => {
        const values = option.argChoices === undefined ? '' : ` -x -a ${quoted(option.argChoices.join(' '))}`;
        return `complete -c openalgo-shm -n ${quoted(within)} -l ${option.name()} -d ${quoted(option.description)}${values}`;
      }),
    ];
  });
  return `# fish completion of openalgo-shm\n${lines.join('\n')}\n`;
}

/** All words of a place are there, and the first words of no other place that ends like it: `feed openalgo`, `openalgo`. */
function fishCondition(words: string, places: readonly Place[]): string {
  const others = places
    .filter((place) => place.words.endsWith(` ${words}`))
    .map((place) => `; and not __fish_seen_subcommand_from ${place.words.split(' ')[0]}`);
  const all = words.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`);
  return all.join('; and ') + others.join('');
}

function uniqueOptions(places: readonly Place[]): Option[] {
  return [
    ...new Map(places.flatMap(({ options }) => options.map((option) => [option.name(), option] as const))).values(),
  ];
}

function flagOf(option: Option): string {
  return option.long ?? option.flags;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
