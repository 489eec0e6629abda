/**
 * systemd as process 1 of a whole machine with cgroup v2, and of a hybrid one: what test/integration/systemd-guest.ts
 * looks at there.
 *
 * Not in `npm test`, which has a systemd of its own in namespaces: `npm run test:vm` runs it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixtureTar } from '../fixtures/images.ts';
import { PROJECT, run } from '../harness/cli.ts';

/** To switch on and do everything, emulated and beside others. */
const MACHINE_MS = 1_200_000;

for (const layout of ['v2', 'v1'])
  test(`systemd is process 1, cgroup ${layout}`, { timeout: MACHINE_MS }, async () => {
    const guest = ['sh', 'scripts/node.sh', 'test/integration/systemd-guest.ts', await fixtureTar('busybox')];
    const { code, stdout, stderr } = await run('sh', ['scripts/vm.sh', '-c', layout, '-i', ...guest], {
      cwd: PROJECT,
      timeoutMs: MACHINE_MS,
    });
    assert.equal(code, 0, `${stdout}${stderr}`);
    assert.match(stdout, /^ℹ pass [89]$/m, stdout);
  });
