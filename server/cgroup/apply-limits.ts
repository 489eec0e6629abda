/**
 * Limits written by the server itself: into a group that is made for the purpose and removed again, to learn what this
 * kernel takes before a container depends on it; and into the group of a container that runs.
 */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { cannot, type MydockerError } from '../model/error.ts';
import type { Resources } from '../model/resources.ts';
import { type CgroupLayout, hierarchyOf } from './layout.ts';
import { type CgroupPlace, type CgroupWrite, limitWrites, requireDevices } from './limits.ts';

/** Limits that every kernel of today has, and takes in the range that they are checked for. */
const USUAL = new Set<keyof Resources>([
  'memoryLimitBytes',
  'memoryReservationBytes',
  'cpuShares',
  'nanoCpus',
  'cpuPeriodUs',
  'cpuQuotaUs',
  'cpuExceedRate',
  'cpusetCpus',
  'cpusetMems',
  'pidsMax',
]);

/** Kernels of today take the file and forget the value. */
const FORGETFUL = 'memory.kmem.limit_in_bytes';

function refusal({ option, file, value }: CgroupWrite, why: string, hint: string): MydockerError {
  return cannot(
    'failed-precondition',
    'set',
    option,
    '',
    `${why} for ${posix.basename(file)}: ${value.trim()}`,
    {
      reason: 'LIMIT_REFUSED',
      hint,
      metadata: { option, file: posix.basename(file), value: value.trim() },
    },
  );
}

const HINTS: Readonly<Record<string, string>> = {
  EBUSY: 'the container uses more than that already',
  ENODEV: 'the host has no such device, or nothing can be limited on it',
  EINVAL: 'the kernel does not take this value, or a group above has less',
  EACCES: 'a group above has less',
  EOPNOTSUPP: 'this kernel has given it up; start without this limit',
};

function refusedBy(write: CgroupWrite, error: unknown): MydockerError {
  const { code = 'EIO' } = error as NodeJS.ErrnoException;
  return refusal(write, `the kernel says ${code}`, HINTS[code] ?? 'start without this limit');
}

function writeLimit(write: CgroupWrite): void {
  try {
    writeFileSync(write.file, write.value, { flag: 'r+' });
  } catch (error) {
    if (!write.optional) throw refusedBy(write, error);
  }
}

/**
 * A limit of a container that runs. To lower one of memory the kernel first makes room, which takes its time.
 * @throws MydockerError `failed-precondition`, reason LIMIT_REFUSED.
 */
export async function changeLimit(write: CgroupWrite): Promise<void> {
  if (posix.basename(write.file) === 'memory.max') checkUse(write);
  try {
    await writeFile(write.file, write.value, { flag: 'r+' });
  } catch (error) {
    if (!write.optional) throw refusedBy(write, error);
  }
}

/** Cgroup v2 takes any limit and kills until it holds; v1 refuses one that is below what is used. */
function checkUse(write: CgroupWrite): void {
  const folder = posix.dirname(write.file);
  const used = Number(/^anon (\d+)$/m.exec(readFileSync(`${folder}/memory.stat`, 'utf8'))?.[1] ?? 0);
  if (write.value !== 'max' && used > Number(write.value))
    throw refusal(write, `${used} bytes are in use, which is too much`, HINTS['EBUSY'] ?? '');
}

/**
 * Real-time is shared out from the root downwards, and a new group has none of it.
 * @param parent - the group above the container's.
 */
export function openRealTime(layout: CgroupLayout, parent: string, { cpuRtRuntimeUs = 0n }: Resources): void {
  const mount = hierarchyOf(layout, 'cpu');
  if (cpuRtRuntimeUs <= 0n || mount === undefined) return;
  let folder = mount;
  for (const name of parent.split('/').slice(1)) {
    const file = 'cpu.rt_runtime_us';
    const most = readFileSync(`${folder}/${file}`, 'utf8');
    folder = `${folder}/${name}`;
    if (readFileSync(`${folder}/${file}`, 'utf8') === '0\n')
      writeLimit({ file: `${folder}/${file}`, value: most, option: 'cpu real-time limit', optional: false });
  }
}

/**
 * Whether this machine takes these limits; what every kernel has is not tried, unless groups above may be limited.
 * @param place - of a group that does not exist; its parent does.
 * @param isBelowOthers - whether somebody else has the parent.
 * @throws MydockerError `failed-precondition`, reasons CGROUP_CONTROLLER_MISSING and LIMIT_REFUSED.
 */
export function tryLimits(place: CgroupPlace, resources: Resources, isBelowOthers: boolean): void {
  requireDevices(place.layout);
  const writes = limitWrites(place, resources);
  const isUsual = Object.keys(resources).every((key) => USUAL.has(key as keyof Resources));
  if (isUsual && !isBelowOthers) return;
  openRealTime(place.layout, posix.dirname(place.path), resources);
  const made = new Set<string>();
  try {
    for (const write of writes) {
      const folder = posix.dirname(write.file);
      if (!made.has(folder)) {
        mkdirSync(folder);
        made.add(folder);
      }
      writeLimit(write);
      if (posix.basename(write.file) === FORGETFUL && Number(readFileSync(write.file, 'utf8')) > 2 ** 62)
        throw refusal(write, 'this kernel takes and forgets what is written', 'start without this limit');
    }
  } finally {
    for (const folder of made) rmdirSync(folder);
  }
}
