/** The few numbers that say how a measurement went. */

/** Summary of samples; all in the samples' unit. */
export interface Summary {
  readonly count: number;
  readonly median: number;
  readonly p90: number;
  /** Median of the distances from the median: how much to believe the median, whatever the outliers. */
  readonly mad: number;
  readonly min: number;
  readonly max: number;
}

/**
 * The sample below which a share of all samples lies (nearest rank).
 * @param sorted - ascending, not empty.
 * @param share - 0 to 1.
 */
export function quantile(sorted: readonly number[], share: number): number {
  const value = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
  if (value === undefined) throw new Error('no samples');
  return value;
}

/** Summarizes samples. @throws Error when there are none. */
export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  const median = quantile(sorted, 0.5);
  const distances = sorted.map((sample) => Math.abs(sample - median)).sort((a, b) => a - b);
  return {
    count: sorted.length,
    median,
    p90: quantile(sorted, 0.9),
    mad: quantile(distances, 0.5),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
  };
}
