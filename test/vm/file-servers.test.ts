/**
 * Volumes that lie on a server of files, NFS and SMB, which takes modules of the kernel: what file-servers-guest.ts does
 * on a machine of its own.
 *
 * Not in `npm test`: `npm run test:vm` runs it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixtureTar } from '../fixtures/images.ts';
import { PROJECT, run } from '../harness/cli.ts';

/** To switch on and do everything, emulated and beside others. */
const MACHINE_MS = 1_200_000;
/** As test/harness/enter.ts does, but for the network: the kernel's server of files knows its clients in the first one. */
const IN_NAMESPACES = 'unshare --mount --ipc --uts --pid --fork --propagation private --mount-proc';

test('volumes on servers of files', { timeout: MACHINE_MS }, async () => {
  await fixtureTar('busybox');
  const script = `export MYDOCKER_TEST_HOST=$(readlink /proc/self/ns/net)
    modprobe -a nfsd nfsv4 cifs dummy && exec ${IN_NAMESPACES} sh -c '"$@"; exit $?' sh \
      sh scripts/node.sh --test test/vm/file-servers-guest.ts`;
  const { code, stdout, stderr } = await run('sh', ['scripts/vm.sh', 'sh', '-c', script], {
    cwd: PROJECT,
    timeoutMs: MACHINE_MS,
  });
  assert.equal(code, 0, `${stdout}${stderr}`);
  assert.match(stdout, /^ℹ pass 6$/m, stdout);
});
