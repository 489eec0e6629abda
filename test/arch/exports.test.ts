/** Nothing is exported that nobody else uses: it would look like a part of what a file offers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { projectFiles } from './tree.ts';

const EXPORT = /^export\s+(?:async\s+)?(?:function\*?|const|let|class)\s+(\w+)/gm;
const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;

/**
 * By name, so that what is imported while the program runs, or through a whole module, counts as used.
 * @param files - paths and texts.
 * @returns a line for each exported value of server/, native/ and client/ whose name is in no other file.
 */
function unused(files: ReadonlyMap<string, string>): string[] {
  const places = new Map<string, Set<string>>();
  for (const [path, text] of files)
    for (const [name] of text.replaceAll(COMMENT, '').matchAll(/[A-Za-z_]\w*/g)) {
      const there = places.get(name) ?? new Set();
      places.set(name, there.add(path));
    }
  return [...files].flatMap(([path, text]) =>
    /^(?:server|native|client)\//.test(path)
      ? [...text.matchAll(EXPORT)]
          .filter(([, name = '']) => (places.get(name)?.size ?? 0) < 2)
          .map(([, name]) => `${path} exports ${name}, which no other file uses`)
      : [],
  );
}

test('every exported value is used in another file', () => {
  const files = projectFiles(/^(?:server|native|client|test|scripts)\/.*\.(?:ts|mjs)$/);
  assert.ok(files.size > 20, `only ${files.size} files were read`);
  assert.deepEqual(unused(files), []);
});

test('the check finds one that is not', () => {
  const planted = new Map([
    ['server/a.ts', 'export const one = 1;\nexport function two() {}\nexport async function* three() {}\n'],
    ['client/b.ts', "// three\nconst { one } = await import('../server/a.ts');\nexport class Four {}\n"],
    ['test/c.ts', 'export const five = new Four();\n'],
  ]);
  assert.deepEqual(unused(planted), [
    'server/a.ts exports two, which no other file uses',
    'server/a.ts exports three, which no other file uses',
  ]);
});
