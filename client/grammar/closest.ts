/** The word that a person may have meant, for hints. */

const FAR = 2;

/**
 * @returns the candidate with at most two letters wrong, missing or too many, and half of a short word's; undefined where
 * none is so close.
 */
export function closest(typed: string, candidates: readonly string[]): string | undefined {
  const ranked = candidates
    .map((word) => ({ word, far: distance(typed, word) }))
    .sort((one, other) => one.far - other.far);
  const [best] = ranked;
  return best !== undefined && best.far <= Math.min(FAR, Math.floor(typed.length / 2))
    ? best.word
    : undefined;
}

/** Levenshtein distance, row by row. */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const line = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const changed = (above[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      line.push(Math.min(changed, (above[column] ?? 0) + 1, (line[column - 1] ?? 0) + 1));
    }
    above = line;
  }
  return above[b.length] ?? 0;
}
