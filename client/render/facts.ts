/** A titled list of names and values. */
import { printable } from './printable.ts';

/** Lines `NAME: VALUE` below a title, values in one column; what is empty is left out. */
export function renderFacts(title: string, facts: Readonly<Record<string, string>>): string {
  const shown = Object.entries(facts).filter(([, value]) => value !== '');
  const width = Math.max(0, ...shown.map(([name]) => name.length)) + 2;
  return `${title}:\n${shown.map(([name, value]) => ` ${`${name}:`.padEnd(width)}${printable(value)}\n`).join('')}`;
}
