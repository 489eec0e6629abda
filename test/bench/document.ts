/**
 * Writes docs/benchmarks.md and its picture from the measurement and from nothing else, so that no figure in the
 * project's documents is older than the run that it is from.
 */
import { drawChart } from './chart.ts';
import type { Result } from './measure.ts';

/** One measured line. */
export interface Line {
  readonly id: string;
  readonly title: string;
  /** What was done, in a sentence or two. */
  readonly what: string;
  readonly unit: string;
  /** Whether a greater number is the better one. */
  readonly moreIsBetter: boolean;
  readonly results: readonly Result[];
  /** Where ours goes to, in the same unit: what to look at where a promise is not kept. */
  readonly parts?: readonly Result[];
  /** What dominates, and what was tried: said where a promise is not kept. */
  readonly why?: string;
  /** What is promised, and whether this run kept it. */
  readonly promises: readonly Promised[];
}

/** A promise about a line. */
export interface Promised {
  readonly text: string;
  /** The measured ratio or figure. */
  readonly measured: number;
  readonly limit: number;
  /** Whether `measured` must stay below the limit, or above it. */
  readonly sense: 'at most' | 'at least';
}

/** A whole run. */
export interface Report {
  readonly measuredAt: string;
  readonly machine: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly lines: readonly Line[];
}

/** Whether a run kept a promise. */
export function isKept({ measured, limit, sense }: Promised): boolean {
  return sense === 'at most' ? measured <= limit : measured >= limit;
}

/** A number with three digits that mean something. */
export function short(value: number): string {
  if (value === 0) return '0';
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 3));
}

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [
    `| ${head.join(' | ')} |`,
    `|${head.map((_, index) => (index === 0 ? ' --- ' : ' ---: ')).join('|')}|`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n');

function figures(what: string, unit: string, results: readonly Result[]): string {
  const counted = results.some(({ leftBehind }) => leftBehind !== undefined);
  const rows = results.map(({ name, median, p90, mad, count, leftBehind }) => [
    name,
    short(median),
    short(p90),
    short(mad),
    String(count),
    ...(counted ? [String(leftBehind ?? '')] : []),
  ]);
  const head = [what, `median (${unit})`, 'p90', 'MAD', 'samples'];
  return table(counted ? [...head, 'left behind'] : head, rows);
}

function renderLine(line: Line): string {
  const promises = line.promises.map(
    (promised) =>
      `- ${promised.text}: ${promised.sense} ${short(promised.limit)}, ` +
      `measured ${short(promised.measured)} — ${isKept(promised) ? 'kept' : '**not kept**'}`,
  );
  return [
    `## ${line.title}`,
    line.what,
    figures('', line.unit, line.results),
    ...(line.parts === undefined ? [] : [figures('where it goes', line.unit, line.parts)]),
    ...(promises.length === 0 ? [] : [promises.join('\n')]),
    ...(line.promises.every(isKept) || line.why === undefined ? [] : [line.why]),
  ].join('\n\n');
}

/** Renders the document. */
export function renderDocument(report: Report): string {
  const facts = Object.entries({ ...report.machine, ...report.versions }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return `${[
    '# Benchmarks',
    'Written by `npm run bench`; do not edit. Each figure stands beside its floor or its peers, measured in the same ' +
      'run on the same machine, in turns. The ratios mean more than the figures. `left behind` counts the mounts, links, rules, control groups and ' +
      'processes that a contender had not taken away three seconds after its samples.',
    '![medians of each line](benchmarks.svg)',
    `Measured ${report.measuredAt} on:`,
    facts.map((fact) => `- ${fact}`).join('\n'),
    ...report.lines.map(renderLine),
  ].join('\n\n')}\n`;
}

/** Renders the picture. */
export function renderPicture(report: Report): string {
  return drawChart(
    report.lines.map((line) => ({
      title: `${line.title}, ${line.unit}${line.moreIsBetter ? ' (more is better)' : ''}`,
      bars: line.results.map(({ name, median }) => ({ name, value: median, label: short(median) })),
    })),
  );
}
