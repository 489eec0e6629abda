/**
 * Measures contenders side by side. They take turns, and each turn another one begins, so that what the machine does
 * meanwhile (a warm disk, a neighbour's load) falls on all of them alike.
 */
import type { Watch } from './leftovers.ts';
import { type Summary, summarize } from './stats.ts';

/** Something that can be measured. */
export interface Contender {
  readonly name: string;
  /** Does it `count` times and returns a sample for each, or one for all where only the sum is known. */
  sample(count: number): Promise<readonly number[]>;
}

/** How much is measured. */
export interface Effort {
  /** Turns of each contender. */
  readonly turns: number;
  /** Samples in a turn. */
  readonly perTurn: number;
  /** Samples before the first turn that do not count. */
  readonly warmUp: number;
  /** Counts what a turn leaves behind. */
  readonly watch?: Watch;
}

/** What came out for one contender. */
export interface Result extends Summary {
  readonly name: string;
  /** What stayed behind the samples; absent where nobody counted. */
  readonly leftBehind?: number;
}

/** Measures all contenders. @throws Error of the first one that fails, with its name. */
export async function measure(contenders: readonly Contender[], effort: Effort): Promise<Result[]> {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  const leftBehind = new Map<string, number>();
  const turn = async (contender: Contender, count: number): Promise<readonly number[]> => {
    try {
      return await contender.sample(count);
    } catch (cause) {
      throw new Error(`${contender.name}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    }
  };
  if (effort.warmUp > 0) for (const contender of contenders) await turn(contender, effort.warmUp);
  for (let number = 0; number < effort.turns; number += 1) {
    const first = number % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const countLeft = effort.watch?.();
      samples.get(contender.name)?.push(...(await turn(contender, effort.perTurn)));
      if (countLeft === undefined) continue;
      leftBehind.set(contender.name, (leftBehind.get(contender.name) ?? 0) + (await countLeft()));
    }
  }
  return contenders.map(({ name }) => {
    const left = leftBehind.get(name);
    const summary = summarize(samples.get(name) ?? []);
    return { name, ...summary, ...(left === undefined ? {} : { leftBehind: left }) };
  });
}

/** Repeats something and times each time, in milliseconds. */
export async function timeEach(count: number, once: (number: number) => Promise<unknown>): Promise<number[]> {
  const samples: number[] = [];
  for (let number = 0; number < count; number += 1) {
    const started = performance.now();
    await once(number);
    samples.push(performance.now() - started);
  }
  return samples;
}

/** Runs `count` tasks with at most `width` of them at a time. */
export async function inFlight(
  count: number,
  width: number,
  once: (number: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let number = next++; number < count; number = next++) await once(number);
  };
  await Promise.all(Array.from({ length: width }, lane));
}
