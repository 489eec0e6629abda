/** What the documents and comments point at exists. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PROJECT } from '../harness/cli.ts';
import { projectFiles } from './tree.ts';

/** Paths below docs/ that a text names, anywhere; and, in a document, the relative targets of its links. */
function mentioned(path: string, text: string): string[] {
  const named = [...text.matchAll(/(?<![\w/.-])docs\/[\w/.-]*\.(?:md|svg|json)/g)].map((match) => match[0]);
  if (!path.endsWith('.md')) return named;
  const links = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map((match) => match[1] ?? '');
  return [...named, ...links.map((link) => new URL(link, `file:///${path}`).pathname.slice(1))];
}

/** Says which texts name what is not there. */
function missing(files: ReadonlyMap<string, string>, exists: (path: string) => boolean): string[] {
  return [...files].flatMap(([path, text]) =>
    mentioned(path, text)
      .filter((target) => !exists(target))
      .map((target) => `${path} names ${target}, which does not exist`),
  );
}

test('every document that is named exists', () => {
  // This file names some that do not, on purpose.
  const files = projectFiles(/^(?!test\/arch\/documents).*\.(md|ts|mjs|c|h|sh|proto|json|yaml)$/);
  assert.ok(files.size > 20, `only ${files.size} files were read`);
  assert.deepEqual(
    missing(files, (path) => existsSync(join(PROJECT, path))),
    [],
  );
});

test('the check finds a path in a comment and a link in a document', () => {
  const planted = new Map([
    ['server/a.ts', '// drawn in docs/none.md'],
    [
      'docs/adr/0001-a.md',
      'see [b](0002-b.md) and [c](../start.md#order) and [web](https://example.org/docs/x.md)',
    ],
    ['README.md', 'see [d](docs/there.md)'],
  ]);
  assert.deepEqual(
    missing(planted, (path) => path === 'docs/there.md'),
    [
      'server/a.ts names docs/none.md, which does not exist',
      'docs/adr/0001-a.md names docs/adr/0002-b.md, which does not exist',
      'docs/adr/0001-a.md names docs/start.md, which does not exist',
    ],
  );
});
