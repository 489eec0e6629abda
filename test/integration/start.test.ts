/** `start` and `restart`: the same container again, with what it wrote. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused, until, untilLogged } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const inspect = async (
  name: string,
): Promise<{ id: string; run: { runId: string }; exit: { exitStatus: number } }> =>
  JSON.parse(await host.ok(['inspect', '--format', 'api', name]))[0];

test('what a container wrote is there after stop and start, and after a new server', async () => {
  const script =
    'echo run >>/var/log; cat /var/log; rm -f /etc/shadow; ls /etc/shadow; touch /dev/shm/x /dev/y';
  await host.ok(['create', '--name', 'keeper', 'busybox', 'sh', '-c', `${script}; sleep 1000`]);
  await host.ok(['start', 'keeper']);
  const { id, run } = await inspect('keeper');
  await untilLogged(host, 'keeper', /run/);
  await host.ok(['stop', '-t', '0', 'keeper']);
  await host.ok(['start', 'keeper']);
  const again = await inspect('keeper');
  assert.equal(again.id, id);
  assert.notEqual(again.run.runId, run.runId);
  await host.ok(['stop', '-t', '0', 'keeper']);
  await host.restart();
  await host.ok(['start', 'keeper']);
  await until(
    () => host.ok(['logs', 'keeper']),
    (log) => log.match(/run/g)?.length === 1 + 2 + 3,
  );
  // What is in memory begins anew.
  assert.equal(await host.ok(['exec', 'keeper', 'sh', '-c', 'ls /dev/shm']), 'x');
  await host.ok(['rm', '-f', 'keeper']);
});

test('start -a shows the output and has the exit status, -i hands input over', async () => {
  await host.ok([
    'create',
    '--name',
    'attached',
    '-i',
    'busybox',
    'sh',
    '-c',
    'read line; echo "got $line"; exit 5',
  ]);
  for (const line of ['one', 'two']) {
    const { code, stdout } = await host.cli(['start', '-a', '-i', 'attached'], { stdin: `${line}\n` });
    assert.deepEqual([code, stdout], [5, `got ${line}\n`]);
  }
  assert.equal((await inspect('attached')).exit.exitStatus, 5);
  await host.ok(['rm', 'attached']);
});

test('start of one that runs changes nothing; of several does each', async () => {
  await host.ok(['run', '-d', '--name', 'on', 'busybox', 'sleep', '1000']);
  await host.ok(['create', '--name', 'off', 'busybox', 'sleep', '1000']);
  const { run } = await inspect('on');
  const { code, stdout, stderr } = await host.cli(['start', 'on', 'nosuch', 'off']);
  assert.deepEqual([code, stdout], [125, 'on\noff\n']);
  assert.match(stderr, /no such container/);
  assert.equal((await inspect('on')).run.runId, run.runId);
  assert.equal(await host.ok(['start', '--name', 'off']), 'off');
  await host.ok(['rm', '-f', 'on', 'off']);
});

test('a start that fails leaves a container that says why and can be removed', async () => {
  await host.ok(['create', '--name', 'broken', 'busybox', '/no/such']);
  await refused(
    host,
    ['start', 'broken'],
    /cannot start container broken: execute "\/no\/such": ENOENT/,
    127,
  );
  assert.match(await host.ok(['ps']), /broken +busybox +(stopped \(failed\)|created)/);
  await refused(host, ['start', '-a', 'broken'], /ENOENT/, 127);
  await host.ok(['rm', 'broken']);
});

test('restart is the same container and a new run', async () => {
  await host.ok(['run', '-d', '--name', 'again', 'busybox', 'sh', '-c', 'echo begin; exec sleep 1000']);
  const before = await inspect('again');
  await host.ok(['restart', '-t', '0', 'again']);
  const later = await inspect('again');
  assert.equal(later.id, before.id);
  assert.notEqual(later.run.runId, before.run.runId);
  await untilLogged(host, 'again', /begin\nbegin/);
  await host.ok(['stop', '-t', '0', 'again']);
  // Nothing running is no reason not to.
  await host.ok(['restart', 'again']);
  assert.match(await host.ok(['ps', '-r']), /again/);
  await host.ok(['rm', '-f', 'again']);
});

test('a task that was created waits at its gate until it is started', async () => {
  const { id } = await host.api.containers.createContainer({
    name: 'gated',
    config: {
      rootfs: { $case: 'image', value: 'busybox' },
      command: { values: ['sh', '-c', 'echo began; sleep 1000'] },
    },
  });
  const { run } = await host.api.tasks.createTask({ container: id });
  assert.ok((run?.pid ?? 0) > 0);
  assert.match(await host.ok(['ps']), /gated +busybox +created/);
  assert.equal(await host.ok(['logs', 'gated']), '');
  const started = await host.api.tasks.startTask({ container: id });
  assert.equal(started.run?.runId, run?.runId);
  assert.equal(started.run?.pid, run?.pid);
  await untilLogged(host, 'gated', /began/);
  await host.ok(['rm', '-f', 'gated']);
});

test('a task at its gate is ended by stop and by kill', { timeout: 60_000 * SLOWNESS }, async () => {
  // Stop has nobody to ask, so it asks nobody: it would wait here without end.
  for (const verb of [['stop', '-t', '-1'], ['kill']]) {
    await host.ok(['create', '--name', 'gated', 'busybox', 'sh', '-c', 'echo never']);
    await host.api.tasks.createTask({ container: 'gated' });
    await host.ok([...verb, 'gated']);
    await until(
      () => host.ok(['ps']),
      (list) => /gated +busybox +stopped/.test(list),
    );
    assert.equal(await host.ok(['logs', 'gated']), '');
    await host.ok(['rm', 'gated']);
  }
});
