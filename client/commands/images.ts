/** `mydocker images`: images, newest first, a line for each reference. */
import { type ImageSummary, ListImagesRequest } from '../../proto/gen/mydocker/v1/images.ts';
import { listImages } from '../api/images.ts';
import type { Action } from '../grammar/command.ts';
import type { IMAGES_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { labelConditions, oneOf, parseFilters } from '../parse/parse-filters.ts';
import { renderTable } from '../render/table.ts';
import { showId, showSize, showTime, splitReference } from '../render/values.ts';

const HEADING = ['IMAGE ID', 'REPO', 'TAG', 'COUNTS', 'CREATED', 'SIZE'];
const FILTERS = ['reference', 'dangling', 'label', 'label!', 'before', 'since'] as const;

export const images: Action<typeof IMAGES_OPTIONS> = async ({ options, positionals }, context) => {
  const { quiet, noTrunc = false } = options;
  const given = parseFilters(options.filter, FILTERS);
  const dangling = given.dangling.map((text) =>
    oneOf('value of dangling', text, { true: true, false: false }),
  );
  const request = ListImagesRequest.create({
    references: [...given.reference, ...positionals],
    danglingOnly: dangling.at(-1) ?? false,
    labels: labelConditions(given.label, given['label!']),
    beforeImage: given.before.at(-1) ?? '',
    sinceImage: given.since.at(-1) ?? '',
  });
  const found: ImageSummary[] = [];
  for await (const page of context.connect().serverStream(listImages, request)) found.push(...page.images);
  if (quiet) print(found.map(({ id }) => `${showId(id, noTrunc)}\n`).join(''));
  else
    print(
      renderTable(
        HEADING,
        found.flatMap((image) => rows(image, noTrunc)),
      ),
    );
  return 0;
};

function rows(image: ImageSummary, whole: boolean): string[][] {
  const references = image.references.length === 0 ? ['<none>'] : image.references;
  return references.map((reference) => {
    const { repository, tag } = splitReference(reference);
    return [
      showId(image.id, whole),
      repository,
      tag,
      String(image.containerCount),
      // When it came here, as this is what people look for; `inspect` has both times.
      showTime(image.addedAt ?? image.createdAt),
      showSize(image.sizeBytes),
    ];
  });
}
