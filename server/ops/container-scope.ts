/**
 * A container's unit of systemd, where the server makes groups with it: a scope below a slice, made with the limits as
 * its properties, changed with them, gone with the container's run. The container's own group is one level below.
 */
import { posix } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CgroupWrite, limitWrites } from '../cgroup/limits.ts';
import { cgroupsBelow } from '../cgroup/reap.ts';
import { leaveSlice, seatKeeper } from '../cgroup/slices.ts';
import { limitProperties, scopeProperties } from '../cgroup/unit-properties.ts';
import type { ContainerRecord } from '../model/container.ts';
import { cannot } from '../model/error.ts';
import { ownSlice, scopeName, scopeOfGroup, sliceOf, slicePath } from '../model/unit.ts';
import { type Keeper, startKeeper } from '../systemd/keeper.ts';
import { invalid } from './check-mounts.ts';
import { cgroupPathOf, type Engine } from './engine.ts';

/** A unit whose processes are all dead is gone soon; the end of a run is told even where systemd hangs. */
const STOP_DEADLINE_MS = 5000;

/**
 * Where a container's group is made.
 * @param parent - as a client gives it; `''`: the server's.
 * @returns a path; `''` as it was.
 * @throws MydockerError `invalid-argument` for what is no slice, where systemd makes the groups.
 */
export function cgroupParentOf({ cgroups }: Pick<Engine, 'cgroups'>, parent = ''): string {
  if (cgroups.systemd === undefined || parent === '') return parent;
  const path = parent.includes('/') ? parent : (slicePath(parent) ?? '');
  if (path === '' || sliceOf(path) === undefined)
    throw invalid(
      'cgroup parent',
      parent,
      'it is not the name of a slice, and systemd makes the groups here',
      {
        hint: 'for example machine.slice; a path is for a server with --cgroup-driver cgroupfs',
      },
    );
  return path;
}

/** @returns who keeps the container's unit; undefined where it has none. */
export async function keeperFor({ cgroups }: Pick<Engine, 'cgroups'>): Promise<Keeper | undefined> {
  return cgroups.systemd === undefined ? undefined : await startKeeper();
}

/**
 * Makes the unit.
 * @throws MydockerError `failed-precondition` reasons CGROUP_PARENT_UNUSABLE and UNIT_REFUSED; `unavailable`.
 */
export async function openScope(
  engine: Engine,
  record: ContainerRecord,
  keeper: Keeper | undefined,
): Promise<void> {
  const { systemd, layout, parent } = engine.cgroups;
  if (systemd === undefined || keeper === undefined) return;
  const { cgroupParent = parent, resources } = record.config;
  const slice = sliceOf(cgroupParent);
  if (slice === undefined)
    throw cannot('failed-precondition', 'start', 'container', record.name, `${cgroupParent} is no slice`, {
      reason: 'CGROUP_PARENT_UNUSABLE',
      hint: 'it was created by a server with another cgroup driver: create it anew with --cgroup-parent NAME.slice',
    });
  const path = cgroupPathOf(engine, record);
  const isV2 = layout.kind === 'v2';
  await systemd.startScope(scopeName(record.id), [
    ...scopeProperties(record.id, slice, keeper.pid, isV2),
    ...limitProperties(limitWrites({ layout, path }, resources), isV2),
  ]);
  seatKeeper(layout, posix.dirname(path), keeper.pid);
}

/**
 * Tells systemd of limits that are about to be written, or were: on v1 no group may have more CPU time than the one
 * above, so that the unit is the first to get more and the last to get less.
 * @throws MydockerError as {@link openScope}.
 */
export async function changeScope(
  { cgroups }: Pick<Engine, 'cgroups'>,
  path: string,
  writes: readonly CgroupWrite[],
): Promise<void> {
  const unit = scopeOfGroup(path);
  if (cgroups.systemd === undefined || unit === undefined) return;
  const properties = limitProperties(writes, cgroups.layout.kind === 'v2');
  if (properties.length > 0) await cgroups.systemd.setProperties(unit, properties);
}

/** A slice of this server's own goes with it when no container is in it. */
export async function leaveOwnSlice({ cgroups, instance }: Engine): Promise<void> {
  const { systemd, layout, parent } = cgroups;
  const slice = sliceOf(parent);
  if (systemd === undefined || slice === undefined) return;
  const isEmpty = cgroupsBelow(layout, parent).length === 0;
  if (isEmpty && parent === ownSlice(instance)) await systemd.stop(slice).catch(() => undefined);
  leaveSlice(layout, parent);
  systemd.close();
}

/** Before anybody is told that the run is over: whoever starts it again makes a unit of the same name. */
export async function closeScope(
  { cgroups, log }: Pick<Engine, 'cgroups' | 'log'>,
  path: string,
): Promise<void> {
  const unit = scopeOfGroup(path);
  if (cgroups.systemd === undefined || unit === undefined) return;
  const stopped = cgroups.systemd
    .stop(unit)
    .catch((err: unknown) =>
      log.warn({ err, unit }, 'systemd may still have the unit of a run that is over'),
    );
  await Promise.race([stopped, sleep(STOP_DEADLINE_MS, undefined, { ref: false })]);
  leaveSlice(cgroups.layout, posix.dirname(path));
}
