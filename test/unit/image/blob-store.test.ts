/** Blobs are there whole or not at all. */
import '../../harness/enter.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createBlobStore } from '../../../server/image/blob-store.ts';

let root: string;
before(() => {
  root = mkdtempSync(join(tmpdir(), 'mydocker-test-blobs-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'small', root]);
  mkdirSync(join(root, 'blobs/sha256'), { recursive: true });
});
after(() => {
  execFileSync('umount', [root]);
  rmSync(root, { recursive: true });
});

test('what the disk has no room for leaves nothing behind, and what fits is written after it', async () => {
  const blobs = createBlobStore(root);
  await assert.rejects(blobs.write(Buffer.alloc(1 << 20)), { code: 'ENOSPC' });
  assert.deepEqual(readdirSync(join(root, 'blobs/sha256')), []);
  const digest = await blobs.write(Buffer.alloc(100_000, 'x'));
  assert.deepEqual(readdirSync(join(root, 'blobs/sha256')), [digest.replace('sha256:', '')]);
  assert.equal((await blobs.read(digest)).length, 100_000);
  await blobs.remove(digest);
});
