/** A file that is made finished looks like one that is finished afterwards, in a worker without a umask. */
import assert from 'node:assert/strict';
import { lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLayerStore } from '../../../server/image/layer-store.ts';
import { SILENT } from '../../../server/model/logger.ts';
import { rawTar } from '../../fixtures/raw-tar.ts';
import { spawnLauncher } from '../../fixtures/spawn-worker.ts';

test('mode and owner hold in directories with setgid and default ACLs', async () => {
  const root = mkdtempSync(join(tmpdir(), 'mydocker-new-file-'));
  const umask = process.umask(0);
  try {
    const layers = createLayerStore(root, spawnLauncher().launch, SILENT);
    await layers.prepare();
    // Version 2: user and group rwx, others nothing.
    const acl = Buffer.from('0200000001000700ffffffff04000700ffffffff20000000ffffffff', 'hex');
    const tar = rawTar([
      { name: 'd/', mode: 0o2775, gid: 50, pax: { 'SCHILY.xattr.system.posix_acl_default': acl } },
      { name: 'd/plain', mode: 0o666 },
      { name: 'd/closed', mode: 0o400 },
      { name: 'd/setuid', mode: 0o4755 },
      { name: 'd/owned', mode: 0o644, uid: 5, gid: 6 },
      { name: 'd/plain', mode: 0o604 },
    ]);
    async function* once(): AsyncGenerator<Uint8Array> {
      yield tar;
    }
    await layers.unpack(1n, once(), { below: [] });
    await layers.publish(1n);
    const looks = ['plain', 'closed', 'setuid', 'owned'].map((name) => {
      const { mode, uid, gid } = lstatSync(join(layers.folder(1n), 'd', name));
      return [mode & 0o7777, uid, gid];
    });
    assert.deepEqual(looks, [
      [0o604, 0, 0],
      [0o400, 0, 0],
      [0o4755, 0, 0],
      [0o644, 5, 6],
    ]);
  } finally {
    process.umask(umask);
    rmSync(root, { recursive: true });
  }
});
