/**
 * The disk is full to the last byte, below root or below state: what cannot be done is refused without a trace,
 * containers and their ends are not affected, and what frees space works.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { END, rawTar } from '../fixtures/raw-tar.ts';
import { Host } from '../harness/host.ts';
import {
  api,
  checkClean,
  checkRules,
  codeOf,
  create,
  dispose,
  FOREVER,
  kill,
  list,
  look,
  remove,
  run,
  start,
  statusOf,
  told,
  wait,
} from './deaths-ground.ts';
import { until } from './ground.ts';

let host: Host;

/** A host one of whose folders is a small file system of its own. */
async function smallHost(folder: 'root' | 'state', size: string): Promise<void> {
  host = new Host({});
  const path = host[folder];
  mkdirSync(path, { recursive: true });
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'small', path], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  await host.start();
  await host.importFixture('busybox');
  host.remember();
}

async function leave(folder: 'root' | 'state'): Promise<void> {
  try {
    free(host[folder]);
    await checkClean(host);
    assert.equal(await host.stop(), 0);
  } finally {
    await host.kill9();
    spawnSync('umount', ['--lazy', host[folder]]);
    await dispose(host);
  }
}

const filler = (folder: string): string => join(folder, 'filler.lock');

/** Takes the last byte of a file system. */
function fill(folder: string): void {
  for (const size of [1 << 20, 1 << 12, 1]) {
    for (;;) {
      try {
        appendFileSync(filler(folder), Buffer.alloc(size));
      } catch {
        break;
      }
    }
  }
  assert.equal(statfsSync(folder).bavail, 0);
}

function free(folder: string): void {
  rmSync(filler(folder), { force: true });
}

/** Prints numbered lines and ends with status 6. */
const talkative = (lines: number): string =>
  `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo line $i of many that are printed; done; exit 6`;

describe('a full root', () => {
  beforeEach(() => smallHost('root', '24m'));
  afterEach(() => leave('root'));

  test('ps, inspect, exec, kill, wait and rm work; create is refused without a trace', async () => {
    const id = await run(host, FOREVER, { name: 'web' });
    await create(host, FOREVER, { name: 'never' });
    await run(host, 'sleep 0.5', { name: 'goes', autoRemove: true });
    fill(host.root);
    await assert.rejects(create(host, FOREVER, { name: 'late' }), (error: Error) => {
      assert.equal(codeOf(error), 'RESOURCE_EXHAUSTED');
      assert.match(error.message, /no space left/);
      return true;
    });
    assert.equal((await list(host)).length, 3);
    assert.equal(await host.ok(['exec', id, 'echo', 'in']), 'in');
    await kill(host, id);
    assert.equal(told(await wait(host, id)), 'exited 137 signal 9');
    assert.equal(await statusOf(host, id), 'stopped');
    await remove(host, id, false);
    await remove(host, 'never', false);
    await until(
      () => list(host),
      (all) => all.length === 0,
    );
    await checkRules(host);
    free(host.root);
    await create(host, FOREVER, { name: 'late' });
  });

  test('a log without room does not stop its container, and is readable afterwards', async () => {
    const lines = 40_000;
    // The last page of the log has room for some lines, and for a part of one.
    const id = await create(host, `echo line 0 of many that are printed; sleep 0.5; ${talkative(lines)}`);
    const attached = host.ok(['start', '-a', id]).catch((error: Error) => error);
    await until(
      () => statusOf(host, id),
      (status) => status === 'running',
    );
    fill(host.root);
    const { exit } = await api(host).tasks.waitTask({ container: id });
    assert.equal(told(exit), 'exited 6 signal 0');
    assert.equal(told((await look(host, id))?.exit), 'exited 6 signal 0');
    await attached;
    free(host.root);
    await start(host, id);
    assert.equal(told(await wait(host, id)), 'exited 6 signal 0');
    // Whole lines, in order, those of the second run all.
    const logged = (await host.ok(['logs', id])).split('\n');
    for (const line of logged) assert.match(line, /^line \d+ of many that are printed$/);
    assert.ok(logged.length > lines && logged.length < 2 * lines, `${logged.length} lines`);
    assert.equal(logged.at(-lines), 'line 1 of many that are printed');
    assert.equal(logged.at(-1), `line ${lines} of many that are printed`);
  });

  test('a server dies and starts again on it', async () => {
    await run(host, FOREVER, { name: 'web' });
    await run(host, 'sleep 0.3; exit 7', { name: 'job' });
    fill(host.root);
    await host.kill9();
    await host.start();
    assert.equal(await statusOf(host, 'web'), 'running');
    assert.equal(told(await wait(host, 'job')), 'exited 7 signal 0');
    await remove(host, 'web');
    await remove(host, 'job', false);
    await checkRules(host);
  });

  test('a container that writes all it can takes nothing from the others', async () => {
    await run(host, FOREVER, { name: 'web' });
    await run(host, 'cat /dev/zero > /big; echo full; exit 8', { name: 'greedy' });
    assert.equal(told(await wait(host, 'greedy')), 'exited 8 signal 0');
    assert.equal(await host.ok(['exec', 'web', 'echo', 'in']), 'in');
    const before = statfsSync(host.root).bavail;
    await remove(host, 'greedy', false);
    await until(
      () => statfsSync(host.root).bavail,
      (pages) => pages > before + 1000,
    );
    assert.equal(await host.ok(['run', '--rm', 'busybox', 'echo', 'room']), 'room');
  });

  test('an import that does not fit leaves nothing', async () => {
    const before = statfsSync(host.root).bavail;
    const { code, stderr } = await host.cli(['import', '-', 'big'], {
      stdin: rawTar([{ name: 'big', data: Buffer.alloc(40 << 20, 'x') }], END),
    });
    assert.equal(code, 125);
    assert.match(stderr, /cannot import image big: .*(no space left|larger than)/i);
    await until(
      () => statfsSync(host.root).bavail,
      (pages) => pages >= before - 16,
    );
    assert.equal((await host.ok(['images', '-q'])).split('\n').length, 1);
  });
});

describe('a full state folder', () => {
  beforeEach(() => smallHost('state', '256k'));
  afterEach(() => leave('state'));

  test('a start is refused without a trace or works; what runs ends as it should', async () => {
    await run(host, FOREVER, { name: 'web' });
    await run(host, 'sleep 0.3; exit 7', { name: 'job' });
    await create(host, FOREVER, { name: 'late' });
    fill(host.state);
    const refusal = await start(host, 'late').then(() => '', codeOf);
    assert.match(refusal, /^(|FAILED_PRECONDITION|RESOURCE_EXHAUSTED)$/);
    assert.equal(await statusOf(host, 'late'), refusal === '' ? 'running' : 'created');
    assert.equal(told(await wait(host, 'job')), 'exited 7 signal 0');
    await kill(host, 'web');
    assert.equal(told(await wait(host, 'web')), 'exited 137 signal 9');
    await checkRules(host);
    free(host.state);
    if (refusal !== '') await start(host, 'late');
    for (const name of ['web', 'job', 'late']) await remove(host, name);
  });
});
