/** Columns. Own code: forty lines, where the libraries for it bring colours, borders and 20 ms of loading. */
import { printable } from './printable.ts';

const GAP = 3;

/**
 * A table with its heading, one line a row, columns three spaces apart, nothing behind the last one.
 * @param rows - cells as text; control characters are made visible.
 * @returns the lines, each with a newline.
 */
export function renderTable(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heading, ...rows.map((row) => row.map(printable))];
  const widths = heading.map((_, column) => Math.max(...lines.map((line) => width(line[column] ?? ''))));
  return lines.map((line) => `${renderLine(line, widths)}\n`).join('');
}

function renderLine(line: readonly string[], widths: readonly number[]): string {
  return line
    .map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - width(cell) + GAP))
    .join('')
    .trimEnd();
}

/** Characters, not UTF-16 units. */
function width(text: string): number {
  return /^[\x20-\x7e]*$/.test(text) ? text.length : [...text].length;
}

/** The text, cut to a number of characters with an ellipsis where it is longer. */
export function truncate(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`;
}
