/** `kill`: signals by name and number. @vm */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, outputOf, refused, until, untilLogged } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('kill -s sends any signal in any spelling', async () => {
  const script =
    'for s in HUP INT TERM USR1 USR2; do trap "echo got $s" $s; done; echo ready; while :; do sleep 0.02; done';
  await host.ok(['run', '-d', '--name', 'ear', 'busybox', 'sh', '-c', script]);
  await untilLogged(host, 'ear', /ready/);
  for (const [typed, name] of [
    ['HUP', 'HUP'],
    ['SIGINT', 'INT'],
    ['sigterm', 'TERM'],
    ['10', 'USR1'],
    ['12', 'USR2'],
  ]) {
    assert.equal(await host.ok(['kill', '-s', typed ?? '', 'ear']), 'ear');
    await untilLogged(host, 'ear', new RegExp(`got ${name}`));
  }
  for (const signal of ['SIG99', '0', '65', '-1', 'NOPE', '9x']) {
    await refused(host, ['kill', '-s', signal, 'ear'], /invalid signal[\s\S]*hint/);
  }
  await host.ok(['kill', 'ear']);
  await until(
    () => host.ok(['ps']),
    (list) => /ear +busybox +stopped \(137\)/.test(list),
  );
  await refused(host, ['kill', 'ear'], /it is stopped, not running\nhint/);
  await host.ok(['rm', 'ear']);
});

test('kill of a paused-like, stopped process still ends it', async () => {
  await host.ok(['run', '-d', '--name', 'frozen', 'busybox', 'sleep', '1000']);
  await host.ok(['kill', '-s', 'STOP', 'frozen']);
  await host.ok(['kill', '-s', 'KILL', 'frozen']);
  assert.equal(await host.ok(['wait', 'frozen']), '137');
  await host.ok(['rm', 'frozen']);
});

test('the client passes the signals it gets on to the process', async () => {
  const script = 'trap "echo got TERM; exit 7" TERM; echo ready; while :; do sleep 0.02; done';
  const client = host.spawn(['run', '--rm', '--name', 'proxied', 'busybox', 'sh', '-c', script]);
  const output = outputOf(client);
  const ended = new Promise<number | null>((resolve) => client.once('exit', resolve));
  await until(output, (text) => text.includes('ready'));
  client.kill('SIGTERM');
  assert.equal(await ended, 7);
  assert.match(output(), /got TERM/);
});

test('kill through the API is for the run that is meant', async () => {
  await host.ok(['run', '-d', '--name', 'runs', 'busybox', 'sleep', '1000']);
  const { task } = await host.api.tasks.getTask({ container: 'runs' });
  const { run: exec } = await host.api.tasks.execTask({
    container: 'runs',
    process: { args: ['sleep', '1000'] },
  });
  await host.api.tasks.killTask({ container: 'runs', runId: exec?.runId ?? '', signal: 'TERM' });
  const { exit } = await host.api.tasks.waitTask({ container: 'runs', runId: exec?.runId ?? '' });
  assert.deepEqual([exit?.exitStatus, exit?.signal], [143, 15]);
  await assert.rejects(
    host.api.tasks.killTask({ container: 'runs', runId: exec?.runId ?? '' }),
    (error: { code: number }) => error.code === 9,
  );
  assert.equal((await host.api.tasks.killTask({ container: 'runs' })).runId, task?.run?.runId);
  await host.api.tasks.waitTask({ container: 'runs' });
  await host.ok(['rm', 'runs']);
});
