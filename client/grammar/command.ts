/** What a command is: its names, its options, and where its code is, loaded only once it is asked to run. */
import type { Context } from '../context.ts';
import type { Arguments, Options } from './option.ts';

/** What a command's file exports: does it. @returns the exit status. */
export type Action<O extends Options> = (args: Arguments<O>, context: Context) => Promise<number>;

/** One command. */
export interface Command<O extends Options = Options> {
  /** The name that help shows, then further ones; one word or two: `images`, `image ls`. */
  readonly names: readonly string[];
  /** What it does, one line. */
  readonly about: string;
  /** What follows its name: `[OPTIONS] CONTAINER…`. */
  readonly usage: string;
  /** Least and most positionals. */
  readonly count: readonly [least: number, most: number];
  /** Positionals begin a command line of their own, so options end at the first one. Default false. */
  readonly takesCommand?: boolean;
  readonly options: O;
  /** More for its help. */
  readonly notes?: readonly string[];
  readonly load: () => Promise<Action<O>>;
}

/** A command of any options, for lists. */
export type AnyCommand = Omit<Command, 'load'> & { readonly load: () => Promise<Action<Options>> };

/** Forgets which options a command has, once it is known that they and its action fit. */
export function command<const O extends Options>(definition: Command<O>): AnyCommand {
  return definition as unknown as AnyCommand;
}
