/**
 * Options and positionals out of what was typed. Own code: the libraries looked at (node:util parseArgs, minimist, mri,
 * arg, nopt, commander) either know no long options with one dash (`-net none`, `-cpuset 0`) beside groups of short
 * ones (`-dit`, `-m512m`), or cannot stop at the first positional.
 */
import { UsageError } from '../usage-error.ts';
import { closest } from './closest.ts';
import type { Arguments, Option, Options } from './option.ts';

/** How to read them. */
export interface ParseOptions {
  /** Options may follow positionals; else the first positional ends them, as it is the start of a command. */
  readonly interspersed: boolean;
}

interface Known {
  readonly key: string;
  readonly option: Option;
}

/**
 * Reads arguments against a table. `--x=y`, `--x y`, `-x y`, `-xy`, groups `-abx y`; `--` ends the options; a long
 * option may have one dash; a flag may be `--x=false`.
 * @throws UsageError naming the option that is unknown, lacks a value or has one too many.
 */
export function parseArguments<O extends Options>(
  table: O,
  tokens: readonly string[],
  { interspersed }: ParseOptions,
): Arguments<O> {
  const values: Record<string, boolean | string | string[] | undefined> = {};
  for (const [key, { type }] of Object.entries(table)) values[key] = type === 'list' ? [] : undefined;
  const known = spellings(table);
  const positionals: string[] = [];
  const rest = [...tokens];
  const give = ({ key, option }: Known, name: string, inline: string | undefined): void => {
    if (option.type === 'flag') {
      values[key] = inline === undefined ? true : flagValue(name, inline);
      return;
    }
    const value = inline ?? rest.shift();
    if (value === undefined) throw new UsageError(`option ${name} needs a value`);
    const list = values[key];
    if (Array.isArray(list)) list.push(value);
    else values[key] = value;
  };
  for (let token = rest.shift(); token !== undefined; token = rest.shift()) {
    if (token === '--' || !token.startsWith('-') || token === '-') {
      if (token !== '--') positionals.push(token);
      if (interspersed && token !== '--') continue;
      positionals.push(...rest);
      break;
    }
    const cut = token.indexOf('=');
    const name = cut < 0 ? token : token.slice(0, cut);
    const long = known.get(name) ?? (name.length > 2 ? known.get(`-${name}`) : undefined);
    if (long !== undefined) give(long, name, cut < 0 ? undefined : token.slice(cut + 1));
    else if (token.startsWith('--')) throw unknownOption(name, known);
    else giveGroup(token, known, give);
  }
  return { options: values as Arguments<O>['options'], positionals };
}

/** `-abx value`, `-abxvalue`, `-x=value`: flags, then at most one option that takes the rest. */
function giveGroup(
  token: string,
  known: ReadonlyMap<string, Known>,
  give: (known: Known, name: string, inline: string | undefined) => void,
): void {
  for (let at = 1; at < token.length; at += 1) {
    const name = `-${token[at]}`;
    const found = known.get(name);
    if (found === undefined) throw unknownOption(token, known);
    const tail = token.slice(at + 1);
    if (found.option.type !== 'flag') {
      give(found, name, tail === '' ? undefined : tail.replace(/^=/, ''));
      return;
    }
    if (tail.startsWith('=')) {
      give(found, name, tail.slice(1));
      return;
    }
    give(found, name, undefined);
  }
}

function spellings(table: Options): Map<string, Known> {
  return new Map(
    Object.entries(table).flatMap(([key, option]) => option.names.map((name) => [name, { key, option }])),
  );
}

function flagValue(name: string, text: string): boolean {
  if (['true', 't', '1'].includes(text.toLowerCase())) return true;
  if (['false', 'f', '0'].includes(text.toLowerCase())) return false;
  throw new UsageError(`option ${name} is true or false, not ${JSON.stringify(text)}`);
}

function unknownOption(typed: string, known: ReadonlyMap<string, Known>): UsageError {
  const meant = closest(
    typed,
    [...known.keys()].filter((name) => name.startsWith('--')),
  );
  return new UsageError(
    `unknown option ${typed}`,
    meant === undefined ? {} : { hint: `did you mean ${meant}?` },
  );
}
