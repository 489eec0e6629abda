/** `rm`: what is removed is gone, and the volumes of the host are not. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('rm of a running container is refused with a hint, rm -f is not', async () => {
  await host.ok(['run', '-d', '--name', 'busy', 'busybox', 'sleep', '1000']);
  await refused(host, ['rm', 'busy'], /cannot remove container busy: it is running\nhint: .*-f/);
  assert.equal(await host.ok(['rm', '-f', 'busy']), 'busy');
  const again = await host.cli(['rm', '-f', 'busy']);
  assert.deepEqual([again.code, again.stdout], [0, '']);
  assert.match(again.stderr, /no such container/);
});

test('rm does what it can for each and tells the rest', async () => {
  await host.ok(['create', '--name', 'r1', 'busybox', 'true']);
  await host.ok(['run', '-d', '--name', 'r2', 'busybox', 'sleep', '1000']);
  const { code, stdout, stderr } = await host.cli(['rm', 'r1', 'r2', 'r3']);
  assert.deepEqual([code, stdout], [125, 'r1\n']);
  assert.match(stderr, /r2: it is running[\s\S]*r3/);
  await host.ok(['rm', '-f', 'r2']);
});

test('rm removes trees that are hard to remove', async () => {
  const script = `
    cd /; i=0; while [ $i -lt 400 ]; do mkdir -p dddddddddddddddd; cd dddddddddddddddd; i=$((i+1)); done
    cd /; mkdir locked; touch locked/x; chmod 0 locked; mkfifo fifo; mknod device c 1 3
    ln -s / loop; printf x >"$(printf 'new\\nline')"; chmod 0 /tmp`;
  assert.equal((await host.cli(['run', '--name', 'deep', 'busybox', 'sh', '-c', script])).code, 0);
  await host.ok(['rm', 'deep']);
});

test('rm leaves volumes alone', async () => {
  const folder = join(host.folder, 'tmp/kept');
  mkdirSync(folder);
  writeFileSync(join(folder, 'file'), 'x');
  await host.ok(['run', '-d', '--name', 'user', '-v', `${folder}:/v`, 'busybox', 'sleep', '1000']);
  await host.ok(['rm', '-f', 'user']);
  assert.ok(existsSync(join(folder, 'file')));
  rmSync(folder, { recursive: true });
});

test('a removed name is free at once, also for many at a time', async () => {
  for (let round = 0; round < 3; round += 1) {
    await host.ok(['run', '-d', '--name', 'reused', 'busybox', 'sleep', '1000']);
    await host.ok(['rm', '-f', 'reused']);
  }
  const ids = await Promise.all(
    Array.from({ length: 8 }, () => host.ok(['run', '-d', 'busybox', 'sleep', '1000'])),
  );
  await host.ok(['rm', '-f', ...ids]);
  assert.equal(await host.ok(['ps', '-q']), '');
});

test('rm, stop and kill at the same time: one wins, none hangs, nothing is left', async () => {
  for (let round = 0; round < 3; round += 1) {
    await host.ok(['run', '-d', '--name', 'contested', 'busybox', 'sleep', '1000']);
    const words = [['rm', '-f'], ['stop', '-t', '0'], ['kill'], ['rm', '-f'], ['start'], ['exec', '-d']];
    const results = await Promise.all(
      words.map((verb) => host.cli([...verb, 'contested', ...(verb[0] === 'exec' ? ['true'] : [])])),
    );
    for (const { stderr } of results) assert.doesNotMatch(stderr, /internal|undefined/);
    await host.cli(['rm', '-f', 'contested']);
  }
});

test('an automatic removal and a forced one do not disturb each other', async () => {
  for (let round = 0; round < 3; round += 1) {
    await host.ok(['run', '-d', '--rm', '--name', 'auto', 'busybox', 'sleep', '1000']);
    await Promise.all([host.cli(['kill', 'auto']), host.cli(['rm', '-f', 'auto'])]);
    await until(
      () => host.ok(['ps', '-q']),
      (ids) => ids === '',
    );
  }
});

test('a removal is refused for another rev than the one that was seen', async () => {
  const { id, rev } = await host.api.containers.createContainer({
    config: { rootfs: { $case: 'image', value: 'busybox' }, command: { values: ['true'] } },
  });
  await host.api.containers.renameContainer({ container: id, newName: 'renamed' });
  await assert.rejects(
    host.api.containers.removeContainer({ container: id, expectedRev: rev }),
    (error: { code: number }) => error.code === 10,
  );
  await host.api.containers.removeContainer({ container: id });
});
