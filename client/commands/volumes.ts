/** `mydocker volume …`: the calls as they are. */
import {
  CreateVolumeRequest,
  ListVolumesRequest,
  RemoveVolumeRequest,
  type Volume,
} from '../../proto/gen/mydocker/v1/volumes.ts';
import {
  createVolume as createMethod,
  listVolumes as listMethod,
  removeVolume as removeMethod,
} from '../api/volumes.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type {
  VOLUME_CREATE_OPTIONS,
  VOLUME_REMOVE_OPTIONS,
  VOLUMES_OPTIONS,
} from '../grammar/volume-commands.ts';
import { print } from '../output.ts';
import { labelConditions, oneOf, parseFilters } from '../parse/parse-filters.ts';
import { parseLabels } from '../parse/parse-key-value.ts';
import { type Column, renderRows } from '../render/rows.ts';
import { showTime } from '../render/values.ts';
import { UsageError } from '../usage-error.ts';

const USUAL = ['Driver', 'Name'];
const FILTERS = ['dangling', 'driver', 'label', 'label!', 'name'] as const;
const TRUTH = { true: true, '1': true, t: true, false: false, '0': false, f: false } as const;

export const listVolumes: Action<typeof VOLUMES_OPTIONS> = async ({ options }, context) => {
  const given = parseFilters(options.filter, FILTERS);
  const dangling = given.dangling.at(-1);
  const request = ListVolumesRequest.create({
    names: given.name,
    drivers: given.driver,
    labels: labelConditions(given.label, given['label!']),
    ...(dangling === undefined ? {} : { unused: oneOf<boolean>('dangling', dangling, TRUTH) }),
  });
  const found: Volume[] = [];
  for await (const page of context.connect().serverStream(listMethod, request)) found.push(...page.volumes);
  const { quiet, format } = options;
  if (quiet) print(found.map(({ name }) => `${name}\n`).join(''));
  else print(renderRows(found, COLUMNS, USUAL, format, { Label: labelOf }));
  return 0;
};

const labelOf = ({ labels }: Volume, key: string): string => labels[key] ?? '';

const COLUMNS: readonly Column<Volume>[] = [
  { name: 'Name', heading: 'VOLUME NAME', of: ({ name }) => name },
  { name: 'Driver', heading: 'DRIVER', of: ({ driver }) => driver },
  { name: 'Scope', heading: 'SCOPE', of: () => 'local' },
  { name: 'Mountpoint', heading: 'MOUNTPOINT', of: ({ mountpoint }) => mountpoint },
  { name: 'Links', heading: 'LINKS', of: ({ containers }) => String(containers.length) },
  { name: 'CreatedAt', heading: 'CREATED', of: ({ createdAt }) => showTime(createdAt) },
  {
    name: 'Labels',
    heading: 'LABELS',
    of: ({ labels }) =>
      Object.entries(labels)
        .map(([key, value]) => `${key}=${value}`)
        .sort()
        .join(','),
  },
];

export const createVolume: Action<typeof VOLUME_CREATE_OPTIONS> = async (
  { options, positionals },
  context,
) => {
  const [positional = ''] = positionals;
  if (positional !== '' && options.name !== undefined && options.name !== positional)
    throw new UsageError('two names were given', { hint: 'volume create NAME' });
  const request = CreateVolumeRequest.create({
    name: options.name ?? positional,
    driver: options.driver ?? '',
    options: driverOptions(options.opt),
    labels: parseLabels(options.label),
  });
  const { volume } = await context.connect().unary(createMethod, request);
  print(`${volume?.name ?? ''}\n`);
  return 0;
};

function driverOptions(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map((entry) => {
      const cut = entry.indexOf('=');
      if (cut < 1)
        throw new UsageError(`invalid option ${JSON.stringify(entry)}: it is not KEY=VALUE`, {
          hint: 'for example -o type=tmpfs -o device=tmpfs -o o=size=64m',
        });
      return [entry.slice(0, cut), entry.slice(cut + 1)];
    }),
  );
}

export const removeVolumes: Action<typeof VOLUME_REMOVE_OPTIONS> = async (
  { options, positionals },
  context,
) =>
  await eachTarget(positionals, async (volume) => {
    const { force = false } = options;
    await context.connect().unary(removeMethod, RemoveVolumeRequest.create({ volume, force }));
    return volume;
  });
