/** What an image says is a volume: kept apart from the container, begun with the image's content. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, importEntries, inside, makeCanary, refused, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const volumes = (): string[] => readdirSync(join(host.root, 'volumes')).sort();

interface Inspected {
  readonly config: {
    readonly mounts: readonly { destination: string; volume?: { name: string } }[];
  };
}

/** Volume at a destination of a container. */
async function volumeAt(container: string, destination: string): Promise<string> {
  const [found] = JSON.parse(await host.ok(['inspect', '--format', 'api', container])) as [Inspected];
  return found.config.mounts.find((mount) => mount.destination === destination)?.volume?.name ?? '';
}

/** A folder with everything that a file can be. */
const CONTENT = [
  { name: 'data/', mode: 0o2750, uid: 1000, gid: 33 },
  { name: 'data/file', data: 'from the image\n', mode: 0o640, uid: 1000, gid: 1000, mtime: 1_600_000_000 },
  { name: 'data/second', type: '1', link: 'data/file' },
  { name: 'data/link', type: '2', link: '/etc/passwd' },
  { name: 'data/deep/er/', mode: 0o700 },
  { name: 'data/deep/er/file', data: 'deep', mode: 0o4755 },
  { name: 'data/fifo', type: '6', mode: 0o600 },
  { name: 'data/null', type: '3', major: 1, minor: 3, mode: 0o666 },
];

test('a volume begins with the image’s content, owner and mode', async () => {
  await importEntries(host, 'volume', CONTENT, ['VOLUME /data']);
  const look =
    'cd /data; stat -c "%n %a %u %g %h %F" . file second link deep/er deep/er/file fifo null; stat -c %Y file; cat file; readlink link; grep " /data " /proc/mounts | wc -l';
  assert.deepEqual((await inside(host, look, [], 'volume')).split('\n'), [
    '. 2750 1000 33 3 directory',
    'file 640 1000 1000 2 regular file',
    'second 640 1000 1000 2 regular file',
    'link 777 0 0 1 symbolic link',
    'deep/er 700 0 0 2 directory',
    'deep/er/file 4755 0 0 1 regular file',
    'fifo 600 0 0 1 fifo',
    'null 666 0 0 1 character special file',
    '1600000000',
    'from the image',
    '/etc/passwd',
    '1',
  ]);
  await until(volumes, (names) => names.length === 0);
  await host.ok(['rmi', 'volume']);
});

test('data stays over stop and start, and over a server that is killed; rm -v takes it', async () => {
  await importEntries(host, 'volume', CONTENT, ['VOLUME /data /none', 'CMD ["sleep", "1000"]']);
  await host.ok(['run', '-d', '--name', 'kept', 'volume']);
  await host.ok(['exec', 'kept', 'sh', '-c', 'echo mine >/data/file; rm /data/link; echo x >/none/x']);
  await host.ok(['stop', '-t', '0', 'kept']);
  await host.kill9();
  await host.start();
  await host.ok(['start', 'kept']);
  assert.equal(
    await host.ok(['exec', 'kept', 'cat', '/data/file', '/data/second', '/none/x']),
    'mine\nmine\nx',
  );
  assert.equal((await host.cli(['exec', 'kept', 'ls', '/data/link'])).code, 1);
  const name = await volumeAt('kept', '/data');
  assert.match(name, /^[0-9a-f]{64}$/);
  assert.equal(readFileSync(join(host.root, 'volumes', name, 'data/file'), 'utf8'), 'mine\n');
  assert.match(await host.ok(['ps', '-q', '--filter', `volume=${name}`]), /^[0-9a-f]{12}$/);
  // The container's own layer has none of it.
  await host.ok(['rm', '-f', '-v', 'kept']);
  await until(volumes, (names) => names.length === 0);
  await host.ok(['rmi', 'volume']);
});

test('without -v the data outlives its container, and can be given to another', async () => {
  await importEntries(host, 'volume', CONTENT, ['VOLUME /data']);
  await host.ok(['run', '--name', 'first', 'volume', 'sh', '-c', 'echo first >/data/own']);
  const name = await volumeAt('first', '/data');
  await host.ok(['rm', 'first']);
  assert.deepEqual(volumes(), [name]);
  await host.restart();
  assert.deepEqual(volumes(), [name]);
  assert.equal(await inside(host, 'cat /other/own', ['-v', `${name}:/other`]), 'first');
  // Who names it keeps it.
  assert.deepEqual(volumes(), [name]);
  assert.match(await host.ok(['volume', 'prune', '-f']), new RegExp(name));
  await until(volumes, (names) => names.length === 0);
  await host.ok(['rmi', 'volume']);
});

