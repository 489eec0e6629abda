/** `import`: an image from the tar of a root filesystem, however it comes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, busyboxAnd, imageContent, makeCanary, refused, until } from './ground.ts';

let host: Host;
let plain: Buffer;
const count = (): number => imageContent(host).length;
/** With the one image alone. */
let files = 0;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  files = count();
  plain = await busyboxAnd([{ name: 'marker', data: 'imported' }]);
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const works = async (reference: string): Promise<void> => {
  assert.equal(await host.ok(['run', '--rm', reference, 'cat', '/marker']), 'imported');
  await host.ok(['rmi', reference]);
};

test('plain, gzip and zstd, from a file and from standard input', async () => {
  const file = join(host.folder, 'tmp/rootfs');
  for (const bytes of [plain, gzipSync(plain), zstdCompressSync(plain)]) {
    writeFileSync(file, bytes);
    assert.match(await host.ok(['import', file, 'imported:1']), /^sha256:[0-9a-f]{64}$/);
    await works('imported:1');
    await host.ok(['import', '-', 'imported:2'], { stdin: bytes });
    await works('imported:2');
  }
  rmSync(file);
});

test('the same files are the same image, whatever the compression', async () => {
  const options = ['import', '-', 'same'];
  const layerOf = async (): Promise<string> =>
    JSON.parse(await host.ok(['image', 'inspect', '--format', 'api', 'same']))[0].layers[0].diffId;
  await host.ok(options, { stdin: plain });
  const first = await layerOf();
  await host.ok(options, { stdin: gzipSync(plain) });
  assert.equal(await layerOf(), first);
  for (const id of new Set((await host.ok(['images', '-q'])).split('\n'))) {
    if (!(await host.ok(['image', 'inspect', '--format', 'api', id])).includes('library/busybox'))
      await host.ok(['rmi', '-f', id]);
  }
});

test('files come out as they were: modes, owners, links, times, attributes, devices', async () => {
  const stdin = await busyboxAnd([
    { name: 'f/', mode: 0o2750, uid: 1234, gid: 99 },
    { name: 'f/setuid', mode: 0o4755, uid: 1, data: 'x' },
    { name: 'f/time', mtime: 1_234_567_890 },
    { name: 'f/hard', type: '1', link: 'f/setuid' },
    { name: 'f/soft', type: '2', link: '../f/time' },
    { name: 'f/fifo', type: '6', mode: 0o600 },
    { name: 'f/null', type: '3', mode: 0o666, major: 1, minor: 3 },
    { name: Buffer.from('f/\xff\nx', 'latin1'), data: 'odd' },
    { name: 'f/attr', pax: { 'SCHILY.xattr.user.a': 'b' } },
  ]);
  await host.ok(['import', '-', 'faithful'], { stdin });
  const script = `cd /f; stat -c '%a %u %g' . setuid; stat -c '%Y' time; stat -c '%h' hard; readlink soft
    stat -c '%F %a' fifo; stat -c '%F %t:%T' null; echo x >null && echo opened; [ -e "$(printf '\\377\\nx')" ] && echo odd`;
  assert.deepEqual((await host.ok(['run', '--rm', 'faithful', 'sh', '-c', script])).split('\n'), [
    '2750 1234 99',
    '4755 1 0',
    '1234567890',
    '2',
    '../f/time',
    'fifo 600',
    'character special file 1:3',
    'opened',
    'odd',
  ]);
  await host.ok(['rmi', 'faithful']);
});

test('what is no archive is refused, and nothing of it is left', async () => {
  const cases: [what: string, bytes: Buffer, says: RegExp][] = [
    ['nothing', Buffer.alloc(0), /empty|ends|archive/],
    ['text', Buffer.from('hello world\n'.repeat(100)), /archive|tar|header/],
    ['half', plain.subarray(0, 100_000), /ends|truncated|unexpected|archive/],
    ['half gzip', gzipSync(plain).subarray(0, 50_000), /ends|truncated|unexpected|archive|gzip/],
    [
      'xz',
      Buffer.concat([Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]), Buffer.alloc(1000)]),
      /xz|compress|archive/,
    ],
  ];
  for (const [what, stdin, says] of cases) {
    const { code, stderr } = await host.cli(['import', '-', 'broken'], { stdin });
    assert.equal(code, 125, `${what}: ${stderr}`);
    assert.match(stderr, says, what);
    assert.doesNotMatch(stderr, /internal/, what);
  }
  // Also of what the tests before have removed, which goes behind the answers.
  await until(count, (now) => now === files);
  assert.doesNotMatch(await host.ok(['images']), /broken/);
});

test('an archive cannot reach out of its layer', async () => {
  const canary = makeCanary(host.folder);
  const stdin = await busyboxAnd([
    { name: 'out', type: '2', link: canary.path },
    { name: 'out/f', data: 'EVIL' },
    { name: '../../../../../../canary', data: 'EVIL' },
    { name: 'up', type: '2', link: '../'.repeat(40) + canary.path },
    { name: 'up/d/new', data: 'EVIL' },
  ]);
  await host.cli(['import', '-', 'escape'], { stdin });
  canary.assertUntouched();
  await host.cli(['rmi', 'escape']);
  rmSync(canary.path, { recursive: true });
});

test('mistakes are told', async () => {
  await refused(host, ['import', '/no/such.tar', 'x1'], /cannot read|ENOENT|no such file/);
  await refused(host, ['import', host.folder, 'x1'], /cannot import a folder\nhint: tar -C/);
  await refused(host, ['import'], /too few arguments/);
  const bad = await host.cli(['import', '-', 'UPPER'], { stdin: plain });
  assert.equal(bad.code, 125);
  assert.match(bad.stderr, /invalid image reference/);
  const change = await host.cli(['import', '-c', 'RUN x', '-', 'x1'], { stdin: plain });
  assert.match(change.stderr, /invalid change "RUN x"\nhint: known: CMD/);
});

test('a tar of tar(1) itself', async () => {
  const folder = join(host.folder, 'tmp/tree');
  execFileSync('mkdir', ['-p', join(folder, 'bin')]);
  writeFileSync(join(folder, 'marker'), 'imported');
  execFileSync('cp', ['/bin/busybox', join(folder, 'bin/cat')]);
  const archive = join(host.folder, 'tmp/tree.tar.gz');
  execFileSync('tar', ['-czf', archive, '-C', folder, '.']);
  await host.ok(['import', archive, 'by-tar']);
  await works('by-tar');
  assert.ok(readFileSync(archive).length > 0);
  rmSync(folder, { recursive: true });
  rmSync(archive);
});
