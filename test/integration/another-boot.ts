/** What a machine looks like to a server after it was started again. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../harness/host.ts';

/** Where the kernel tells which boot it is. */
export const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** For the servers to come the machine was started again. @returns how to end that. */
export function anotherBoot(host: Host): () => Promise<void> {
  const file = join(host.folder, 'boot_id');
  writeFileSync(file, `${randomUUID()}\n`);
  const mounted = spawnSync('mount', ['--bind', file, BOOT_ID], { encoding: 'utf8' });
  assert.equal(mounted.status, 0, mounted.stderr);
  return async () => {
    assert.equal(spawnSync('umount', [BOOT_ID]).status, 0);
    rmSync(file);
    await host.restart();
  };
}
