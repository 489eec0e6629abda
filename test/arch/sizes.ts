/** How long a file may be: what does not fit on a few screens has more than one reason to exist. */

const LIMITS: readonly (readonly [files: RegExp, lines: number])[] = [
  [/^proto\/gen\//, Number.POSITIVE_INFINITY],
  // Tables of cases and long stories have no second reason, so they get more room.
  [/^test\//, 500],
  [/^(server|native|client|scripts|shim)\/.*\.(ts|mjs|c|h|sh)$/, 300],
];

/** Says which of the files are too long. */
export function tooLong(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => {
    const limit = LIMITS.find(([pattern]) => pattern.test(path))?.[1] ?? Number.POSITIVE_INFINITY;
    const lines = text.split('\n').length - 1;
    return lines > limit ? [`${path} has ${lines} lines, ${limit} are allowed`] : [];
  });
}

/** The C program is what TypeScript cannot do and no more: growth is a decision, so it shows here. */
export const SHIM_LINES = 2_550;

/** Lines of code of C files: neither empty nor nothing but comment. */
export function linesOfC(files: ReadonlyMap<string, string>): number {
  return [...files.values()].reduce((sum, text) => {
    const code = text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/\/\/.*/g, '');
    return sum + code.split('\n').filter((line) => line.trim() !== '').length;
  }, 0);
}
