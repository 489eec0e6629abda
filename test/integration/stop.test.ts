/** `stop`: asks first, ends it in any case, and answers when it is over. @vm */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, importEntries, refused, untilLogged } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

/** A process that says which signal it got and ends with 9, or goes on. */
const listening = (signals: string, then = 'exit 9'): string =>
  `for s in ${signals}; do trap "echo got $s; ${then}" $s; done; echo ready; while :; do sleep 0.05; done`;

async function run(name: string, script: string, options: readonly string[] = []): Promise<void> {
  await host.ok(['run', '-d', '--name', name, ...options, 'busybox', 'sh', '-c', script]);
  await untilLogged(host, name, /ready/);
}

const exitOf = async (name: string): Promise<{ exitStatus: number; signal: number; reason: string }> =>
  JSON.parse(await host.ok(['inspect', '--format', 'api', name]))[0].exit;

test('stop sends SIGTERM and waits for the end', async () => {
  await run('polite', listening('TERM INT', 'sleep 0.3; exit 9'));
  assert.equal(await host.ok(['stop', 'polite']), 'polite');
  assert.equal((await exitOf('polite')).exitStatus, 9);
  assert.match(await host.ok(['logs', 'polite']), /got TERM/);
  // Once more is no error.
  await host.ok(['stop', 'polite']);
  await host.ok(['rm', 'polite']);
});

test('stop escalates to SIGKILL after its time', async () => {
  await run('deaf', listening('TERM', ':'));
  const begin = Date.now();
  await host.ok(['stop', '-t', '1', 'deaf']);
  const took = Date.now() - begin;
  assert.ok(took >= 1000 && took < 4000 * SLOWNESS, `${took} ms`);
  const exit = await exitOf('deaf');
  assert.deepEqual([exit.exitStatus, exit.signal, exit.reason], [137, 9, 'exited']);
  await host.ok(['rm', 'deaf']);
});

test('stop -t 0 does not wait, and a first process that handles nothing is killed', async () => {
  await host.ok(['run', '-d', '--name', 'sleeper', 'busybox', 'sleep', '1000']);
  await host.ok(['stop', '-t', '0', 'sleeper']);
  assert.equal((await exitOf('sleeper')).exitStatus, 137);
  await host.ok(['rm', 'sleeper']);
});

test('the stop signal: an option of stop, of the container, of the image', async () => {
  await run('one', listening('USR1 USR2 TERM HUP'), ['--stop-signal', 'SIGUSR1']);
  await host.ok(['stop', 'one']);
  assert.match(await host.ok(['logs', 'one']), /got USR1/);
  await host.ok(['start', 'one']);
  await untilLogged(host, 'one', /ready[\s\S]*ready/);
  await host.ok(['stop', '-s', 'HUP', 'one']);
  assert.match(await host.ok(['logs', 'one']), /got HUP/);
  await importEntries(host, 'with-signal', [], ['STOPSIGNAL SIGUSR2']);
  await host.ok(['run', '-d', '--name', 'two', 'with-signal', 'sh', '-c', listening('USR2 TERM')]);
  await untilLogged(host, 'two', /ready/);
  await host.ok(['stop', 'two']);
  assert.match(await host.ok(['logs', 'two']), /got USR2/);
  await host.ok(['rm', 'one', 'two']);
  await refused(host, ['run', '--stop-signal', 'SIG99', 'busybox', 'true'], /invalid signal[\s\S]*hint/);
});

test('--stop-timeout is the container’s own time', async () => {
  await run('short', listening('TERM', ':'), ['--stop-timeout', '0']);
  const begin = Date.now();
  await host.ok(['stop', 'short']);
  assert.ok(Date.now() - begin < 3000 * SLOWNESS);
  await host.ok(['rm', 'short']);
  await refused(host, ['stop', '-t', 'soon', 'short'], /invalid value "soon"/);
  await refused(host, ['stop', '-t', '-2', 'short'], /invalid value "-2"/);
});

test('stop of several does each and tells which it could not', async () => {
  await host.ok(['run', '-d', '--name', 's1', 'busybox', 'sleep', '1000']);
  await host.ok(['run', '-d', '--name', 's2', 'busybox', 'sleep', '1000']);
  const { code, stdout, stderr } = await host.cli(['stop', '-t', '0', 's1', 'nosuch', 's2']);
  assert.deepEqual([code, stdout], [125, 's1\ns2\n']);
  assert.match(stderr, /nosuch/);
  await host.ok(['rm', 's1', 's2']);
});

test('stop takes what the first process left behind', async () => {
  await host.ok([
    'run',
    '-d',
    '--name',
    'family',
    'busybox',
    'sh',
    '-c',
    'sleep 1001 & sleep 1002 & sleep 1003',
  ]);
  await host.ok(['exec', '-d', 'family', 'sleep', '1004']);
  await host.ok(['stop', '-t', '0', 'family']);
  await host.ok(['rm', 'family']);
});

test('stop through the API says how it went', async () => {
  await host.ok(['run', '-d', '--name', 'told', 'busybox', 'sleep', '1000']);
  const killed = await host.api.tasks.stopTask({ container: 'told', timeoutMs: 50 });
  assert.deepEqual([killed.wasRunning, killed.killed, killed.exit?.exitStatus], [true, true, 137]);
  const idle = await host.api.tasks.stopTask({ container: 'told' });
  assert.deepEqual([idle.wasRunning, idle.killed, idle.exit?.exitStatus], [false, false, 137]);
  await host.ok(['rm', 'told']);
});

test('stop of an additional process ends it alone: asked first, killed after its time', async () => {
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
  const { tasks } = host.api;
  const exec = async (script: string): Promise<string> => {
    const args = ['sh', '-c', `${script}; touch /ready; while :; do sleep 0.05; done`];
    const { run: made } = await tasks.execTask({ container: 'box', process: { args } });
    await host.ok(['exec', 'box', 'sh', '-c', 'until [ -e /ready ]; do sleep 0.05; done; rm /ready']);
    return made?.runId ?? '';
  };
  for (const [script, timeoutMs, killed, exitStatus] of [
    ["trap 'exit 9' TERM", -1, false, 9],
    ["trap '' TERM", 50, true, 137],
  ] as const) {
    const runId = await exec(script);
    const answer = await tasks.stopTask({ container: 'box', runId, timeoutMs });
    assert.deepEqual(
      [answer.wasRunning, answer.killed, answer.exit?.exitStatus, answer.exit?.runId],
      [true, killed, exitStatus, runId],
    );
    await assert.rejects(tasks.stopTask({ container: 'box', runId }), /is over/);
  }
  const runId = await exec(':');
  await host.ok(['pause', 'box']);
  await assert.rejects(tasks.stopTask({ container: 'box', runId }), /it is paused/);
  await host.ok(['unpause', 'box']);
  assert.equal(await host.ok(['exec', 'box', 'echo', 'goes on']), 'goes on');
  await host.ok(['rm', '-f', 'box']);
});

test('a stop in the middle of starts never leaves anything half done', async () => {
  await host.ok(['create', '--name', 'torn', 'busybox', 'sleep', '1000']);
  for (let round = 0; round < 10; round += 1) {
    const start = host.cli(['start', 'torn']);
    const stop = host.cli(['stop', '-t', '0', 'torn']);
    await Promise.all([start, stop]);
    await host.ok(['stop', '-t', '0', 'torn']);
  }
  await host.ok(['rm', 'torn']);
});
