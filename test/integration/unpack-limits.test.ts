/**
 * What an archive can make the unpacker do is bounded, and the bound that was met is told: memory by its cgroup,
 * entries and bytes by limits that the server's file may set. Nothing is left of such an archive. @vm
 */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { createGzip } from 'node:zlib';
import { type RawEntry, rawEntry, rawTar } from '../fixtures/raw-tar.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost();
});
afterEach(() => assertClean(host));
after(() => host.dispose());

async function compressed(parts: Iterable<Buffer>): Promise<Buffer> {
  const gzip = createGzip({ level: 1 });
  const written = (async () => {
    for (const part of parts)
      if (!gzip.write(part)) await new Promise((resolve) => gzip.once('drain', resolve));
    gzip.end();
  })();
  const chunks: Buffer[] = [];
  for await (const chunk of gzip) chunks.push(chunk as Buffer);
  await written;
  return Buffer.concat(chunks);
}

/** The import must be refused with these words. */
async function refuses(archive: Buffer, name: string, message: RegExp): Promise<void> {
  const path = join(host.folder, 'archive');
  writeFileSync(path, archive);
  await refused(host, ['import', path, name], message);
  rmSync(path);
  nothingLeft();
}

const nothingLeft = (): void => {
  const left = ['layers', 'blobs/sha256'].flatMap((name) => readdirSync(join(host.root, name)));
  assert.deepEqual(
    left.filter((name) => !name.startsWith('init-')),
    [],
  );
};

test('an archive that needs more memory than the unpacker has is told as such', async () => {
  // Attributes of directories are kept until the end: 900 KiB for each.
  const value = Buffer.alloc(60_000, 'v');
  function* parts(): Generator<Buffer> {
    for (let i = 0; i < 1100; i += 1) {
      const pax = Object.fromEntries(
        Array.from({ length: 15 }, (_, n) => [`SCHILY.xattr.user.${n}`, value] as const),
      );
      yield rawEntry({ name: `d${i}/`, pax });
    }
    yield Buffer.alloc(1024);
  }
  const archive = await compressed(parts());
  assert.ok(archive.length < 32 << 20, String(archive.length));
  await refuses(archive, 'greedy', /image greedy: it needs more memory than the unpacker may use/);
  await host.ok(['images']);
});

test('limits of the server’s file hold', async () => {
  const path = join(host.folder, 'limits.json');
  writeFileSync(path, JSON.stringify({ 'archive-limits': { entries: 5, unpackedBytes: 100_000 } }));
  await host.stop();
  await host.start({ args: ['--config', path] });
  const files = (count: number, data: string): RawEntry[] =>
    Array.from({ length: count }, (_, i) => ({ name: `f${i}`, data }));
  await refuses(rawTar(files(6, '')), 'many', /image many: entry f5: there are more than 5 entries/);
  await refuses(
    rawTar(files(5, 'x'.repeat(30_000))),
    'large',
    /image large: entry f\d: it is larger than 100000 bytes unpacked/,
  );
  await host.ok(['import', '-', 'fits'], { stdin: rawTar(files(5, 'x')) });
  await host.ok(['rmi', 'fits']);
});
