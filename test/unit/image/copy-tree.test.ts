/** A copy of merged folders is what overlayfs shows of them, file by file. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeNodeAt, setXattrFd } from '../../../native/tree-write.ts';
import { copyInto } from '../../../server/image/copy-job.ts';
import { copyTree } from '../../../server/image/copy-tree.ts';

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'mydocker-copy-'));
});
after(() => rmSync(folder, { recursive: true }));

function withFd<T>(path: string, step: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return step(fd);
  } finally {
    closeSync(fd);
  }
}

const node = (path: string, name: string, mode: number, major: number, minor: number): void =>
  withFd(path, (fd) => makeNodeAt(fd, Buffer.from(name), mode, major, minor));
const xattr = (path: string, name: string, value: string | Buffer): void =>
  withFd(path, (fd) => setXattrFd(fd, name, Buffer.from(value)));

/** v2 of vfs_cap_data: cap_net_raw=ep. */
const FILE_CAPABILITY = Buffer.from('0100000200200000000000000000000000000000', 'hex');

function makeBase(base: string): void {
  for (const path of ['gone', 'opaque/sub', 'kept/deep', 'file-over-dir', 'merged'])
    mkdirSync(join(base, path), { recursive: true });
  for (const path of [
    'gone/f',
    'opaque/f',
    'opaque/sub/f',
    'kept/deep/f',
    'file-over-dir/f',
    'dir-over-file',
    'merged/a',
    'merged/b',
  ])
    writeFileSync(join(base, path), path);
  linkSync(join(base, 'merged/a'), join(base, 'kept/a-too'));
  linkSync(join(base, 'merged/a'), join(base, 'merged/hidden-name'));
  symlinkSync('nowhere', join(base, 'dangling'));
  linkSync(join(base, 'dangling'), join(base, 'dangling-too'));
  node(base, 'device', 0o060640, 259, 300);
  node(base, 'fifo', 0o010600, 0, 0);
  node(base, 'socket', 0o140600, 0, 0);
  writeFileSync(Buffer.concat([Buffer.from(`${base}/`), Buffer.from([0xff, 0xfe, 0x0a])]), 'odd name');
  chownSync(join(base, 'merged/b'), 1234, 5678);
  chmodSync(join(base, 'merged/b'), 0o6711);
  xattr(join(base, 'merged/b'), 'user.note', 'b');
  xattr(join(base, 'merged/b'), 'security.capability', FILE_CAPABILITY);
  xattr(join(base, 'merged'), 'user.note', 'directory');
  const sparse = openSync(join(base, 'sparse'), 'w');
  writeSync(sparse, 'begin', 0);
  writeSync(sparse, 'middle', 8 << 20);
  closeSync(sparse);
  truncateSync(join(base, 'sparse'), 64 << 20);
  chmodSync(join(base, 'merged'), 0o1770);
  utimesSync(join(base, 'merged'), 1_000_000_000.5, 1_000_000_000.123456);
  utimesSync(join(base, 'kept'), -1, -1);
}

function makeTop(top: string): void {
  for (const path of ['opaque', 'dir-over-file', 'merged']) mkdirSync(join(top, path), { recursive: true });
  for (const path of ['opaque/g', 'dir-over-file/f', 'merged/a', 'file-over-dir'])
    writeFileSync(join(top, path), 'top');
  node(top, 'gone', 0o020000, 0, 0);
  node(join(top, 'merged'), 'hidden-name', 0o020000, 0, 0);
  xattr(join(top, 'opaque'), 'trusted.overlay.opaque', 'y');
  chownSync(join(top, 'merged'), 77, 88);
  utimesSync(join(top, 'merged'), 1_100_000_000, 1_100_000_000.5);
}

