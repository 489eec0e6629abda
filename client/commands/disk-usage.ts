/** `mydocker system df`: what is on the disk, and what of it could be free. */
import {
  type DiskUsage,
  DiskUsageKind,
  GetDiskUsageRequest,
  type GetDiskUsageResponse,
  type ObjectDiskUsage,
} from '../../proto/gen/mydocker/v1/system.ts';
import { getDiskUsage } from '../api/system.ts';
import type { Action } from '../grammar/command.ts';
import type { DF_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { type Column, renderRows } from '../render/rows.ts';
import { renderTable } from '../render/table.ts';
import { showId, showSize, splitReference } from '../render/values.ts';

const TITLES: Readonly<Record<number, string>> = {
  [DiskUsageKind.IMAGES]: 'Images',
  [DiskUsageKind.BLOBS]: 'Blobs',
  [DiskUsageKind.CONTAINERS]: 'Containers',
  [DiskUsageKind.LOGS]: 'Logs',
  [DiskUsageKind.VOLUMES]: 'Volumes',
  [DiskUsageKind.METADATA]: 'Metadata',
  [DiskUsageKind.DOWNLOADS]: 'Downloads',
};

const USUAL = ['Type', 'TotalCount', 'Active', 'Size', 'Reclaimable'];

const COLUMNS: readonly Column<DiskUsage>[] = [
  { name: 'Type', heading: 'TYPE', of: ({ kind }) => TITLES[kind] ?? `kind ${kind}` },
  { name: 'TotalCount', heading: 'TOTAL', of: ({ count }) => String(count) },
  { name: 'Active', heading: 'ACTIVE', of: ({ activeCount }) => String(activeCount) },
  { name: 'Size', heading: 'SIZE', of: ({ sizeBytes }) => showSize(sizeBytes) },
  {
    name: 'Reclaimable',
    heading: 'RECLAIMABLE',
    of: ({ sizeBytes, reclaimableBytes }) => showSize(reclaimableBytes) + share(reclaimableBytes, sizeBytes),
  },
  { name: 'SizeBytes', heading: 'BYTES', of: ({ sizeBytes }) => String(sizeBytes) },
  {
    name: 'ReclaimableBytes',
    heading: 'RECLAIMABLE BYTES',
    of: ({ reclaimableBytes }) => String(reclaimableBytes),
  },
];

export const diskUsage: Action<typeof DF_OPTIONS> = async ({ options }, context) => {
  const { verbose = false, format } = options;
  const request = GetDiskUsageRequest.create({ objects: verbose });
  const answer = await context.connect().unary(getDiskUsage, request);
  print(renderRows(answer.usages, COLUMNS, USUAL, format));
  if (verbose && (format === undefined || format === 'table')) print(renderObjects(answer));
  return 0;
};

function share(part: bigint, whole: bigint): string {
  return whole === 0n ? '' : ` (${Number((part * 100n) / whole)}%)`;
}

function renderObjects({ objects }: GetDiskUsageResponse): string {
  const of = (kind: DiskUsageKind): readonly ObjectDiskUsage[] =>
    objects.filter((object) => object.kind === kind);
  const logs = new Map(of(DiskUsageKind.LOGS).map(({ id, sizeBytes }) => [id, sizeBytes]));
  const images = renderTable(
    ['REPO', 'TAG', 'IMAGE ID', 'SIZE', 'SHARED SIZE', 'UNIQUE SIZE', 'IN USE'],
    of(DiskUsageKind.IMAGES).flatMap(({ id, name, sizeBytes, sharedBytes, active }) =>
      (name === '' ? ['<none>:<none>'] : name.split(' ')).map((reference) => {
        const { repository, tag } = splitReference(reference);
        const sizes = [sizeBytes, sharedBytes, sizeBytes - sharedBytes].map(showSize);
        return [repository, tag, showId(id), ...sizes, active ? 'yes' : 'no'];
      }),
    ),
  );
  const containers = renderTable(
    ['CONTAINER ID', 'NAME', 'SIZE', 'LOG', 'RUNS'],
    of(DiskUsageKind.CONTAINERS).map(({ id, name, sizeBytes, active }) => [
      ...[showId(id), name, showSize(sizeBytes), showSize(logs.get(id) ?? 0n)],
      active ? 'yes' : 'no',
    ]),
  );
  const volumes = renderTable(
    ['VOLUME', 'SIZE', 'IN USE'],
    of(DiskUsageKind.VOLUMES).map(({ id, sizeBytes, active }) => [
      id,
      showSize(sizeBytes),
      active ? 'yes' : 'no',
    ]),
  );
  return `\nImages:\n\n${images}\nContainers:\n\n${containers}\nVolumes:\n\n${volumes}`;
}
