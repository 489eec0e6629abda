/**
 * Which containers a list shows. Reads memory alone and never waits, so that a list of hundreds costs what
 * sending it costs.
 */
import type { ContainerRecord, TaskStatus } from '../model/container.ts';
import { MydockerError } from '../model/error.ts';
import { DEFAULT_NETWORK_NAMES } from '../model/network.ts';
import { formatReference, parseReference } from '../model/reference.ts';
import { resolveImage } from '../model/resolve.ts';
import { isAlive } from '../model/task-state.ts';
import { networkNames } from './container-networks.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';

/** A condition on labels. */
export interface LabelCondition {
  readonly key: string;
  /** Value that it must have; absent: any. */
  readonly value?: string;
  /** Turns the condition round. */
  readonly absent: boolean;
}

/** All conditions must hold; in a list of values one of them, an empty list is no condition. */
export interface ContainerFilter {
  readonly runningOnly?: boolean;
  readonly statuses?: readonly TaskStatus[];
  readonly idPrefixes?: readonly string[];
  /** Parts of names; `^` before one is the beginning of a name, `$` behind it the end. */
  readonly names?: readonly string[];
  /** References, ids or unique prefixes of ids. */
  readonly images?: readonly string[];
  readonly labels?: readonly LabelCondition[];
  readonly networks?: readonly string[];
  /** Sources or destinations of mounts. */
  readonly volumes?: readonly string[];
  /** Ports of the host, one of which it publishes while it runs. */
  readonly hostPorts?: readonly number[];
  /** How the last run ended. */
  readonly exitStatuses?: readonly number[];
  /** Created before this container: id, name or unique prefix; `''`: any. */
  readonly before?: string;
  /** Created after this container; `''`: any. */
  readonly since?: string;
  /** At most this many; 0: all. */
  readonly limit?: number;
}

/**
 * Status as clients see it: a container whose process waits at the start gate is created, nothing of its own
 * runs yet.
 */
export function shownStatus({ status, run }: ContainerRecord): TaskStatus {
  // The pid is written down before "running" only where the start stops at the gate.
  return status === 'starting' && run !== undefined && run.pid !== 0 ? 'created' : status;
}

type Test = (record: ContainerRecord) => boolean;

/**
 * Containers, newest first.
 * @throws MydockerError `not-found` when `before` or `since` names none; never for an image that is not there.
 */
export function listContainers(engine: Pick<Engine, 'store'>, filter: ContainerFilter): ContainerRecord[] {
  const tests = testsOf(engine, filter);
  const found: ContainerRecord[] = [];
  const limit = filter.limit === undefined || filter.limit === 0 ? Infinity : filter.limit;
  for (const record of engine.store.containers.list().reverse()) {
    if (found.length >= limit) break;
    if (tests.every((test) => test(record))) found.push(record);
  }
  return found;
}

/** Whether an object's labels meet all conditions. */
export function labelsMatch(
  labels: Readonly<Record<string, string>>,
  conditions: readonly LabelCondition[],
): boolean {
  return conditions.every(({ key, value, absent }) => {
    const has = Object.hasOwn(labels, key) && (value === undefined || labels[key] === value);
    return has !== absent;
  });
}

/** Says whether a container was made from one of the images, also from one that has been removed since. */
export function imageTest(engine: Pick<Engine, 'store'>, images: readonly string[]): Test {
  const ids = new Set<string>();
  const references = new Set<string>();
  for (const text of images) {
    const { id, reference } = lookUp(engine, text);
    if (id !== undefined) ids.add(id);
    if (reference !== undefined) references.add(reference);
  }
  return ({ config: { rootfs } }) =>
    rootfs.kind === 'image' &&
    (ids.has(rootfs.imageId) || references.has(fullReference(rootfs.reference) ?? ''));
}

function testsOf(engine: Pick<Engine, 'store'>, filter: ContainerFilter): Test[] {
  const { statuses, idPrefixes, names, images, labels, networks, volumes, exitStatuses, hostPorts } = filter;
  const tests: Test[] = [];
  if (filter.runningOnly === true) tests.push((record) => isAlive(shownStatus(record)));
  if (given(statuses)) tests.push((record) => statuses.includes(shownStatus(record)));
  if (given(idPrefixes)) tests.push((record) => idPrefixes.some((prefix) => record.id.startsWith(prefix)));
  if (given(names)) tests.push(nameTest(names));
  if (given(images)) tests.push(imageTest(engine, images));
  if (given(labels)) tests.push((record) => labelsMatch(record.config.labels, labels));
  if (given(networks)) tests.push(networkTest(engine, networks));
  if (given(volumes)) tests.push(mountTest(volumes));
  if (given(hostPorts))
    tests.push(
      ({ status, run }) =>
        isAlive(status) && (run?.ports ?? []).some(({ hostPort }) => hostPorts.includes(hostPort)),
    );
  if (given(exitStatuses))
    tests.push(({ exit }) => exit !== undefined && exitStatuses.includes(exit.exitStatus));
  if (filter.before !== undefined && filter.before !== '') {
    const { createdAt } = findContainer(engine, filter.before);
    tests.push((record) => record.createdAt < createdAt);
  }
  if (filter.since !== undefined && filter.since !== '') {
    const { createdAt } = findContainer(engine, filter.since);
    tests.push((record) => record.createdAt > createdAt);
  }
  return tests;
}

function nameTest(patterns: readonly string[]): Test {
  const tests = patterns.map((pattern): ((name: string) => boolean) => {
    const [, begins, part = '', ends] = /^(\^?)(.*?)(\$?)$/s.exec(pattern) ?? [];
    if (begins === '^' && ends === '$') return (name) => name === part;
    if (begins === '^') return (name) => name.startsWith(part);
    return ends === '$' ? (name) => name.endsWith(part) : (name) => name.includes(part);
  });
  return ({ name }) => tests.some((test) => test(name));
}

/** By name or id; the default network has other names too. */
function networkTest(engine: Pick<Engine, 'store'>, networks: readonly string[]): Test {
  const isDefault = networks.some((name) => DEFAULT_NETWORK_NAMES.includes(name));
  return (record) =>
    (isDefault && record.config.network === 'networks') ||
    networkNames(engine, record).some((name) => networks.includes(name)) ||
    (record.endpoints ?? []).some(({ networkId }) => networks.includes(networkId));
}

function given<T>(values: readonly T[] | undefined): values is readonly T[] {
  return values !== undefined && values.length > 0;
}

function mountTest(volumes: readonly string[]): Test {
  return ({ config }) =>
    config.mounts.some(
      ({ source, destination }) => volumes.includes(source) || volumes.includes(destination),
    ) ||
    (config.volumes ?? []).some(
      ({ volume, destination }) => volumes.includes(volume) || volumes.includes(destination),
    );
}

function lookUp(engine: Pick<Engine, 'store'>, text: string): { id?: string; reference?: string } {
  const { images } = engine.store;
  const reference = fullReference(text);
  try {
    const id = resolveImage(text, { ids: images.ids(), idByName: (name) => images.idByReference(name) });
    return reference === undefined ? { id } : { id, reference };
  } catch (error) {
    if (error instanceof MydockerError && reference !== undefined) return { reference };
    throw error;
  }
}

function fullReference(text: string): string | undefined {
  try {
    return formatReference(parseReference(text));
  } catch {
    return undefined;
  }
}
