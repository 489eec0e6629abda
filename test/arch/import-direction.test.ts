/** Imports go downwards only. The check is proved on imports that are planted here. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkLayers, importsOf } from './layers.ts';
import { projectFiles } from './tree.ts';

test('every import of the project goes downwards', () => {
  const files = projectFiles(/^(server|native|client|proto\/gen|scripts)\/.*\.ts$/);
  const { violations, importCount } = checkLayers(files);
  assert.deepEqual(violations, []);
  assert.ok(importCount > 20, `only ${importCount} imports were read`);
});

describe('the check finds', () => {
  const planted: [path: string, specifier: string, why: string][] = [
    ['server/model/a.ts', 'node:fs', 'I/O in the model'],
    ['server/model/a.ts', '../image/b.ts', 'the model looking up'],
    ['server/image/a.ts', '../network/b.ts', 'a noun that knows another'],
    ['server/image/a.ts', '../ops/b.ts', 'a noun that knows an operation'],
    ['server/image/a.ts', '../../proto/gen/mydocker/v1/images.ts', 'a noun that knows the wire'],
    ['server/task/a.ts', 'level', 'a second door to LevelDB'],
    ['server/ops/a.ts', '../grpc/b.ts', 'an operation that knows gRPC'],
    ['server/ops/a.ts', '../../native/b.ts', 'an operation that makes system calls'],
    ['server/ops/a.ts', 'koffi', 'koffi outside native/'],
    ['server/spec/a.ts', 'koffi', 'koffi outside native/'],
    ['server/grpc/a.ts', '../store/b.ts', 'a method that skips the operations'],
    ['server/log.ts', './ops/b.ts', 'the log looking up'],
    ['native/a.ts', '../server/model/b.ts', 'a binding that knows the server'],
    ['client/a.ts', '../server/model/b.ts', 'the client that knows the server'],
    ['client/commands/a.ts', '@grpc/grpc-js', 'a client that loads grpc-js'],
    ['client/a.ts', 'koffi', 'koffi in the client'],
  ];
  for (const [path, specifier, why] of planted) {
    test(why, () => {
      for (const text of [
        `import { b } from '${specifier}';\n`,
        `import type { B } from "${specifier}";\n`,
        `import {\n  b,\n  c,\n} from '${specifier}';\n`,
        `export { b } from '${specifier}';\n`,
        `import '${specifier}';\n`,
        `const b = await import('${specifier}');\n`,
      ]) {
        assert.equal(checkLayers(new Map([[path, text]])).violations.length, 1, text);
      }
    });
  }

  test('a file that is in no layer', () => {
    assert.deepEqual(checkLayers(new Map([['server/new/a.ts', '']])).violations, [
      'server/new/a.ts is in no layer',
    ]);
  });
});

test('what a layer may import passes', () => {
  const allowed: [path: string, specifier: string][] = [
    ['server/main.ts', './grpc/server.ts'],
    ['server/grpc/tasks.ts', '../ops/start-task.ts'],
    ['server/ops/start-task.ts', '../spec/plan.ts'],
    ['server/ops/start-task.ts', '../failpoint.ts'],
    ['server/task/bundle.ts', '../../native/fd.ts'],
    ['server/task/bundle.ts', '../model/error.ts'],
    ['server/task/bundle.ts', './shim-client.ts'],
    ['native/mount.ts', 'koffi'],
    ['client/main.ts', '../proto/gen/mydocker/v1/tasks.ts'],
  ];
  for (const [path, specifier] of allowed) {
    assert.deepEqual(checkLayers(new Map([[path, `import { b } from '${specifier}';`]])).violations, []);
  }
});

test('an example in a comment is no import', () => {
  assert.deepEqual(
    importsOf(" * import { a } from './a.ts'\n// import './b.ts';\n * await import('./c.ts')\n"),
    [],
  );
});
