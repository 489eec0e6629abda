/**
 * Changes limits and policies of a container, of one that runs at once. All or nothing: what was written is taken back
 * when a later write is refused.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { posix } from 'node:path';
import { changeLimit, openRealTime, tryLimits } from '../cgroup/apply-limits.ts';
import { changeDevices } from '../cgroup/device-program.ts';
import { allowances } from '../cgroup/devices.ts';
import { type CgroupPlace, changeWrites } from '../cgroup/limits.ts';
import { isReserving } from '../cgroup/reservations.ts';
import { failpoint } from '../failpoint.ts';
import type { ContainerConfig, ContainerRecord, RestartPolicy } from '../model/container.ts';
import { invalidArgument } from '../model/error.ts';
import { changeResources, type ResourceChange, type Resources } from '../model/resources.ts';
import { parseSignal } from '../model/signal.ts';
import { isAlive } from '../model/task-state.ts';
import { UndoStack } from '../model/undo.ts';
import { decodeJson, encodeJson } from '../store/codec.ts';
import { checkConfig } from './check-config.ts';
import { hostCpus } from './check-resources.ts';
import { containerEvent } from './container-event.ts';
import { writeConfig } from './container-folders.ts';
import { changeScope } from './container-scope.ts';
import { containerFolder, type Engine, trialGroup } from './engine.ts';
import { expectRev, findContainer } from './find-container.ts';
import { hostDevices } from './host-devices.ts';

export interface UpdateRequest {
  /** Id, name or unique prefix. */
  readonly container: string;
  readonly resources: ResourceChange;
  /** Null: none any more; absent: as it is. */
  readonly restartPolicy?: RestartPolicy | null;
  /** Name or number. */
  readonly stopSignal?: string;
  /** -1: without end. */
  readonly stopTimeoutMs?: number;
  readonly setLabels: Readonly<Record<string, string>>;
  readonly removeLabels: readonly string[];
  /** Refused unless it has this rev; 0n: whatever. */
  readonly expectedRev: bigint;
}

/**
 * @returns the record as it is then.
 * @throws MydockerError `invalid-argument`, `failed-precondition` for what the host or the kernel does not take;
 * `not-found`; `aborted` for another rev. Nothing has changed then.
 */
export function updateContainer(engine: Engine, request: UpdateRequest): Promise<ContainerRecord> {
  const { id } = findContainer(engine, request.container);
  return engine.queues.run('container', id, async () => {
    const record = findContainer(engine, id);
    expectRev('update', record, request.expectedRev);
    const config = changed(record.config, request);
    checkConfig(config, hostCpus(), engine.host);
    // For a rule that cannot be said.
    allowances(config.resources.deviceRules ?? []);
    return await apply(engine, record, config);
  });
}

function changed(config: ContainerConfig, request: UpdateRequest): ContainerConfig {
  const { restartPolicy: before, ...rest } = config;
  const policy = request.restartPolicy === undefined ? before : (request.restartPolicy ?? undefined);
  if (policy !== undefined && config.autoRemove)
    throw invalidArgument('cannot update container: what is removed at its end cannot start again', {
      reason: 'CONFIG_INVALID',
      hint: 'leave out the restart policy',
    });
  const labels = { ...config.labels, ...request.setLabels };
  for (const key of request.removeLabels) delete labels[key];
  return {
    ...rest,
    resources: changeResources(config.resources, request.resources),
    ...(policy === undefined ? {} : { restartPolicy: policy }),
    ...(request.stopSignal === undefined ? {} : { stopSignal: parseSignal(request.stopSignal) }),
    ...(request.stopTimeoutMs === undefined ? {} : { stopTimeoutMs: request.stopTimeoutMs }),
    labels,
  };
}

async function apply(
  engine: Engine,
  record: ContainerRecord,
  config: ContainerConfig,
): Promise<ContainerRecord> {
  const { id, run } = record;
  const { layout, prepare, hold } = engine.cgroups;
  await using undo = new UndoStack((label, err) => engine.log.error({ err, container: id }, label));
  await failpoint('update.begin');
  if (isAlive(record.status) && run !== undefined) {
    openRealTime(layout, posix.dirname(run.cgroupPath), config.resources);
    const place = { layout, path: run.cgroupPath };
    // A server that dies before the record changes leaves this, and the next one takes the limits back.
    const intent = intentFile(engine, id);
    undo.push('forget an update', () => rmSync(intent, { force: true }));
    writeFileSync(intent, encodeJson(config.resources), { mode: 0o600 });
    undo.push('take limits back', () => write(engine, place, config, record.config, true));
    await write(engine, place, record.config, config, false);
  } else {
    const trial = trialGroup(engine, record);
    using _parent = hold(trial.parent);
    prepare(trial.parent);
    tryLimits({ layout, path: trial.path }, config.resources, config.cgroupParent !== undefined);
  }
  await failpoint('update.limits');
  const folder = containerFolder(engine.paths, id);
  undo.push('write the configuration back', () => writeConfig(folder, record));
  // What a lost record would be rebuilt from, before the record itself.
  writeConfig(folder, { ...record, config });
  const event = containerEvent(record, 'update');
  const updated = await engine.store.containers.update(id, (now) => ({ ...now, config }), { event });
  undo.commit();
  rmSync(intentFile(engine, id), { force: true });
  await failpoint('update.done');
  return updated;
}

const intentFile = ({ paths }: Pick<Engine, 'paths'>, id: string): string =>
  `${containerFolder(paths, id)}/update.json`;

/** After a restart of the server: an update that was under way has not been, or is done with. */
export async function settleUpdate(
  engine: Pick<Engine, 'paths' | 'cgroups'>,
  { id, run, config }: ContainerRecord,
): Promise<void> {
  const intent = intentFile(engine, id);
  if (run === undefined || !existsSync(intent)) return;
  const place = { layout: engine.cgroups.layout, path: run.cgroupPath };
  const wanted = decodeJson(readFileSync(intent, 'utf8')) as Resources;
  await write(engine, place, { ...config, resources: wanted }, config, true);
  rmSync(intent, { force: true });
}

/** @param always - goes on after a refusal, to take back as much as can be. */
async function write(
  engine: Pick<Engine, 'cgroups'>,
  place: CgroupPlace,
  now: ContainerConfig,
  next: ContainerConfig,
  always: boolean,
): Promise<void> {
  const writes = changeWrites(place, now.resources, next.resources);
  const steps = [
    () => changeScope(engine, place.path, writes),
    ...writes.map((each) => () => changeLimit(each)),
    () => changeScope(engine, place.path, writes),
  ];
  for (const step of steps) await (always ? step().catch(() => undefined) : step());
  if ([now, next].some(({ resources }) => isReserving(resources))) engine.cgroups.reserve(place.path, false);
  if (now.resources.deviceRules === next.resources.deviceRules) return;
  try {
    changeDevices(place, hostDevices(now).rules, hostDevices(next).rules);
  } catch (error) {
    if (!always) throw error;
  }
}
