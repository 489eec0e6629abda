/** From the words that were typed to a command. */
import { UsageError } from '../usage-error.ts';
import { closest } from './closest.ts';
import type { AnyCommand } from './command.ts';
import { CONTAINER_COMMANDS } from './container-commands.ts';
import { IMAGE_COMMANDS, NETWORK_COMMANDS, SYSTEM_COMMANDS } from './other-commands.ts';
import { VOLUME_COMMANDS } from './volume-commands.ts';

/** Every command below a title, as help shows them. */
export const GROUPS: Readonly<Record<string, readonly AnyCommand[]>> = {
  CONTAINERS: CONTAINER_COMMANDS,
  IMAGES: IMAGE_COMMANDS,
  NETWORKS: NETWORK_COMMANDS,
  VOLUMES: VOLUME_COMMANDS,
  SERVER: SYSTEM_COMMANDS,
};

/** A command, by which of its names it was typed, and what follows. */
export interface Found {
  readonly command: AnyCommand;
  readonly name: string;
  readonly rest: readonly string[];
}

/**
 * The command that the first word, or the first two, name.
 * @throws UsageError naming the command that may have been meant.
 */
export function findCommand(words: readonly string[]): Found {
  const [first = '', second = ''] = words;
  const commands = Object.values(GROUPS).flat();
  for (const [name, rest] of [
    [`${first} ${second}`, words.slice(2)],
    [first, words.slice(1)],
  ] as const) {
    const command = commands.find(({ names }) => names.includes(name));
    if (command !== undefined) return { command, name, rest };
  }
  const names = commands.flatMap((command) => command.names);
  const within = commandsBelow(first);
  const typed = within.length > 0 ? `${first} ${second}`.trim() : first;
  const meant = closest(typed, names);
  throw new UsageError(`unknown command ${JSON.stringify(typed)}`, {
    hint: meant === undefined ? 'mydocker --help lists them' : `did you mean mydocker ${meant}?`,
  });
}

/** Commands of two words that begin with one: those of `image`. */
export function commandsBelow(word: string): readonly AnyCommand[] {
  return Object.values(GROUPS)
    .flat()
    .filter(({ names }) => names.some((name) => name.startsWith(`${word} `)));
}
