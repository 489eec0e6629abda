/** Deaths of the server: kill -9 loses nothing that was acknowledged, a full disk loses nothing either. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openStore } from '../../../server/store/open.ts';
import { tempRoot } from './records.ts';

const CHILD = fileURLToPath(new URL('crash-child.ts', import.meta.url));

/** Runs the child until it dies. @returns the ids that it acknowledged. */
async function runUntilDead(
  root: string,
  count: number,
  killAfter: number,
  failpoints = '',
): Promise<string[]> {
  const env = { ...process.env, MYDOCKER_FAILPOINTS: failpoints };
  const child = spawn(process.execPath, [CHILD, root, String(count)], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text;
    if (told.split('\n').length > killAfter) child.kill('SIGKILL');
  });
  const [, signal] = await new Promise<[number | null, string | null]>((resolve) => {
    child.on('close', (code, by) => resolve([code, by]));
  });
  assert.equal(signal, 'SIGKILL');
  return told.split('\n').filter((line) => /^[0-9a-f]{64}$/.test(line));
}

test('kill -9 in the middle of 1,000 acknowledged puts loses none of them', async (t) => {
  const root = tempRoot(t);
  const acknowledged: string[] = [];
  for (const killAfter of [7, 150, 400, 1_000_000]) {
    acknowledged.push(...(await runUntilDead(root, 1_000, killAfter)));
    await using store = await openStore({ root });
    assert.deepEqual(store.openReport.reasons, []);
    for (const id of acknowledged) assert.equal(store.containers.get(id)?.id, id);
    const events = await Array.fromAsync(store.events.since(0n, { follow: false }));
    const told = new Set(events.map((event) => event.id));
    assert.ok(acknowledged.every((id) => told.has(id)));
    // A record without its event, or an event without its record, would be half a mutation.
    assert.equal(events.length, store.containers.size);
  }
  assert.ok(acknowledged.length >= 1_000);
});

test('death between the write and its acknowledgement leaves a whole record or none', async (t) => {
  for (const point of ['store.write', 'store.written']) {
    const root = tempRoot(t);
    const acknowledged = await runUntilDead(root, 100, 1_000_000, `${point}=5*off->exit`);
    await using store = await openStore({ root });
    assert.deepEqual(store.openReport.reasons, []);
    assert.ok(acknowledged.every((id) => store.containers.get(id) !== undefined));
    assert.equal(
      (await Array.fromAsync(store.events.since(0n, { follow: false }))).length,
      store.containers.size,
    );
  }
});

const mayMount = process.getuid?.() === 0;

test('a full disk refuses puts and loses nothing; with room again they work', {
  skip: !mayMount && 'needs root',
}, (t) => {
  const at = join(tempRoot(t), 'small');
  mkdirSync(at);
  const script = join(tempRoot(t), 'full.ts');
  const from = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
  writeFileSync(
    script,
    `
    const { openStore } = await import(${from('../../../server/store/open.ts')});
    const { container } = await import(${from('records.ts')});
    const fs = await import('node:fs');
    const root = ${JSON.stringify(at)};
    let store = await openStore({ root });
    const kept = [];
    const refused = [];
    fs.writeFileSync(root + '/ballast', Buffer.alloc(1 << 20));
    for (let i = 0; i < 5000 && refused.length < 20; i += 1) {
      const record = container('c' + i);
      await store.containers.put(record).then(() => kept.push(record.id), (e) => refused.push([record.id, e.code]));
    }
    fs.rmSync(root + '/ballast');
    const after = await store.containers.put(container('after'));
    await store.close();
    store = await openStore({ root });
    const all = [...kept, after.id];
    console.log(JSON.stringify({
      refused: refused.length,
      codes: [...new Set(refused.map(([, code]) => code))],
      missing: all.filter((id) => !store.containers.get(id)).length,
      extra: store.containers.size - all.length,
      reasons: store.openReport.reasons,
    }));
    await store.close();`,
  );
  // The mount lives and dies with the private namespace.
  const command = `mount -t tmpfs -o size=3m tmpfs "$1" && exec "$2" "$3"`;
  const args = ['-m', '--propagation', 'private', 'sh', '-c', command, 'sh', at, process.execPath, script];
  const child = spawnSync('unshare', args, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(child.status, 0, child.stderr);
  assert.deepEqual(JSON.parse(child.stdout), {
    refused: 20,
    codes: ['resource-exhausted'],
    missing: 0,
    extra: 0,
    reasons: [],
  });
});
