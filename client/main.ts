/**
 * The command line: finds out what was asked for, loads only the code for that, tells what went wrong. Each file that is
 * imported here is paid for by every command.
 */
import type { Context } from './context.ts';
import { commandsBelow, findCommand } from './grammar/find-command.ts';
import {
  commandHelp,
  GLOBAL_OPTIONS,
  groupHelp,
  helpOption,
  programHelp,
  usageLine,
} from './grammar/help.ts';
import { parseArguments } from './grammar/parse-arguments.ts';
import { print, printError } from './output.ts';
import { exitStatusOf, renderError } from './render/error.ts';
import type { Connection } from './transport/connection.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';

const DEFAULT_HOST = 'unix:///run/mydocker/mydocker.sock';

async function main(words: readonly string[]): Promise<number> {
  const { options, positionals } = parseArguments(GLOBAL_OPTIONS, words, { interspersed: false });
  if (options.version) {
    print(`mydocker version ${VERSION}\n`);
    return 0;
  }
  const [first = 'help'] = positionals;
  if (options.help || first === 'help' || first === 'h')
    return help(options.help ? positionals : positionals.slice(1));
  const below = commandsBelow(first);
  if (below.length > 0 && ['', '-h', '--help', 'help'].includes(positionals[1] ?? '')) {
    print(groupHelp(first, below));
    return 0;
  }
  const { command, name, rest } = findCommand(positionals);
  const args = parseArguments({ ...command.options, ...helpOption(command.options) }, rest, {
    interspersed: !command.takesCommand,
  });
  if (args.options.help) {
    print(commandHelp(command, name));
    return 0;
  }
  const [least, most] = command.count;
  if (args.positionals.length < least || args.positionals.length > most) {
    const problem = args.positionals.length < least ? 'too few' : 'too many';
    throw new UsageError(`${problem} arguments for ${name}`, { hint: usageLine(command, name) });
  }
  const host = options.host ?? (process.env['MYDOCKER_HOST'] || DEFAULT_HOST);
  const [action, { openConnection }] = await Promise.all([
    command.load(),
    import('./transport/connection.ts'),
  ]);
  let connection: Connection | undefined;
  const debug = options.debug ? debugLine : (): void => {};
  const context: Context = {
    host,
    env: process.env,
    debug,
    connect: () => {
      connection ??= openConnection(host, debug);
      return connection;
    },
  };
  return await action(args, context);
}

function help(words: readonly string[]): number {
  const [first] = words;
  if (first === undefined) print(programHelp());
  else if (words.length === 1 && commandsBelow(first).length > 0)
    print(groupHelp(first, commandsBelow(first)));
  else {
    const { command, name } = findCommand(words);
    print(commandHelp(command, name));
  }
  return 0;
}

function debugLine(line: string): void {
  const now = new Date(Date.now() - new Date().getTimezoneOffset() * 60_000);
  printError(`[${now.toISOString().slice(0, 19).replace('T', ' ')}] DEBUG ${line}\n`);
}

function fail(error: unknown): number {
  const traced = process.argv.includes('--debug') && error instanceof Error;
  printError(traced ? `${error.stack}\n${renderError(error)}` : renderError(error));
  return exitStatusOf(error);
}

// Not awaited, so that the bundle can be one plain script. The end comes at once: an open connection or a terminal
// that is read would hold the process.
void main(process.argv.slice(2))
  .catch(fail)
  .then((status) => process.exit(status));
