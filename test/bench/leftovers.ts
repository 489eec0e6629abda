/** What contenders leave behind: counted after each turn, once what they clear up behind an answer is over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { compareSnapshots, LAUNCHER_CGROUPS, type Snapshot, takeSnapshot } from '../harness/leaks.ts';
import type { Ground } from './ground.ts';

/** Longest wait for what goes on behind an answer. */
const SETTLES_MS = 3000;

/** Looks at the machine; the function that it gives counts what has come since and stays. */
export type Watch = () => () => Promise<number>;

/**
 * Mounts, links, rules, control groups and processes count.
 * @param serverPid - the one whose mount table counts beside this one's.
 */
export function watchLeftovers({ cgroupParent }: Ground, serverPid: number | undefined): Watch {
  const look = (): Snapshot[] =>
    [cgroupParent, `${cgroupParent}-own`].map((parent) =>
      takeSnapshot({
        cgroupParent: parent,
        folders: {},
        pids: serverPid === undefined ? [] : [serverPid],
        ignoredFiles: /^$/,
        // What waits for the next start is not what the last one has left.
        ignoredProcesses: /^mydocker-launcher /,
        ignoredCgroups: LAUNCHER_CGROUPS,
      }),
    );
  return () => {
    const before = look();
    return async () => {
      for (const until = Date.now() + SETTLES_MS; ; await sleep(50)) {
        const left = new Set(
          look().flatMap((now, index) => compareSnapshots(before[index] ?? {}, now).filter(isLeft)),
        );
        if (left.size === 0 || Date.now() > until) return left.size;
      }
    };
  };
}

const isLeft = (line: string): boolean => line.includes(': left behind: ');
