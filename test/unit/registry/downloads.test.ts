/** Blobs on their way: shared, left, taken up again and swept at the same time, and still whole for who stays. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { type Digest, digestHex, digestOf } from '../../../server/model/digest.ts';
import { SILENT } from '../../../server/model/logger.ts';
import { REGISTRY_LIMITS } from '../../../server/model/registry.ts';
import { type Download, Downloads } from '../../../server/registry/downloads.ts';
import type { HttpResponse } from '../../../server/registry/http.ts';
import { Slots } from '../../../server/registry/slots.ts';

const BYTES = Buffer.alloc(100_000, 'x');
const DIGEST: Digest = digestOf(BYTES);

let root = '';
let downloads: Downloads;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'mydocker-downloads-'));
  downloads = new Downloads(root, REGISTRY_LIMITS, SILENT);
  await downloads.prepare();
});
afterEach(() => rmSync(root, { recursive: true }));

const files = (): string[] => readdirSync(join(root, 'downloads'));

/** A fetch of the bytes; @param go - the second half comes after it. */
function fetchIt(
  signal: AbortSignal = new AbortController().signal,
  go: Promise<void> = Promise.resolve(),
): Download {
  const blob = async (_: string, offset: number): Promise<HttpResponse> => {
    const range = `bytes ${offset}-${BYTES.length - 1}/${BYTES.length}`;
    const headers: Record<string, string> = offset === 0 ? {} : { 'content-range': range };
    return {
      ...{ host: 'r.example', status: offset === 0 ? 200 : 206, discard: () => undefined },
      ...{
        header: (name: string) => headers[name] ?? '',
        read: () => Promise.reject(new Error('no document')),
      },
      chunks: async function* () {
        yield BYTES.subarray(offset, BYTES.length / 2);
        await go;
        yield BYTES.subarray(Math.max(offset, BYTES.length / 2));
      },
    };
  };
  const report = { fetched: () => undefined, retrying: () => undefined };
  const source = { host: 'r.example', blob };
  return downloads.open(
    { digest: DIGEST, sizeBytes: BYTES.length },
    { source, slots: new Slots(1), report, signal },
  );
}

async function read(download: Download): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of download.bytes()) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

test('who begins while another one leaves or sweeps reads all of it', async () => {
  for (let round = 0; round < 100; round += 1) {
    const first = fetchIt();
    if (round % 2 === 0) await first.done;
    first.consumed();
    const leaving = first[Symbol.asyncDispose]();
    const sweeping = downloads.sweep(0);
    for (let turns = 0; turns < round % 7; turns += 1) await new Promise(setImmediate);
    const second = fetchIt();
    const others = downloads.sweep(0);
    assert.equal(await read(second), DIGEST);
    second.consumed();
    await Promise.all([leaving, sweeping, others, second[Symbol.asyncDispose]()]);
  }
  assert.deepEqual(files(), []);
});

test('who leaves a download that does not move leaves at once; who stays gets it', async () => {
  const { promise: go, resolve } = Promise.withResolvers<void>();
  const own = new AbortController();
  const leaving = fetchIt(own.signal, go);
  const staying = fetchIt();
  const chunks = leaving.bytes();
  for (let size = 0; size < BYTES.length / 2; ) size += (await chunks.next()).value?.length ?? 0;
  const more = chunks.next();
  own.abort(new Error('left'));
  await assert.rejects(more, /left/);
  await leaving[Symbol.asyncDispose]();
  resolve();
  assert.equal(await read(staying), DIGEST);
  await staying[Symbol.asyncDispose]();
  assert.deepEqual(files(), [digestHex(DIGEST)]);
});

test('what was left is taken up, what was damaged is fetched anew', async () => {
  for (const before of [BYTES.subarray(0, 30_000), Buffer.alloc(30_000), Buffer.alloc(200_000)]) {
    writeFileSync(join(root, 'downloads', digestHex(DIGEST)), before);
    const download = fetchIt();
    assert.equal(await read(download), DIGEST);
    download.consumed();
    await download[Symbol.asyncDispose]();
    assert.deepEqual(files(), []);
  }
});
