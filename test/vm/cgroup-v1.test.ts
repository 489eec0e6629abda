/**
 * What takes a machine of one's own with cgroup v1: priorities of packets, which the kernel gives in its first network
 * namespace alone; swap; huge pages.
 *
 * Not in `npm test`, which runs the rest of these files in namespaces: `npm run test:vm` runs it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixtureTar } from '../fixtures/images.ts';
import { PROJECT, run } from '../harness/cli.ts';

/** To switch on and do everything, emulated and beside others. */
const MACHINE_MS = 2_400_000;
const TESTS = ['packets with a class and a priority', 'swap that is limited', 'huge pages'];
const FILES = ['hierarchies', 'limits-at-work'].map((name) => `test/integration/${name}.test.ts`);
/** As test/harness/enter.ts does, but for the network. */
const IN_NAMESPACES = 'unshare --mount --ipc --uts --pid --fork --propagation private --mount-proc';

test('limits of cgroup v1 on a machine of their own', { timeout: MACHINE_MS }, async () => {
  await fixtureTar('busybox');
  // A test file that is told in which network it was placed stays there.
  const script = `export MYDOCKER_TEST_NETWORK=first MYDOCKER_TEST_HOST=$(readlink /proc/self/ns/net)
    exec ${IN_NAMESPACES} sh -c '"$@"; exit $?' sh \
      sh scripts/node.sh --test --test-name-pattern='${TESTS.join('|')}' ${FILES.join(' ')}`;
  const { code, stdout, stderr } = await run('sh', ['scripts/vm.sh', '-c', 'v1', 'sh', '-c', script], {
    cwd: PROJECT,
    timeoutMs: MACHINE_MS,
  });
  assert.equal(code, 0, `${stdout}${stderr}`);
  for (const name of TESTS) assert.match(stdout, new RegExp(`✔ ${name}`), stdout);
});
