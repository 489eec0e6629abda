/** Limits of a container as the files and values that set them on this machine: at its start, and for a change. */
import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { cannot, MydockerError } from '../model/error.ts';
import { BLKIO_RATES, type BlkioThrottleDevice, type Resources } from '../model/resources.ts';
import { blockDeviceNumber } from './device-numbers.ts';
import { KNOBS, type Knob, type KnobWrite } from './knobs.ts';
import { type CgroupLayout, hierarchyOf } from './layout.ts';

/** One value for one file below the container's cgroup. */
export interface CgroupWrite {
  /** Absolute path of the file. */
  readonly file: string;
  readonly value: string;
  /** In words: `memory limit`. */
  readonly option: string;
  /** A machine without it is good enough. */
  readonly optional: boolean;
}

/** A cgroup of this machine. */
export interface CgroupPlace {
  readonly layout: CgroupLayout;
  /** Below each mount point: `/mydocker-1a2b3c4d/<id>`. */
  readonly path: string;
}

/** What the machine has; replaced where a test looks at one that it is not run on. */
export interface Machine {
  /** Whether groups beside the container's have this file. */
  readonly has: (file: string) => boolean;
  readonly read: (file: string) => string;
}

const THIS_MACHINE: Machine = {
  // Before the first container there is no group to look at; then the start says what is missing.
  has: (file) => existsSync(file) || !existsSync(posix.dirname(file)),
  read: (file) => readFileSync(file, 'utf8').trim(),
};

function missing(option: string, what: string, hint: string): MydockerError {
  return cannot('failed-precondition', 'set', option, '', what, {
    reason: 'CGROUP_CONTROLLER_MISSING',
    hint,
    metadata: { option },
  });
}

/**
 * Nothing else keeps a container from the host's disks.
 * @throws MydockerError `failed-precondition` where nothing says which devices it may use.
 */
export function requireDevices(layout: CgroupLayout): void {
  if (hierarchyOf(layout, 'devices') === undefined && layout.unified === undefined)
    throw missing(
      'allowed devices',
      'this machine has no devices controller, and a container could use each of its disks',
      'mount the v1 controller devices, or cgroup2',
    );
}

/** Of limits that are nobody's wish those that this machine has. */
export function settable(place: CgroupPlace, resources: Resources): Resources {
  const isThere = ([key, value]: [string, unknown]): boolean => {
    try {
      return limitWrites(place, { [key]: value }).length > 0;
    } catch (error) {
      if (error instanceof MydockerError && error.reason === 'CGROUP_CONTROLLER_MISSING') return false;
      throw error;
    }
  };
  return Object.fromEntries(Object.entries(resources).filter(isThere));
}

function inPlace(
  { layout, path }: CgroupPlace,
  { option }: Knob,
  { controller, choices, optional = false }: KnobWrite,
  machine: Machine,
): CgroupWrite[] {
  const mount = layout.kind === 'v2' ? layout.unified : hierarchyOf(layout, controller);
  if (mount === undefined) {
    if (optional) return [];
    throw missing(
      option,
      `this machine has no ${controller} controller`,
      `mount the v1 controller ${controller}, or start without this limit`,
    );
  }
  const above = `${mount}${posix.dirname(path)}`;
  const choice = choices.find(([file]) => machine.has(`${above}/${file}`));
  if (choice === undefined) {
    if (optional) return [];
    const files = choices.map(([file]) => file).join(' or ');
    throw missing(option, `this kernel has no ${files}`, 'start without this limit, or on another kernel');
  }
  const [file, value = machine.read(`${above}/${file}`)] = choice;
  return [{ file: `${mount}${path}/${file}`, value, option, optional }];
}

function writesOf(place: CgroupPlace, knob: Knob, resources: Resources, machine: Machine): CgroupWrite[] {
  const side = place.layout.kind === 'v2' ? knob.v2 : knob.v1;
  if (typeof side !== 'function') throw missing(knob.option, ...side);
  return side(resources).flatMap((write) => inPlace(place, knob, write, machine));
}

/** Field by field, lists and maps by what is in them. */
function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) =>
    isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
  );
}

/**
 * What to write before the first process joins.
 * @throws MydockerError `failed-precondition` when this machine lacks the controller or file: a limit is never
 * ignored.
 */
export function limitWrites(
  place: CgroupPlace,
  resources: Resources,
  machine: Machine = THIS_MACHINE,
): CgroupWrite[] {
  const numbered = withNumbers(resources);
  return KNOBS.filter(({ fields }) => fields.some((field) => resources[field] !== undefined)).flatMap(
    (knob) => writesOf(place, knob, numbered, machine),
  );
}

