/**
 * `image prune`, `container prune`, `network prune`, `volume prune`, `system prune`: removal of what nothing uses, asked
 * for twice.
 */
import { PruneContainersRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { PruneImagesRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { PruneNetworksRequest } from '../../proto/gen/mydocker/v1/networks.ts';
import { PruneSystemRequest } from '../../proto/gen/mydocker/v1/system.ts';
import { PruneFilter } from '../../proto/gen/mydocker/v1/types.ts';
import { PruneVolumesRequest } from '../../proto/gen/mydocker/v1/volumes.ts';
import { confirm } from '../confirm.ts';
import type { Action } from '../grammar/command.ts';
import type {
  CONTAINER_PRUNE_OPTIONS,
  IMAGE_PRUNE_OPTIONS,
  SYSTEM_PRUNE_OPTIONS,
} from '../grammar/command-options.ts';
import type { VOLUME_PRUNE_OPTIONS } from '../grammar/volume-commands.ts';
import { print } from '../output.ts';
import { type Filters, labelConditions, parseFilters } from '../parse/parse-filters.ts';
import { parseWhen } from '../parse/parse-when.ts';
import { printable } from '../render/printable.ts';
import { showReference, showSize } from '../render/values.ts';

const FILTERS = ['until', 'label', 'label!'] as const;

const IMAGES = 'all images without a name';
const ALL_IMAGES = 'all images that no container uses';
const CONTAINERS = 'all containers that do not run';

export const pruneImages: Action<typeof IMAGE_PRUNE_OPTIONS> = async ({ options }, context) => {
  const { all = false, force = false } = options;
  const filter = pruneFilter(options.filter);
  confirm(`This removes ${all ? ALL_IMAGES : IMAGES}.`, force);
  const { pruneImages: method } = await import('../api/images.ts');
  const { untagged, deleted, reclaimedBytes } = await context
    .connect()
    .unary(method, PruneImagesRequest.create({ all, filter }));
  print(listedImages(untagged, deleted) + reclaimed(reclaimedBytes));
  return 0;
};

export const pruneContainers: Action<typeof CONTAINER_PRUNE_OPTIONS> = async ({ options }, context) => {
  const { force = false } = options;
  const filter = pruneFilter(options.filter);
  confirm(`This removes ${CONTAINERS}, with their files and logs.`, force);
  const { pruneContainers: method } = await import('../api/containers.ts');
  const { removed, reclaimedBytes } = await context
    .connect()
    .unary(method, PruneContainersRequest.create({ filter }));
  print(listed('Containers', removed) + reclaimed(reclaimedBytes));
  return 0;
};

export const pruneNetworks: Action<typeof CONTAINER_PRUNE_OPTIONS> = async ({ options }, context) => {
  const { force = false } = options;
  const filter = pruneFilter(options.filter);
  confirm('This removes all networks that no container stands in.', force);
  const { pruneNetworks: method } = await import('../api/networks.ts');
  const { removed } = await context.connect().unary(method, PruneNetworksRequest.create({ filter }));
  print(listed('Networks', removed));
  return 0;
};

export const pruneVolumes: Action<typeof VOLUME_PRUNE_OPTIONS> = async ({ options }, context) => {
  const { force = false } = options;
  const { all: filters, ...given } = parseFilters(options.filter, [...FILTERS, 'all']);
  const all = (options.all ?? false) || filters.some((value) => /^(?:1|t|true)$/i.test(value));
  confirm(`This removes all ${all ? '' : 'anonymous '}volumes that no container has.`, force);
  const { pruneVolumes: method } = await import('../api/volumes.ts');
  const { removed, reclaimedBytes } = await context
    .connect()
    .unary(method, PruneVolumesRequest.create({ all, filter: pruneFilterOf(given) }));
  print(listed('Volumes', removed) + reclaimed(reclaimedBytes));
  return 0;
};

export const pruneSystem: Action<typeof SYSTEM_PRUNE_OPTIONS> = async ({ options }, context) => {
  const { all = false, force = false, volumes = false } = options;
  const filter = pruneFilter(options.filter);
  const data = volumes ? ', and anonymous volumes that no container has' : '';
  confirm(`This removes ${CONTAINERS}, and ${all ? ALL_IMAGES : IMAGES}${data}.`, force);
  const { pruneSystem: method } = await import('../api/system.ts');
  const removed = await context
    .connect()
    .unary(method, PruneSystemRequest.create({ allImages: all, volumes, filter }));
  const { containers, untagged, images, reclaimedBytes } = removed;
  print(
    listed('Containers', containers) +
      listed('Volumes', removed.volumes) +
      listedImages(untagged, images) +
      reclaimed(reclaimedBytes),
  );
  return 0;
};

const pruneFilter = (given: readonly string[]): PruneFilter => pruneFilterOf(parseFilters(given, FILTERS));

function pruneFilterOf({ until, label, 'label!': absent }: Filters<(typeof FILTERS)[number]>): PruneFilter {
  const time = until.at(-1);
  return PruneFilter.create({
    labels: labelConditions(label, absent),
    ...(time === undefined ? {} : { createdBefore: parseWhen('--filter until', time) }),
  });
}

/** As Docker lists them: a heading, a line each, an empty one. */
function listed(what: string, lines: readonly string[]): string {
  return lines.length === 0
    ? ''
    : `Deleted ${what}:\n${lines.map((line) => `${printable(line)}\n`).join('')}\n`;
}

function listedImages(untagged: readonly string[], deleted: readonly string[]): string {
  return listed('Images', [
    ...untagged.map((name) => `untagged: ${showReference(name)}`),
    ...deleted.map((id) => `deleted: ${id}`),
  ]);
}

const reclaimed = (bytes: bigint): string => `Total reclaimed space: ${showSize(bytes)}\n`;
