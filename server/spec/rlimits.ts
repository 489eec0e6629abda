/** Limits of setrlimit(2): their names, the ones that every container has, and what a container changes of them. */
import type { Ulimit } from '../model/container.ts';
import type { OciRlimit } from '../model/oci-spec.ts';

/** No limit, as the kernel takes it. */
export const RLIM_INFINITY: bigint = 2n ** 64n - 1n;

/** RLIMIT_* of asm-generic/resource.h, equal on x86-64 and arm64. */
export const RLIMITS: Readonly<Record<string, number>> = {
  CPU: 0,
  FSIZE: 1,
  DATA: 2,
  STACK: 3,
  CORE: 4,
  RSS: 5,
  NPROC: 6,
  NOFILE: 7,
  MEMLOCK: 8,
  AS: 9,
  LOCKS: 10,
  SIGPENDING: 11,
  MSGQUEUE: 12,
  NICE: 13,
  RTPRIO: 14,
  RTTIME: 15,
};

/** Their words in /proc/PID/limits, in the order of the numbers. */
const WORDS = [
  'Max cpu time',
  'Max file size',
  'Max data size',
  'Max stack size',
  'Max core file size',
  'Max resident set',
  'Max processes',
  'Max open files',
  'Max locked memory',
  'Max address space',
  'Max file locks',
  'Max pending signals',
  'Max msgqueue size',
  'Max nice priority',
  'Max realtime priority',
  'Max realtime timeout',
];

/** @param name - in lower case: `nofile`. */
export const isRlimit = (name: string): boolean =>
  name === name.toLowerCase() && Object.hasOwn(RLIMITS, name.toUpperCase());

const amount = (text: string): bigint => (text === 'unlimited' ? RLIM_INFINITY : BigInt(text));

/** @param limits - the text of /proc/PID/limits. */
export function rlimitsOf(limits: string): OciRlimit[] {
  return Object.entries(RLIMITS).flatMap(([type, number]) => {
    const [, soft, hard] = new RegExp(`^${WORDS[number]} +(\\S+) +(\\S+)`, 'm').exec(limits) ?? [];
    return soft === undefined || hard === undefined ? [] : [{ type, soft: amount(soft), hard: amount(hard) }];
  });
}

/** The usual ones, but for those that the container has of its own. */
export function withUlimits(usual: readonly OciRlimit[], ulimits: readonly Ulimit[] = []): OciRlimit[] {
  const own = ulimits.map(({ name, soft, hard }) => ({
    type: name.toUpperCase(),
    soft: soft === -1n ? RLIM_INFINITY : soft,
    hard: hard === -1n ? RLIM_INFINITY : hard,
  }));
  // Of two for the same resource the last one counts.
  const last = new Map([...usual, ...own].map((limit) => [limit.type, limit]));
  return [...last.values()];
}
