/** Conditions of lists from the wire. */
import type { ListContainersRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import {
  HealthStatus,
  type LabelFilter,
  type PruneFilter,
  TaskStatus,
} from '../../proto/gen/mydocker/v1/types.ts';
import type { TaskStatus as Status } from '../model/container.ts';
import type { ContainerFilter, LabelCondition } from '../ops/list-containers.ts';
import { decodeStatus } from './encode-run.ts';
import { fromTimestamp } from './timestamp.ts';

/**
 * @returns undefined where no container can meet the conditions.
 */
export function decodeContainerFilter(request: ListContainersRequest): ContainerFilter | undefined {
  const { runningOnly, idPrefixes, names, images, networks, volumes, exitStatuses, limit } = request;
  const statuses = decodeStatuses(request.statuses);
  const healthy = request.healths.length === 0 || request.healths.includes(HealthStatus.UNSPECIFIED);
  // No container of this version is checked.
  if (statuses === undefined || !healthy) return undefined;
  return {
    ...{ statuses, runningOnly, idPrefixes, names, images, networks, volumes, exitStatuses, limit },
    hostPorts: request.publishedPorts,
    labels: decodeLabels(request.labels),
    before: request.beforeContainer,
    since: request.sinceContainer,
  };
}

export function decodeLabels(filters: readonly LabelFilter[]): readonly LabelCondition[] {
  return filters.map(({ key, value, absent }) =>
    value === undefined ? { key, absent } : { key, value, absent },
  );
}

/** What prunes look at; nothing given is no condition. */
export function decodePrune(filter: PruneFilter | undefined): {
  readonly createdBefore?: bigint;
  readonly labels: readonly LabelCondition[];
} {
  const { createdBefore, labels = [] } = filter ?? {};
  return {
    labels: decodeLabels(labels),
    ...(createdBefore === undefined ? {} : { createdBefore: fromTimestamp('created_before', createdBefore) }),
  };
}

function decodeStatuses(statuses: readonly TaskStatus[]): readonly Status[] | undefined {
  if (statuses.length === 0 || statuses.includes(TaskStatus.UNSPECIFIED)) return [];
  const known = statuses.map(decodeStatus).filter((status) => status !== undefined);
  return known.length === 0 ? undefined : known;
}