/**
 * What to write while it runs, in an order in which the kernel takes each.
 * @throws MydockerError as {@link limitWrites}.
 */
export function changeWrites(
  place: CgroupPlace,
  now: Resources,
  next: Resources,
  machine: Machine = THIS_MACHINE,
): CgroupWrite[] {
  const [before, after] = [withNumbers(now), withNumbers(next)];
  return KNOBS.flatMap((knob) => {
    if (knob.fields.every((field) => isSame(before[field], after[field]))) return [];
    const writes = writesOf(place, knob, withLifted(knob, before, after), machine);
    if (place.layout.kind === 'v2') return writes;
    // On v1 memory must stay below memory and swap at every moment.
    const raised = knob.option === 'memory limit' && isRaised(before, after);
    return raised || (IN_PERIODS.has(knob.option) && isShortened(knob, before, after))
      ? writes.reverse()
      : writes;
  });
}

/** A period, then the time in each. */
const IN_PERIODS = new Set(['cpu limit', 'cpu real-time limit']);

/**
 * A shorter period comes last, or for a moment there would be more of each second than before and after, and maybe more
 * than a group above has.
 */
function isShortened({ v1 }: Knob, now: Resources, next: Resources): boolean {
  if (typeof v1 !== 'function') return false;
  const [before, after] = [now, next].map((resources) => Number(v1(resources)[0]?.choices[0]?.[1]));
  return Number(after) < Number(before);
}

function isRaised(now: Resources, next: Resources): boolean {
  const most = ({ memoryLimitBytes: limit, memorySwapLimitBytes: both }: Resources): number =>
    Number(both === undefined ? (limit ?? Infinity) : both < 0n ? Infinity : both);
  return most(next) > most(now);
}

/** Devices, their rates, interfaces and sizes that are limited no more get a line that says so. */
function withLifted({ fields }: Knob, now: Resources, next: Resources): Resources {
  const lifted: Record<string, unknown> = {};
  for (const field of fields) {
    if (field === 'blkioThrottleDevices') lifted[field] = withLiftedRates(now[field], next[field]);
    if (field === 'blkioWeightDevices')
      lifted[field] = [
        ...gone(now[field], next[field], ({ device }) => device).map(({ device }) => ({
          device,
          weight: 0,
          leafWeight: 0,
        })),
        ...(next[field] ?? []),
      ];
    if (field === 'hugepageLimits')
      lifted[field] = [
        ...gone(now[field], next[field], ({ pageSizeBytes }) => String(pageSizeBytes)).map(
          ({ pageSizeBytes }) => ({ pageSizeBytes, limitBytes: -1n }),
        ),
        ...(next[field] ?? []),
      ];
    if (field === 'netPriorities')
      lifted[field] = {
        ...Object.fromEntries(Object.keys(now[field] ?? {}).map((name) => [name, 0])),
        ...next[field],
      };
  }
  return { ...next, ...lifted };
}

/** A device that keeps one of its rates may lose another. */
function withLiftedRates(
  now: readonly BlkioThrottleDevice[] = [],
  next: readonly BlkioThrottleDevice[] = [],
): BlkioThrottleDevice[] {
  const devices = new Map<string, BlkioThrottleDevice>();
  for (const entry of now) {
    const had = BLKIO_RATES.filter((rate) => entry[rate] !== undefined);
    devices.set(entry.device, {
      device: entry.device,
      ...Object.fromEntries(had.map((rate) => [rate, 0n])),
    });
  }
  for (const entry of next) devices.set(entry.device, { ...devices.get(entry.device), ...entry });
  return [...devices.values()];
}

function gone<T>(now: readonly T[] = [], next: readonly T[] = [], keyOf: (entry: T) => string): T[] {
  const kept = new Set(next.map(keyOf));
  return now.filter((entry) => !kept.has(keyOf(entry)));
}

/** Devices by their numbers, which is what the kernel takes. */
function withNumbers(resources: Resources): Resources {
  const { blkioWeightDevices: weights, blkioThrottleDevices: rates } = resources;
  if (weights === undefined && rates === undefined) return resources;
  const numbered = <T extends { readonly device: string }>(entry: T): T => ({
    ...entry,
    device: blockDeviceNumber(entry.device),
  });
  return {
    ...resources,
    ...(weights === undefined ? {} : { blkioWeightDevices: weights.map(numbered) }),
    ...(rates === undefined ? {} : { blkioThrottleDevices: rates.map(numbered) }),
  };
}
