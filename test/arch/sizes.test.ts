/** No file outgrows its reason to exist. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linesOfC, SHIM_LINES, tooLong } from './sizes.ts';
import { projectFiles } from './tree.ts';

test('no file is too long', () => {
  const files = projectFiles(/\.(ts|mjs|c|h|sh)$/);
  assert.ok(files.size > 20, `only ${files.size} files were read`);
  assert.deepEqual(tooLong(files), []);
});

test('the C program stays small', () => {
  const lines = linesOfC(projectFiles(/^shim\/.*\.[ch]$/));
  assert.ok(lines > 0, 'no C file was read');
  assert.ok(lines < SHIM_LINES, `shim/ has ${lines} lines of code, ${SHIM_LINES} are the limit`);
});

test('the check finds a file that is too long', () => {
  const planted = new Map([
    ['server/ops/a.ts', 'x\n'.repeat(301)],
    ['shim/a.c', 'x\n'.repeat(301)],
    ['test/unit/a.test.ts', 'x\n'.repeat(501)],
    ['server/ops/b.ts', 'x\n'.repeat(300)],
    ['test/unit/b.test.ts', 'x\n'.repeat(500)],
    ['proto/gen/mydocker/v1/a.ts', 'x\n'.repeat(5000)],
  ]);
  assert.deepEqual(tooLong(planted), [
    'server/ops/a.ts has 301 lines, 300 are allowed',
    'shim/a.c has 301 lines, 300 are allowed',
    'test/unit/a.test.ts has 501 lines, 500 are allowed',
  ]);
});

test('comments and empty lines of C do not count', () => {
  assert.equal(linesOfC(new Map([['a.c', '/* why\n * it is */\n\nint a; /* 1 */\n// x\nint b;\n']])), 2);
});
