/** `mydocker ps`: containers, newest first. */
import { type ContainerSummary, ListContainersRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import { listContainers } from '../api/containers.ts';
import type { Action } from '../grammar/command.ts';
import type { PS_OPTIONS } from '../grammar/command-options.ts';
import type { Arguments } from '../grammar/option.ts';
import { print } from '../output.ts';
import { labelConditions, oneOf, parseFilters } from '../parse/parse-filters.ts';
import { parseWhole } from '../parse/parse-number.ts';
import { containerColumns, HEALTHS, labelOf, STATUSES, USUAL_COLUMNS } from '../render/container-columns.ts';
import { renderRows } from '../render/rows.ts';
import { showId } from '../render/values.ts';

const FILTERS = [
  'id',
  'name',
  'status',
  'image',
  'ancestor',
  'label',
  'label!',
  'network',
  'volume',
  'exited',
  'health',
  'publish',
  'before',
  'since',
] as const;

export const ps: Action<typeof PS_OPTIONS> = async (args, context) => {
  const { quiet, noTrunc = false, format } = args.options;
  const containers: ContainerSummary[] = [];
  const wanted = request(args);
  if (wanted !== undefined) {
    for await (const page of context.connect().serverStream(listContainers, wanted))
      containers.push(...page.containers);
  }
  if (quiet) print(containers.map(({ id }) => `${showId(id, noTrunc)}\n`).join(''));
  else {
    const usual = args.options.size ? [...USUAL_COLUMNS, 'Size'] : USUAL_COLUMNS;
    print(renderRows(containers, containerColumns(noTrunc), usual, format, { Label: labelOf }));
  }
  return 0;
};

/** @returns undefined where no container can meet the conditions. */
function request({ options }: Arguments<typeof PS_OPTIONS>): ListContainersRequest | undefined {
  const { running = false, last, latest, size = false } = options;
  const given = parseFilters(options.filter, FILTERS);
  // Docker's word for a container that could not be removed whole; there are none here.
  const statuses = given.status.filter((text) => text !== 'dead');
  if (statuses.length === 0 && given.status.length > 0) return undefined;
  const limit = latest ? 1 : last === undefined ? 0 : parseWhole('--last', last, -1, 1_000_000);
  return ListContainersRequest.create({
    runningOnly: running,
    // A template may ask for it without the option.
    size: size || /\.Size\b/i.test(options.format ?? ''),
    limit: Math.max(limit, 0),
    idPrefixes: given.id,
    // Docker knows names by a slash before them.
    names: given.name.map((name) => name.replace(/^(\^?)\//, '$1')),
    statuses: statuses.map((text) => oneOf('status', text, STATUSES)),
    images: [...given.image, ...given.ancestor],
    labels: labelConditions(given.label, given['label!']),
    networks: given.network,
    volumes: given.volume,
    exitStatuses: given.exited.map((text) => parseWhole('--filter exited', text, 0, 255)),
    healths: given.health.map((text) => oneOf('health', text, HEALTHS)),
    publishedPorts: given.publish.map((text) =>
      parseWhole('--filter publish', text.replace(/\/\w+$/, ''), 1, 65_535),
    ),
    beforeContainer: given.before.at(-1) ?? '',
    sinceContainer: given.since.at(-1) ?? '',
  });
}