test('what the user mounts there wins, and -v DESTINATION is a volume too', async () => {
  await importEntries(host, 'volume', CONTENT, ['VOLUME ["/data/", "/data"]']);
  const source = join(host.folder, 'tmp/mine');
  assert.equal(await inside(host, 'ls /data | wc -l', ['-v', `${source}:/data`], 'volume'), '0');
  assert.deepEqual(volumes(), []);
  assert.equal(await inside(host, 'ls /data | wc -l', ['-v', '/data'], 'volume'), '6');
  assert.equal(
    await inside(host, 'stat -c "%a %u" /var/tmp; touch /var/tmp/x', ['-v', '/var/tmp']),
    '1777 0',
  );
  assert.equal(await inside(host, 'stat -c "%a %u" /new', ['-v', '/new']), '755 0');
  await until(volumes, (names) => names.length === 0);
  await host.ok(['rmi', 'volume']);
  rmSync(source, { recursive: true });
});

test('places that no volume may have', async () => {
  for (const path of [
    '/proc',
    '/proc/self',
    '/proc/self/attr',
    '/sys',
    '/sys/fs',
    '/',
    '/x/../proc',
    '//proc',
  ]) {
    await importEntries(host, 'volume', [], [`VOLUME ["${path}"]`]);
    await refused(host, ['run', '--rm', 'volume', 'true'], /invalid mount destination/);
    await host.ok(['rmi', 'volume']);
  }
  assert.deepEqual(volumes(), []);
  assert.equal(await host.ok(['ps', '-q']), '');
});

test('a volume never shows what lies outside the image', async () => {
  const canary = makeCanary(host.folder);
  const climbing = `${'../'.repeat(30)}${canary.path.slice(1)}/d`;
  const links = [
    { name: 'v', type: '2', link: `${canary.path}/d` },
    { name: 'w', type: '2', link: climbing },
  ];
  for (const path of ['/v', '/w', `/${climbing}`]) {
    await importEntries(host, 'volume', links, [`VOLUME ["${path}"]`]);
    const { code, stdout } = await host.cli([
      'run',
      '--rm',
      'volume',
      'sh',
      '-c',
      `ls -a ${path}; echo x >${path}/f`,
    ]);
    assert.ok([0, 1, 125].includes(code));
    assert.doesNotMatch(stdout, /inner/);
    canary.assertUntouched();
    await host.ok(['rmi', 'volume']);
  }
  await until(volumes, (names) => names.length === 0);
});

test('a file where the volume should be is said, and nothing is left', async () => {
  await importEntries(host, 'volume', [{ name: 'data', data: 'a file' }], ['VOLUME /data']);
  await refused(
    host,
    ['run', '--rm', 'volume', 'true'],
    /cannot start container .*volume at \/data: .*not a directory/,
  );
  await until(volumes, (names) => names.length === 0);
  await host.ok(['rmi', 'volume']);
});

test('a start that is killed while the volume is filled leaves none of it, and the next one fills it', async () => {
  await importEntries(host, 'volume', CONTENT, ['VOLUME /data', 'CMD ["cat", "/data/file"]']);
  await host.stop();
  await host.start({ env: { MYDOCKER_FAILPOINTS: 'volume.filled=exit' } });
  await host.ok(['create', '--name', 'late', 'volume']);
  assert.notEqual((await host.cli(['start', 'late'])).code, 0);
  await host.kill9();
  await host.start();
  await host.ok(['start', '-a', 'late']).then((text) => assert.equal(text, 'from the image'));
  const name = await volumeAt('late', '/data');
  assert.deepEqual(readdirSync(join(host.root, 'volumes', name)), ['data']);
  await host.ok(['rm', '-v', 'late']);
  await until(volumes, (names) => names.length === 0);
  await host.ok(['rmi', 'volume']);
});

test('a removal that is killed between the volume and its container leaves both, one after it neither', async () => {
  await importEntries(host, 'volume', CONTENT, ['VOLUME /data', 'CMD ["cat", "/data/file"]']);
  await host.ok(['run', '--name', 'half', 'volume', 'sh', '-c', 'echo mine >/data/file']);
  await host.stop();
  await host.start({ env: { MYDOCKER_FAILPOINTS: 'volume.forgotten=exit' } });
  assert.notEqual((await host.cli(['rm', '-v', 'half'])).code, 0);
  await host.kill9();
  await host.start();
  const name = await volumeAt('half', '/data');
  assert.deepEqual(volumes(), [name]);
  await host.stop();
  await host.start({ env: { MYDOCKER_FAILPOINTS: 'delete.put=exit' } });
  assert.notEqual((await host.cli(['rm', '-v', 'half'])).code, 0);
  await host.kill9();
  await host.start();
  await until(volumes, (names) => names.length === 0);
  assert.equal(await host.ok(['ps', '-q']), '');
  await host.ok(['rmi', 'volume']);
});
