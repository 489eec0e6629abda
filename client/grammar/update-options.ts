/** The options of `update`, which is refused as a whole: they are there so that it is refused for the right reason. */
import type { Options } from './option.ts';

const NAMES = [
  ['-m', '--memory'],
  ['--memory-reservation'],
  ['--memory-swap'],
  ['--cpus'],
  ['-c', '--cpu-shares'],
  ['--cpu-period'],
  ['--cpu-quota'],
  ['--cpuset-cpus'],
  ['--cpuset-mems'],
  ['--blkio-weight'],
  ['--pids-limit'],
  ['--restart'],
] as const;

/** Options of `update`. */
export const UPDATE_OPTIONS: Options = Object.fromEntries(
  NAMES.map((names) => [
    names.at(-1)?.slice(2) ?? '',
    { names, type: 'text', value: 'VALUE', about: 'not there yet' } as const,
  ]),
);
