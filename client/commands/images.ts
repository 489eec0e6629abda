/** `mydocker images`: images, newest first, a line for each reference. */
import { type ImageSummary, ListImagesRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { listImages } from '../api/images.ts';
import type { Action } from '../grammar/command.ts';
import type { IMAGES_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { labelConditions, oneOf, parseFilters } from '../parse/parse-filters.ts';
import { parseWhen } from '../parse/parse-when.ts';
import { type Column, renderRows } from '../render/rows.ts';
import { showAgo, showId, showSize, showTime, splitReference } from '../render/values.ts';

const USUAL = ['ID', 'Repository', 'Tag', 'Containers', 'CreatedAt', 'Size'];
const WITH_DIGESTS = ['ID', 'Repository', 'Tag', 'Digest', 'Containers', 'CreatedAt', 'Size'];
const FILTERS = ['reference', 'dangling', 'label', 'label!', 'before', 'since', 'until'] as const;
const NONE = '<none>';
/** Age of an image that does not say when it was built. */
const UNKNOWN = 'N/A';

/** A line of the list. */
interface Row {
  readonly image: ImageSummary;
  readonly repository: string;
  readonly tag: string;
}

export const images: Action<typeof IMAGES_OPTIONS> = async ({ options, positionals }, context) => {
  const { quiet, noTrunc = false, digests = false, format } = options;
  const given = parseFilters(options.filter, FILTERS);
  const dangling = given.dangling
    .map((text) => oneOf('value of dangling', text, { true: true, false: false }))
    .at(-1);
  const until = given.until.at(-1);
  const request = ListImagesRequest.create({
    references: [...given.reference, ...positionals],
    danglingOnly: dangling ?? false,
    labels: labelConditions(given.label, given['label!']),
    beforeImage: given.before.at(-1) ?? '',
    sinceImage: given.since.at(-1) ?? '',
    createdBefore: until === undefined ? undefined : parseWhen('--filter until', until),
  });
  const found: ImageSummary[] = [];
  for await (const page of context.connect().serverStream(listImages, request)) found.push(...page.images);
  const shown = dangling === false ? found.filter(({ references }) => references.length > 0) : found;
  if (quiet) print(shown.map(({ id }) => `${showId(id, noTrunc)}\n`).join(''));
  else {
    const usual = digests ? WITH_DIGESTS : USUAL;
    print(renderRows(shown.flatMap(rowsOf), columns(noTrunc), usual, format, { Label: labelOf }));
  }
  return 0;
};

function rowsOf(image: ImageSummary): Row[] {
  // What was pulled by its digest has no tag, and is known by where it came from.
  const names = image.references.length > 0 ? image.references : image.repoDigests;
  if (names.length === 0) return [{ image, repository: NONE, tag: NONE }];
  return names.map((reference) => ({ image, ...splitReference(reference) }));
}

/** What the registry called it, or else its own manifest. */
function digestOf({ image, repository }: Row): string {
  const own = image.repoDigests.find((reference) => splitReference(reference).repository === repository);
  return own?.slice(own.indexOf('@') + 1) ?? image.target?.digest ?? NONE;
}

const labelOf = ({ image }: Row, key: string): string =>
  Object.hasOwn(image.labels, key) ? (image.labels[key] ?? '') : '';

/** When it was built, as with Docker; `inspect` has the time when it came here beside it. */
const timeOf = ({ image }: Row): ImageSummary['createdAt'] => image.createdAt;

function columns(whole: boolean): readonly Column<Row>[] {
  return [
    { name: 'ID', heading: 'IMAGE ID', of: ({ image }) => showId(image.id, whole) },
    { name: 'Repository', heading: 'REPO', of: ({ repository }) => repository },
    { name: 'Tag', heading: 'TAG', of: ({ tag }) => tag },
    { name: 'Digest', heading: 'DIGEST', of: digestOf },
    { name: 'Containers', heading: 'COUNTS', of: ({ image }) => String(image.containerCount) },
    { name: 'CreatedAt', heading: 'CREATED', of: (row) => showTime(timeOf(row)) || UNKNOWN },
    { name: 'CreatedSince', heading: 'CREATED', of: (row) => showAgo(timeOf(row)) || UNKNOWN },
    { name: 'Size', heading: 'SIZE', of: ({ image }) => showSize(image.sizeBytes) },
    { name: 'UniqueSize', heading: 'UNIQUE SIZE', of: ({ image }) => showSize(image.uniqueSizeBytes) },
    {
      name: 'SharedSize',
      heading: 'SHARED SIZE',
      of: ({ image }) => showSize(image.sizeBytes - image.uniqueSizeBytes),
    },
    { name: 'Labels', heading: 'LABELS', of: ({ image }) => showLabels(image.labels) },
    {
      name: 'Platform',
      heading: 'PLATFORM',
      of: ({ image: { platform } }) =>
        [platform?.os, platform?.architecture, platform?.variant].filter(Boolean).join('/'),
    },
  ];
}

function showLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}
