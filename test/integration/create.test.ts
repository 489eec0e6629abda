/** `create`: a container is metadata until it is started; and how containers are addressed. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { listCgroups, listProcesses } from '../harness/leaks.ts';
import { assertClean, refused } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('create prints the id and runs nothing', async () => {
  const processes = listProcesses().length;
  const id = await host.ok(['create', '--name', 'idle', 'busybox', 'echo', 'now']);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.deepEqual(listCgroups(host.cgroupParent), []);
  assert.equal(listProcesses().filter(({ command }) => command.startsWith('mydocker-shim')).length, 0);
  assert.ok(listProcesses().length <= processes + 1);
  assert.match(await host.ok(['ps']), /idle +busybox +created +overlay +0 +\[echo now\]/);
  assert.equal(await host.ok(['start', '-a', 'idle']), 'now');
  await host.ok(['rm', 'idle']);
  assert.ok(!existsSync(join(host.root, 'containers', id)));
});

test('a made-up name is a word pair', async () => {
  const id = await host.ok(['create', 'busybox', 'true']);
  const [{ name }] = JSON.parse(await host.ok(['inspect', '--format', 'api', id]));
  assert.match(name, /^[a-z]+_[a-z]+\d*$/);
  await host.ok(['rm', name]);
});

test('names, ids and unique prefixes address a container; what is ambiguous is refused', async () => {
  const ids: string[] = [];
  // Two that begin alike come within 17 tries of a hex digit.
  const taken = new Map<string, string>();
  let pair: [string, string] | undefined;
  while (pair === undefined) {
    const id = await host.ok(['create', 'busybox', 'true']);
    ids.push(id);
    const other = taken.get(id.slice(0, 1));
    if (other !== undefined) pair = [other, id];
    taken.set(id.slice(0, 1), id);
  }
  const [first, second] = pair;
  let same = 1;
  while (first.slice(0, same) === second.slice(0, same)) same += 1;
  const idOf = async (text: string): Promise<string> =>
    JSON.parse(await host.ok(['inspect', '--format', 'api', text]))[0].id;
  assert.equal(await idOf(first), first);
  assert.equal(await idOf(first.slice(0, 12)), first);
  assert.equal(await idOf(second.slice(0, same)), second);
  await refused(host, ['rm', first.slice(0, same - 1)], /ambiguous|several|more than one/);
  await refused(host, ['rm', 'nosuch'], /cannot find container "?nosuch"?: no such container/);
  await refused(host, ['rm', ''], /cannot find container|no container/);
  await refused(host, ['rm', 'x'.repeat(10_000)], /no such container|too long/);
  await refused(host, ['rm', '../../etc'], /no such container/);
  // A name wins over a prefix of another one's id.
  const prefix = `${second.slice(0, 5)}`;
  const named = await host.ok(['create', '--name', prefix, 'busybox', 'true']);
  assert.equal(await idOf(prefix), named);
  await host.ok(['rm', ...ids, named]);
});

test('names are letters, digits, _ . and -, and never like an id', async () => {
  const bad = [
    '-rf',
    '.',
    '..',
    '/x',
    'a/b',
    'a',
    'a b',
    'ü',
    'a\nb',
    'x'.repeat(256),
    'f'.repeat(64),
    'f'.repeat(12),
    '%2e',
  ];
  for (const name of bad) await refused(host, ['create', '--name', name, 'busybox', 'true'], /name/);
  for (const name of ['ab', 'A_b.c-9', '0x', 'CON', 'f'.repeat(63)]) {
    await host.ok(['create', '--name', name, 'busybox', 'true']);
    await host.ok(['rm', name]);
  }
});

test('create --explain makes nothing', async () => {
  const text = await host.ok(['create', '--explain', 'busybox', 'true']);
  assert.match(text, /exec/);
  assert.equal(await host.ok(['ps', '-q']), '');
});

test('rename changes the name and frees the old one', async () => {
  const id = await host.ok(['create', '--name', 'before', 'busybox', 'true']);
  const other = await host.ok(['create', '--name', 'other', 'busybox', 'true']);
  await host.ok(['rename', 'before', 'behind']);
  assert.equal(JSON.parse(await host.ok(['inspect', '--format', 'api', id]))[0].name, 'behind');
  await refused(host, ['rename', 'behind', 'other'], /other[\s\S]*(exists|in use)/);
  await refused(host, ['rename', 'behind', 'a/b'], /invalid container name/);
  await refused(host, ['rename', 'before', 'x1'], /no such container/);
  await refused(host, ['rename', 'behind'], /too few arguments/);
  await host.ok(['create', '--name', 'before', 'busybox', 'true']);
  await host.ok(['rm', 'before', other, id]);
});

test('a request that is repeated makes one container', async () => {
  const request = {
    requestId: 'b5f0c1f2-0000-4000-8000-000000000001',
    name: 'once',
    config: { rootfs: { $case: 'image', value: 'busybox' }, command: { values: ['true'] } },
  } as const;
  const first = await host.api.containers.createContainer(request);
  const again = await host.api.containers.createContainer(request);
  assert.equal(again.id, first.id);
  await host.ok(['rm', 'once']);
});
