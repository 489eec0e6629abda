/** A volume that lies elsewhere is filled where it is: whole or not at all, whatever died before and whatever is in it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { copyInto } from '../../../server/image/copy-job.ts';
import { FILL_MARK, fillFrom } from '../../../server/image/fill-job.ts';

let folder = '';
let source = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'mydocker-fill-'));
  source = join(folder, 'source');
  mkdirSync(join(source, 'sub'), { recursive: true });
  writeFileSync(join(source, 'sub/file'), 'of the image');
  linkSync(join(source, 'sub/file'), join(source, 'again'));
  symlinkSync('/etc/passwd', join(source, 'link'));
  chownSync(source, 7, 8);
  chmodSync(source, 0o2750);
  utimesSync(source, 1000, 1000);
});
after(() => rmSync(folder, { recursive: true }));

const CONTENT = ['again', 'link', 'sub'];

function volume(name: string): string {
  const path = join(folder, name);
  mkdirSync(path);
  return path;
}

function withFd<T>(path: string, step: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return step(fd);
  } finally {
    closeSync(fd);
  }
}

const fill = (path: string): number => withFd(path, (fd) => fillFrom([source], fd).placed);

function assertFilled(path: string): void {
  assert.deepEqual(readdirSync(path).sort(), CONTENT);
  const { mode, uid, gid, mtimeMs } = statSync(path);
  assert.deepEqual([mode & 0o7777, uid, gid, mtimeMs], [0o2750, 7, 8, 1_000_000]);
  assert.equal(readFileSync(join(path, 'sub/file'), 'utf8'), 'of the image');
  assert.equal(statSync(join(path, 'again')).ino, statSync(join(path, 'sub/file')).ino);
  assert.ok(lstatSync(join(path, 'link')).isSymbolicLink());
}

test('an empty one has content and look of the source, another stays as it is', () => {
  const path = volume('empty');
  assert.equal(fill(path), 3);
  assertFilled(path);
  rmSync(join(path, 'sub'), { recursive: true });
  assert.equal(fill(path), 0);
  assert.deepEqual(readdirSync(path).sort(), ['again', 'link']);
  const bare = volume('bare');
  const owned = volume('owned');
  chownSync(bare, 5, 5);
  withFd(owned, (fd) => fillFrom([bare], fd));
  assert.equal(statSync(owned).uid, 5);
});

test('one that died while it copied is undone and made again, or only undone', () => {
  const path = volume('half');
  mkdirSync(join(path, FILL_MARK, 'tree/sub'), { recursive: true });
  writeFileSync(join(path, FILL_MARK, 'tree/part'), 'half');
  mkdirSync(join(path, FILL_MARK, 'links'));
  assert.equal(fill(path), 3);
  assertFilled(path);
  const used = volume('used');
  mkdirSync(join(used, FILL_MARK, 'tree'), { recursive: true });
  writeFileSync(join(used, 'mine'), '');
  assert.equal(fill(used), 0);
  assert.deepEqual(readdirSync(used), ['mine']);
});

test('one that died while it moved is gone on with, at each name', () => {
  for (let moved = 0; moved <= CONTENT.length; moved += 1) {
    const path = volume(`moved-${moved}`);
    const mark = join(path, FILL_MARK);
    mkdirSync(mark);
    withFd(mark, (fd) => copyInto([source], fd));
    renameSync(join(mark, 'tree'), join(mark, 'complete'));
    for (const name of CONTENT.slice(0, moved)) renameSync(join(mark, 'complete', name), join(path, name));
    utimesSync(join(mark, 'complete'), 1000, 1000);
    assert.equal(fill(path), CONTENT.length - moved);
    assertFilled(path);
  }
});

test('what somebody put there meanwhile stays, and links lead nowhere', () => {
  const outside = volume('outside');
  writeFileSync(join(outside, 'keep'), '');
  const linked = volume('linked');
  symlinkSync(outside, join(linked, FILL_MARK));
  assert.equal(fill(linked), 0);
  assert.deepEqual(readdirSync(linked), [FILL_MARK]);
  const given = volume('given');
  mkdirSync(join(given, FILL_MARK, 'complete/x'), { recursive: true });
  chownSync(join(given, FILL_MARK), 1000, 1000);
  assert.equal(fill(given), 0);
  assert.deepEqual(readdirSync(given), [FILL_MARK]);
  const inner = volume('inner');
  mkdirSync(join(inner, FILL_MARK));
  symlinkSync(outside, join(inner, FILL_MARK, 'complete'));
  symlinkSync(outside, join(inner, FILL_MARK, 'tree'));
  assert.equal(fill(inner), 3);
  assertFilled(inner);
  const raced = volume('raced');
  mkdirSync(join(raced, FILL_MARK, 'complete/sub'), { recursive: true });
  writeFileSync(join(raced, FILL_MARK, 'complete/sub/file'), 'of the image');
  symlinkSync(outside, join(raced, 'sub'));
  assert.equal(fill(raced), 0);
  assert.ok(lstatSync(join(raced, 'sub')).isSymbolicLink());
  assert.deepEqual(readdirSync(raced), ['sub']);
  assert.deepEqual(readdirSync(outside), ['keep']);
});

test('a full disk leaves it empty', () => {
  const path = volume('full');
  writeFileSync(join(source, 'sub/large'), 'x'.repeat(200_000));
  const program = `
    import { openSync } from 'node:fs';
    import { fillFrom } from '${join(import.meta.dirname, '../../../server/image/fill-job.ts')}';
    try { fillFrom(['${source}'], openSync('${path}')); } catch (error) { console.log(error.message); }`;
  const shell = 'mount -t tmpfs -o size=64k small "$0" && "$@"; ls -A "$0"';
  const run = [process.execPath, '--input-type=module', '-e', program];
  const printed = execFileSync('unshare', ['-m', 'sh', '-c', shell, path, ...run], { encoding: 'utf8' });
  assert.match(printed, /^\/sub\/large: ENOSPC[^\n]*\n$/);
  rmSync(join(source, 'sub/large'));
});
