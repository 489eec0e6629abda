/** `mydocker history`: the steps that made an image. */
import { GetImageHistoryRequest, type ImageHistoryEntry } from '../../proto/gen/mydocker/v1/images.ts';
import { getImageHistory } from '../api/images.ts';
import type { Action } from '../grammar/command.ts';
import type { HISTORY_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { type Column, renderRows } from '../render/rows.ts';
import { truncate } from '../render/table.ts';
import { showAgo, showId, showInstant, showSize } from '../render/values.ts';

const USUAL = ['ID', 'CreatedSince', 'CreatedBy', 'Size', 'Comment'];
const COMMAND_WIDTH = 45;
/** Of the steps only the last one is an image here. */
const MISSING = '<missing>';

export const history: Action<typeof HISTORY_OPTIONS> = async (
  { options, positionals: [image = ''] },
  context,
) => {
  const { quiet, noTrunc = false, human = true, format } = options;
  const request = GetImageHistoryRequest.create({ image });
  const { entries } = await context.connect().unary(getImageHistory, request);
  const all = columns(noTrunc, human);
  if (quiet) print(entries.map((entry) => `${idOf(entry, noTrunc)}\n`).join(''));
  else print(renderRows(entries, all, USUAL, format));
  return 0;
};

const idOf = ({ imageId }: ImageHistoryEntry, whole: boolean): string =>
  imageId === '' ? MISSING : showId(imageId, whole);

function columns(whole: boolean, human: boolean): readonly Column<ImageHistoryEntry>[] {
  const at = ({ createdAt }: ImageHistoryEntry): string =>
    createdAt === undefined ? '' : showInstant(createdAt);
  return [
    { name: 'ID', heading: 'IMAGE', of: (entry) => idOf(entry, whole) },
    {
      name: 'CreatedSince',
      heading: human ? 'CREATED' : 'CREATED AT',
      of: (entry) => (human ? showAgo(entry.createdAt) : at(entry)),
    },
    { name: 'CreatedAt', heading: 'CREATED AT', of: at },
    {
      name: 'CreatedBy',
      heading: 'CREATED BY',
      of: ({ createdBy }) => (whole ? createdBy : truncate(createdBy.replaceAll('\t', ' '), COMMAND_WIDTH)),
    },
    {
      name: 'Size',
      heading: 'SIZE',
      of: ({ sizeBytes }) => (human ? showSize(sizeBytes) : String(sizeBytes)),
    },
    { name: 'Comment', heading: 'COMMENT', of: ({ comment }) => comment },
    { name: 'Tags', heading: 'TAGS', of: ({ references }) => references.join(',') },
  ];
}
