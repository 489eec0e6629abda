/** What `--help` prints. */
import { VERSION } from '../version.ts';
import type { AnyCommand } from './command.ts';
import { GROUPS } from './find-command.ts';
import type { Option, Options } from './option.ts';

/** Options that stand before the command. */
export const GLOBAL_OPTIONS = {
  host: {
    names: ['-H', '--host'],
    type: 'text',
    value: 'ADDRESS',
    about:
      'where the server listens: unix://PATH (default MYDOCKER_HOST, or unix:///run/mydocker/mydocker.sock)',
  },
  debug: { names: ['-D', '--debug'], type: 'flag', about: 'tell on standard error what is called' },
  version: { names: ['-v', '--version'], type: 'flag', about: 'print the version' },
  help: { names: ['-h', '--help'], type: 'flag', about: 'print this' },
} as const;

/** Help of each command. */
type HelpOption = { readonly help: Option & { readonly type: 'flag' } };

const HELP_OPTION: HelpOption = { help: { names: ['-h', '--help'], type: 'flag', about: 'print this' } };
const LONG_HELP_OPTION: HelpOption = { help: { ...HELP_OPTION.help, names: ['--help'] } };

/** With its short name, unless a command has another use for that: `run -h NAME`. */
export function helpOption(options: Options): HelpOption {
  const isTaken = Object.values(options).some(({ names }) => names.includes('-h'));
  return isTaken ? LONG_HELP_OPTION : HELP_OPTION;
}

const INDENT = '   ';

/** Help of the program. */
export function programHelp(): string {
  const groups = Object.entries(GROUPS).map(([title, commands]) => section(title, commandLines(commands)));
  return [
    section('NAME', ['mydocker - containers for Linux']),
    section('USAGE', ['mydocker [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARGUMENTS…]', 'mydocker COMMAND --help']),
    section('VERSION', [VERSION]),
    'COMMANDS:\n',
    ...groups,
    section('GLOBAL OPTIONS', optionLines(GLOBAL_OPTIONS)),
  ].join('\n');
}

/** Help of the commands that begin with one word. */
export function groupHelp(word: string, commands: readonly AnyCommand[]): string {
  return [
    section('USAGE', [`mydocker ${word} COMMAND [OPTIONS] [ARGUMENTS…]`]),
    section('COMMANDS', commandLines(commands, `${word} `)),
  ].join('\n');
}

/** Help of one command. */
export function commandHelp(command: AnyCommand, name: string): string {
  const others = command.names.filter((other) => other !== name);
  return [
    section('NAME', [`mydocker ${name} - ${command.about}`]),
    section('USAGE', [usageLine(command, name)]),
    ...(others.length === 0 ? [] : [section('OTHER NAMES', [others.join(', ')])]),
    section('OPTIONS', optionLines({ ...command.options, ...helpOption(command.options) })),
    ...(command.notes === undefined ? [] : [section('NOTES', command.notes)]),
  ].join('\n');
}

/** How a command is typed. */
export function usageLine(command: AnyCommand, name: string): string {
  return `mydocker ${name} ${command.usage}`.trimEnd();
}

function section(title: string, lines: readonly string[]): string {
  return `${title}:\n${lines.map((line) => `${INDENT}${line}\n`).join('')}`;
}

function commandLines(commands: readonly AnyCommand[], prefix = ''): string[] {
  const shown = commands.map(({ names, about }): [string, string] => {
    const all = names.filter((name) => name.startsWith(prefix));
    // Each also answers to `container …` and the like; the help of the command itself says so.
    return [
      (prefix === '' ? all.slice(0, 1) : all.map((name) => name.slice(prefix.length))).join(', '),
      about,
    ];
  });
  return columns(shown);
}

function optionLines(options: Options): string[] {
  return columns(Object.values(options).map((option) => [spelling(option), option.about]));
}

function spelling({ names, value }: Option): string {
  const text = names.join(', ');
  // Below those that have a short form the long ones stand in one column.
  const aligned = text.startsWith('--') ? `    ${text}` : text;
  return value === undefined ? aligned : `${aligned} ${value}`;
}

function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.min(34, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) =>
    left.length > width
      ? `${left}\n${INDENT}${' '.repeat(width)}  ${right}`
      : `${left.padEnd(width)}  ${right}`,
  );
}
