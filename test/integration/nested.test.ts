/**
 * @vm A server in a container of another one: with what the container has of the machine, in the group that is the root
 * there, on a root of its own.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fixtureTar } from '../fixtures/images.ts';
import { PROJECT } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { until } from './ground.ts';

const SYSTEM = ['/usr', '/bin', '/sbin', '/lib', '/lib64'];

let host: Host;
let image: string;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  image = await fixtureTar('busybox');
});
after(() => host.dispose());

/** The outer client, then the inner one by it. */
const inner = (...args: string[]): string[] => ['exec', 'outer', join(PROJECT, 'bin/mydocker'), ...args];

test('a server in a container runs containers with limits, and both can be entered', async () => {
  const folders = [...SYSTEM.filter((path) => existsSync(path)), PROJECT, dirname(image)];
  const volumes = folders.flatMap((path) => ['-v', `${path}:${path}:ro`]);
  const env = ['-e', `PATH=${process.env['PATH']}`];
  await host.ok([
    ...['run', '-d', '--name', 'outer', '--network', 'none', ...env, ...volumes],
    ...['-v', 'nested:/var/lib/mydocker', 'busybox', 'sleep', '100000'],
  ]);
  // Groups and parameters are read-only in a container; who is privileged may change that.
  const open =
    'for at in /proc/sys $(grep " - cgroup" /proc/self/mountinfo | cut -d" " -f5); do mount -o remount,bind,rw $at; done';
  const program = `${join(PROJECT, 'bin/mydockerd')} >/tmp/log 2>&1`;
  await host.ok(['exec', '-d', '--privileged', 'outer', 'sh', '-c', `${open}; exec ${program}`]);
  await until(
    () => host.cli(inner('version')),
    ({ code }) => code === 0,
  );
  await host.ok(inner('import', image, 'busybox'));
  const limits = ['-m', '32m', '--pids-limit', '30'];
  const id = await host.ok(inner('run', '-d', '--network', 'none', ...limits, 'busybox', 'sleep', '100000'));
  const files = '/sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes';
  const shown = await host.ok(inner('exec', id, 'sh', '-c', `cat ${files} 2>/dev/null; true`));
  assert.equal(shown, String(32 << 20));
  const group = await host.ok(inner('exec', id, 'cat', '/proc/self/cgroup'));
  assert.ok(
    group.split('\n').every((line) => line.endsWith(':/')),
    group,
  );
  assert.equal(await host.ok(['exec', 'outer', 'echo', 'still']), 'still');
  await host.ok(inner('rm', '-f', id));
  assert.equal(await host.ok(inner('ps', '-q')), '');
  await host.ok(['rm', '-f', 'outer']);
  await host.ok(['volume', 'rm', 'nested']);
  await host.assertClean();
});
