/** `images`, `tag`, `rmi`, `image inspect`: references and what they point at. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, imageContent, importEntries, refused, until } from './ground.ts';

let host: Host;
let id = '';
const count = (): number => imageContent(host).length;
/** With the one image alone. */
let files = 0;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  id = JSON.parse(await host.ok(['image', 'inspect', '--format', 'api', 'busybox']))[0].id;
  files = count();
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const list = async (...args: string[]): Promise<string[]> =>
  (await host.ok(['images', ...args]))
    .split('\n')
    .slice(1)
    .map((line) => line.split(/ {2,}/).slice(1, 4).join(' '))
    .sort();
const short = (text: string): string => text.replace('sha256:', '').slice(0, 12);

test('images shows id, name, tag, users, time and size, under each of its names', async () => {
  const heading = /^IMAGE ID +REPO +TAG +COUNTS +CREATED +SIZE\n/;
  const row = `${short(id)} +busybox +latest +0 +\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d +[\\d.]+ MB$`;
  for (const words of [['images'], ['image', 'list'], ['image', 'ls']]) {
    const text = await host.ok(words);
    assert.match(text, heading);
    assert.match(text, new RegExp(row, 'm'));
  }
  assert.equal(await host.ok(['images', '-q']), short(id));
  assert.equal(await host.ok(['images', '-q', '--no-trunc']), id);
  assert.deepEqual(await list('busy*'), ['busybox latest 0']);
  assert.deepEqual(await list('nosuch'), []);
});

test('tag makes another name, rmi takes it away', async () => {
  await host.ok(['tag', 'busybox', 'mine']);
  await host.ok(['tag', 'busybox', 'localhost:5000/team/app:1.0']);
  assert.deepEqual(await list(), ['busybox latest 0', 'localhost:5000/team/app 1.0 0', 'mine latest 0']);
  assert.equal(await host.ok(['run', '--rm', 'localhost:5000/team/app:1.0', 'echo', 'tagged']), 'tagged');
  await host.ok(['tag', short(id), 'by-id:2']);
  assert.match(await host.ok(['rmi', 'mine']), /^Untagged: mine:latest$/);
  await host.ok(['rmi', 'localhost:5000/team/app:1.0', 'by-id:2']);
  assert.deepEqual(await list(), ['busybox latest 0']);
  await refused(host, ['tag', 'nosuch', 'x'], /no such image/);
  for (const bad of [
    'UPPER',
    'a//b',
    'a/',
    'x:',
    `x:${'t'.repeat(129)}`,
    'a:b:c',
    '-x',
    'f'.repeat(64),
    `x@${id}`,
  ]) {
    await refused(host, ['tag', 'busybox', '--', bad], /invalid image reference|digest cannot|reference/);
  }
});

test('a tag moves; the image it leaves has no name and can be removed by id', async () => {
  const first = await importEntries(host, 'moving:1', [{ name: 'version', data: '1' }]);
  const second = await importEntries(host, 'moving:1', [{ name: 'version', data: '2' }]);
  assert.notEqual(first, second);
  assert.equal(await host.ok(['run', '--rm', 'moving:1', 'cat', '/version']), '2');
  assert.deepEqual(await list('-f', 'dangling=true'), ['<none> <none> 0']);
  assert.equal(await host.ok(['run', '--rm', first, 'cat', '/version']), '1');
  assert.match(await host.ok(['rmi', first]), new RegExp(`Deleted: ${first}`));
  await host.ok(['rmi', 'moving:1']);
});

test('an image in use is not removed, and says by whom', async () => {
  const image = await importEntries(host, 'used', [{ name: 'used', data: 'x' }]);
  await host.ok(['create', '--name', 'user1', 'used', 'true']);
  await host.ok(['run', '-d', '--name', 'user2', 'used', 'sleep', '1000']);
  assert.deepEqual(await list('used'), ['used latest 2']);
  await refused(host, ['rmi', 'used'], /2 containers use it\nhint: .*mydocker rm/);
  await refused(host, ['rmi', '-f', image], /1 running container uses it/);
  await host.ok(['rm', '-f', 'user1', 'user2']);
  assert.match(await host.ok(['rmi', 'used']), new RegExp(`Untagged: used:latest\\nDeleted: ${image}`));
  await refused(host, ['run', 'used', 'true'], /no such image/);
});

