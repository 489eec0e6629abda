/** The server as process 1 of a pid namespace, as the program of a container is. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { exitCode, PROJECT } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listProcesses } from '../harness/leaks.ts';
import { until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
after(() => host.dispose());

const zombies = (): string[] =>
  listProcesses()
    .filter(({ state }) => state === 'Z')
    .map(({ command }) => command);

const pidOf = (title: string): number =>
  listProcesses().find(({ command }) => command.startsWith(`${title} ${host.state}`))?.pid ?? 0;

test('it reaps what is orphaned, takes signals, and leaves a root that the next server understands', async () => {
  await host.stop();
  const separate = ['--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
  const options = ['--root', host.root, '--state', host.state, '--listen', host.address];
  const program = [join(PROJECT, 'bin/mydockerd'), ...options, '--cgroup-parent', host.cgroupParent];
  const outer = spawn('unshare', [...separate, ...program], { stdio: 'ignore' });
  await until(
    async () => (await host.cli(['version'])).code,
    (code) => code === 0,
  );
  const id = await host.ok(['run', '-d', '--network', 'none', 'busybox', 'sleep', '1000']);
  assert.equal(await host.ok(['exec', id, 'echo', 'fine']), 'fine');
  // Its shims become children of process 1.
  process.kill(pidOf('mydocker-zygote'), 'SIGKILL');
  await host.ok(['rm', '-f', id]);
  assert.equal(await host.ok(['run', '--rm', '--network', 'none', 'busybox', 'echo', 'on']), 'on');
  await until(zombies, (left) => left.length === 0);
  const kept = await host.ok(['run', '-d', '--network', 'none', 'busybox', 'sleep', '1000']);
  const init = listProcesses().find(({ parent }) => parent === outer.pid)?.pid ?? 0;
  process.kill(init, 'SIGTERM');
  assert.equal(await exitCode(outer), 0);
  // A pid namespace ends with its process 1, and all containers in it.
  await host.start();
  assert.match(await host.ok(['ps']), /stopped \(lost\)/);
  await host.ok(['rm', kept]);
  await host.assertClean();
});
