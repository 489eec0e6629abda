/** A container that writes more than any buffer holds, and a reader that is slower than it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const LINE = 'x'.repeat(99);
const WRITES = 50_000;
const WRITE_BYTES = 4000;

function expected(): { readonly bytes: number; readonly sha256: string } {
  const write = Buffer.from(`${LINE}\n`.repeat(WRITE_BYTES / 100));
  const hash = createHash('sha256');
  for (let i = 0; i < WRITES; i += 1) hash.update(write);
  return { bytes: WRITES * WRITE_BYTES, sha256: hash.digest('hex') };
}

/** Reads to the end. @param pauses - how many times it stops for a while first. */
async function readSlowly(
  args: readonly string[],
  pauses: number,
): Promise<{ bytes: number; sha256: string }> {
  const client = host.spawn(args);
  const hash = createHash('sha256');
  let bytes = 0;
  let left = pauses;
  assert.ok(client.stdout);
  for await (const chunk of client.stdout) {
    hash.update(chunk);
    bytes += chunk.length;
    if (left-- > 0) await sleep(20);
  }
  return { bytes, sha256: hash.digest('hex') };
}

test('200 MB of lines reach a slow reader of logs -f, and a later one, to the last byte', async () => {
  const script = `yes ${LINE} | dd bs=${WRITE_BYTES} count=${WRITES} iflag=fullblock 2>/dev/null`;
  await host.ok(['run', '-d', '--name', 'flood', 'busybox', 'sh', '-c', script]);
  assert.deepEqual(await readSlowly(['logs', '-f', 'flood'], 100), expected());
  assert.equal(await host.ok(['wait', 'flood']), '0');
  assert.deepEqual(await readSlowly(['logs', 'flood'], 0), expected());
  await host.ok(['rm', 'flood']);
});
