/** Failpoints: each term, counts and chains, typos, and a real death. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { configureFailpoints, failpoint, onFailpoint } from '../../server/failpoint.ts';

const MODULE = new URL('../../server/failpoint.ts', import.meta.url).href;

afterEach(() => {
  configureFailpoints(undefined);
  onFailpoint(undefined);
});

test('off, a failpoint does nothing at once', () => {
  assert.equal(failpoint('create.put'), undefined);
  configureFailpoints('');
  assert.equal(failpoint('create.put'), undefined);
  configureFailpoints('create.put=off');
  assert.equal(failpoint('create.put'), undefined);
});

test('a chain runs each term for its count and is off after the last', () => {
  configureFailpoints('create.put=1*off->2*error(no -> room; at all)->1*panic');
  assert.equal(failpoint('create.put'), undefined);
  assert.throws(() => failpoint('create.put'), {
    message: 'no -> room; at all',
    code: 'internal',
    reason: 'FAILPOINT',
  });
  assert.throws(() => failpoint('create.put'), { code: 'internal' });
  assert.throws(
    () => failpoint('create.put'),
    (error: Error) => !('code' in error),
  );
  assert.equal(failpoint('create.put'), undefined);
  assert.equal(failpoint('start.begin'), undefined);
});

test('a file may come, change and go', () => {
  const folder = mkdtempSync(join(tmpdir(), 'failpoint-'));
  const path = join(folder, 'points');
  const write = (text: string): void => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  try {
    configureFailpoints(`@${path}`);
    assert.equal(failpoint('create.put'), undefined);
    write('create.put=1*error(one)');
    assert.throws(() => failpoint('create.put'), { message: 'one' });
    assert.equal(failpoint('create.put'), undefined);
    // The same once more counts anew.
    write('create.put=1*error(one)');
    assert.throws(() => failpoint('create.put'), { message: 'one' });
    write('create.putt=error');
    assert.throws(() => failpoint('create.put'), { code: 'invalid-argument' });
    rmSync(path);
    assert.equal(failpoint('create.put'), undefined);
    write('create.put=error(two)');
    configureFailpoints('');
    assert.equal(failpoint('create.put'), undefined);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('delay waits', async () => {
  configureFailpoints('create.put=delay(20);start.begin=delay(15)');
  const started = performance.now();
  await failpoint('create.put');
  await failpoint('start.begin');
  assert.ok(performance.now() - started >= 33);
});

test('print tells standard error when a point was passed', () => {
  const script = `const { configureFailpoints, failpoint } = await import(${JSON.stringify(MODULE)});
    configureFailpoints('create.put=print');
    failpoint('create.put');
    failpoint('create.done');
    failpoint('create.put');`;
  const { stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  const times = [...stderr.matchAll(/^failpoint create\.put at (\d+)$/gm)].map(([, at]) => Number(at));
  assert.equal(times.length, 2, stderr);
  assert.ok((times[0] ?? 0) > 0 && (times[1] ?? 0) >= (times[0] ?? 0));
});

test('a listener sees what acts', () => {
  const seen: string[] = [];
  onFailpoint((name, action) => seen.push(`${name} ${action}`));
  configureFailpoints('create.put=1*off->error');
  void failpoint('create.put');
  assert.throws(() => failpoint('create.put'), /failpoint create\.put/);
  assert.deepEqual(seen, ['create.put error']);
});

test('a typo is an error and changes nothing', () => {
  configureFailpoints('create.put=error');
  const bad = [
    'create.putt=error',
    'create.put',
    'create.put=',
    'create.put=eror',
    'create.put=print(x)',
    'create.put=delay',
    'create.put=delay(x)',
    'create.put=delay(9999999)',
    'create.put=0*error',
    'create.put=-1*error',
    'create.put=error->',
    'create.put=error-off',
    'create.put=exit(1)',
    'create.put=error(a',
    'create.put=off;create.put=off',
    ';',
    '=error',
    '__proto__=error',
  ];
  for (const text of bad) assert.throws(() => configureFailpoints(text), { code: 'invalid-argument' }, text);
  assert.throws(() => failpoint('create.put'));
});

test('exit is a kill on the spot', () => {
  const script = `
    const { configureFailpoints, failpoint } = await import(${JSON.stringify(MODULE)});
    configureFailpoints('create.put=1*off->exit');
    failpoint('create.put');
    process.stdout.write('before');
    failpoint('create.put');
    process.stdout.write('after');`;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(child.signal, 'SIGKILL');
  assert.equal(child.stdout, 'before');
});