/** Type, mode, owner, size, links, time, target, attributes and content of everything. */
const DESCRIBE = `cd "$1" && find . -mindepth 1 -printf '%P %y %m %U %G %s %n %T@ %l\\n' | sed -E '/ d /s/ d ([0-9]+ [0-9]+ [0-9]+) [0-9]+ [0-9]+/ d \\1/' | LC_ALL=C sort; getfattr -R -h -d -m '^(user|security)' . 2>/dev/null; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum; find . \\( -type b -o -type c \\) -exec stat -c '%n %t %T' {} +`;

test('copies are what overlayfs shows', () => {
  const [base, top, work, merged] = ['base', 'top', 'work', 'merged'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const path of [base, top, work, merged]) mkdirSync(path);
  makeBase(base);
  makeTop(top);
  withFd(work, (fd) => copyInto([top, base], fd));
  assert.deepEqual(readdirSync(work), ['tree']);
  const script = `mount -t overlay -o lowerdir=${top}:${base} overlay ${merged} && set -- ${merged} && ${DESCRIBE}`;
  const expected = execFileSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'latin1' });
  const actual = execFileSync('sh', ['-c', DESCRIBE, 'sh', join(work, 'tree')], { encoding: 'latin1' });
  // Of overlayfs's links the hidden ones count; of a copy's only those that are there.
  const links = (text: string): string => text.replaceAll(/^(kept\/a-too f 644 0 0 8) \d/gm, '$1 n');
  assert.deepEqual(links(actual).split('\n'), links(expected).split('\n'));
  assert.match(actual, /^merged\/b f 6711 1234 5678 /m);
  assert.equal(readFileSync(join(work, 'tree/merged/a'), 'utf8'), 'top');
  const { size, blocks } = statSync(join(work, 'tree/sparse'));
  assert.equal(size, 64 << 20);
  assert.ok(blocks * 512 < 1 << 20, `${blocks} blocks`);
});

test('what an earlier try left goes first', () => {
  const [source, work] = [join(folder, 'again'), join(folder, 'again-work')];
  for (const path of [source, work, join(work, 'tree'), join(work, 'links')]) mkdirSync(path);
  writeFileSync(join(source, 'f'), 'new');
  writeFileSync(join(work, 'tree/old'), 'old');
  symlinkSync(folder, join(work, 'links/l'));
  withFd(work, (fd) => copyInto([source], fd));
  assert.deepEqual(readdirSync(work), ['tree']);
  assert.deepEqual(readdirSync(join(work, 'tree')), ['f']);
  assert.ok(statSync(source).isDirectory());
});

test('a deep tree and one of many links cost no descriptors', () => {
  const [source, target, links] = [
    join(folder, 'deep'),
    join(folder, 'deep-copy'),
    join(folder, 'deep-links'),
  ];
  for (const path of [source, target, links]) mkdirSync(path);
  execFileSync('sh', [
    '-c',
    'cd "$1"; i=0; while [ $i -lt 400 ]; do mkdir d; cd d; i=$((i+1)); done; echo x >f',
    'sh',
    source,
  ]);
  writeFileSync(join(source, 'f'), 'x');
  for (let i = 0; i < 2000; i += 1) linkSync(join(source, 'f'), join(source, `l${i}`));
  const before = readdirSync('/proc/self/fd').length;
  const { entries } = withFd(source, (from) =>
    withFd(target, (to) => withFd(links, (kept) => copyTree([from], to, kept))),
  );
  assert.equal(readdirSync('/proc/self/fd').length, before);
  assert.equal(entries, 1 + 400 + 2 + 2000);
  assert.equal(statSync(join(target, 'f')).nlink, 2002);
});

test('the file that could not be copied is named', () => {
  const [source, target] = [join(folder, 'named'), join(folder, 'named-copy')];
  for (const path of [join(source, 'a/b'), target]) mkdirSync(path, { recursive: true });
  writeFileSync(join(source, 'a/b/c'), 'x');
  mkdirSync(join(target, 'a'));
  assert.throws(
    () => withFd(source, (from) => withFd(target, (to) => copyTree([from], to, to))),
    /mkdirat \/a: EEXIST/,
  );
});