test('by force a name goes though a container runs; the image stays as long as it does', async () => {
  const image = await importEntries(host, 'used', [{ name: 'used', data: 'x' }]);
  await host.ok(['run', '-d', '--name', 'user', 'used', 'sleep', '1000']);
  assert.equal(await host.ok(['rmi', '-f', 'used']), 'Untagged: used:latest');
  assert.deepEqual(await list('-f', 'dangling=true'), ['<none> <none> 1']);
  await refused(host, ['rmi', '-f', image], /1 running container uses it/);
  assert.equal(await host.ok(['exec', 'user', 'cat', '/used']), 'x');
  await host.ok(['restart', '-t', '0', 'user']);
  assert.doesNotMatch(await host.ok(['image', 'prune', '-f']), /Deleted/);
  await host.ok(['rm', '-f', 'user']);
  assert.match(await host.ok(['image', 'prune', '-f']), new RegExp(`deleted: ${image}`));
});

test('removal frees layers and blobs that nothing else uses', async () => {
  // What the tests before have removed goes behind the answers.
  const before = await until(count, (now) => now === files);
  await importEntries(host, 'large', [{ name: 'large', data: Buffer.alloc(1 << 20, 'x') }]);
  assert.ok(count() > before);
  await host.ok(['image', 'rm', 'large']);
  await until(count, (now) => now === before);
});

test('an id with several names is removed only by force', async () => {
  const image = await importEntries(host, 'several:1', [{ name: 'several', data: 'x' }]);
  await host.ok(['tag', 'several:1', 'several:2']);
  await refused(host, ['rmi', image], /2 references point at it[\s\S]*-f/);
  assert.match(await host.ok(['rmi', '-f', short(image)]), /several:1[\s\S]*several:2[\s\S]*Deleted/);
});

test('image inspect shows what an image says about its containers', async () => {
  await importEntries(
    host,
    'told',
    [],
    [
      'CMD ["a","b"]',
      'ENV K="v w"',
      'USER 1000',
      'WORKDIR /w',
      'EXPOSE 80/tcp 53/udp',
      'LABEL l=1',
      'VOLUME /data',
      'STOPSIGNAL SIGQUIT',
    ],
  );
  const [image] = JSON.parse(await host.ok(['image', 'inspect', '--format', 'api', 'told']));
  assert.match(image.id, /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual(image.references, ['docker.io/library/told:latest']);
  const { config } = image;
  assert.deepEqual(config.command, ['a', 'b']);
  assert.deepEqual(config.env, ['K=v w']);
  assert.deepEqual([config.user, config.workingDir, config.stopSignal], ['1000', '/w', 'SIGQUIT']);
  assert.deepEqual(config.labels, { l: '1' });
  assert.equal(image.layers.length, 1);
  const missing = await host.cli(['image', 'inspect', '--format', 'api', 'nosuch']);
  assert.deepEqual([missing.code, missing.stdout], [125, '[]\n']);
  assert.match(missing.stderr, /no such image/);
  await host.ok(['rmi', 'told']);
});

test('two images of the same files are one, and share its layer', async () => {
  const layers = (): number =>
    readdirSync(join(host.root, 'layers')).filter((name) => /^\d+$/.test(name)).length;
  await importEntries(host, 'same:1', [{ name: 'same', data: 'x' }]);
  const count = layers();
  await importEntries(host, 'same:2', [{ name: 'same', data: 'x' }], ['ENV A=1']);
  assert.equal(layers(), count);
  await host.ok(['rmi', 'same:1']);
  assert.equal(await host.ok(['run', '--rm', 'same:2', 'cat', '/same']), 'x');
  await host.ok(['rmi', 'same:2']);
});
