/** Flags, file and defaults of mydockerd. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ARCHIVE_LIMIT_NAMES, HELP, parseInvocation, type ServerConfig } from '../../server/config.ts';
import { ARCHIVE_LIMITS } from '../../server/image/archive-limits.ts';

let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'mydocker-config-'));
});

after(() => rmSync(folder, { recursive: true }));

function config(...args: string[]): ServerConfig {
  const invocation = parseInvocation(args);
  assert.ok(invocation.kind === 'serve');
  return invocation.config;
}

function file(content: unknown): string {
  const path = join(folder, 'c.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

test('without anything the usual folders are used', () => {
  assert.deepEqual(config(), {
    root: '/var/lib/mydocker',
    state: '/run/mydocker',
    listen: ['unix:///run/mydocker/mydocker.sock'],
    debug: false,
  });
});

test('flags are taken, and the socket follows the state folder', () => {
  assert.deepEqual(config('--root', '/r/', '--state=/s//t', '--cgroup-parent', '/x', '--debug'), {
    ...{ root: '/r', state: '/s/t', listen: ['unix:///s/t/mydocker.sock'], cgroupParent: '/x', debug: true },
  });
  assert.deepEqual(config('--listen', 'unix:///a', '--listen', 'unix:///b').listen, [
    'unix:///a',
    'unix:///b',
  ]);
  assert.deepEqual(
    [config('--cgroup-driver', 'systemd', '--cgroup-parent', 'a-b.slice')].map(
      ({ cgroupDriver, cgroupParent }) => [...[cgroupDriver, cgroupParent]],
    ),
    [['systemd', '/a.slice/a-b.slice']],
  );
  assert.equal(config('--config', file({ 'cgroup-driver': 'systemd' })).cgroupDriver, 'systemd');
  for (const args of [
    ['--cgroup-driver', 'docker'],
    ['--cgroup-driver=systemd', '--cgroup-parent', '/x'],
  ])
    assert.throws(() => config(...args), { reason: 'OPTION_INVALID' });
  for (const args of [
    ['-s', 'vfs'],
    ['--storage-driver', 'vfs'],
  ])
    assert.equal(config(...args).storageDriver, 'vfs');
  assert.equal(config('--config', file({ 'storage-driver': 'vfs' })).storageDriver, 'vfs');
  assert.equal(config().storageDriver, undefined);
});

test('a file says the same, and flags win', () => {
  const path = file({ root: '/f', state: '/g', listen: 'unix:///h', 'cgroup-parent': '/i', debug: true });
  assert.deepEqual(config('--config', path), {
    ...{ root: '/f', state: '/g', listen: ['unix:///h'], cgroupParent: '/i', debug: true },
  });
  assert.equal(config('--config', path, '--root', '/mine').root, '/mine');
});

test('a file may set limits of archives, all that there are', () => {
  assert.deepEqual([...ARCHIVE_LIMIT_NAMES].sort(), Object.keys(ARCHIVE_LIMITS).sort());
  assert.equal(config('--config', file({ launchers: 0 })).launchers, 0);
  for (const wrong of [-1, 17, 1.5, '1'])
    assert.throws(() => config('--config', file({ launchers: wrong })), {
      message: /launchers is no whole number from 0 to 16$/,
    });
  const path = file({ 'archive-limits': { entries: 10, unpackedBytes: 1e9 } });
  assert.deepEqual(config('--config', path).archiveLimits, { entries: 10, unpackedBytes: 1e9 });
  for (const wrong of [{ files: 1 }, { entries: 0 }, { entries: '9' }, { entries: 1.5 }, [], 7])
    assert.throws(() => config('--config', file({ 'archive-limits': wrong })), {
      reason: 'CONFIG_FILE_INVALID',
      message: /archive-limits is no object of numbers above 0 named entries, /,
    });
});

test('what cannot be read is refused by name', () => {
  const refused: [args: string[], why: RegExp][] = [
    [['--rot', '/x'], /Unknown option '--rot'/],
    [['start'], /Unexpected argument 'start'/],
    [['--root'], /argument missing/],
    [['--root', 'x'], /invalid --root x: it is not an absolute path/],
    [['--cgroup-parent', 'x'], /--cgroup-parent/],
    [['--config', join(folder, 'none')], /cannot read configuration .*none: ENOENT/],
  ];
  for (const [args, why] of refused) {
    assert.throws(() => parseInvocation(args), { code: 'invalid-argument', message: why }, args.join(' '));
  }
  for (const content of [
    '{',
    '[]',
    { rooot: '/x' },
    { debug: 'yes' },
    { listen: [] },
    { listen: [1] },
    { root: 1 },
  ])
    assert.throws(
      () => config('--config', file(content)),
      { reason: 'CONFIG_FILE_INVALID' },
      JSON.stringify(content),
    );
});

test('help and version win over everything', () => {
  assert.equal(parseInvocation(['--version', '--root', 'x']).kind, 'version');
  assert.equal(parseInvocation(['-h']).kind, 'help');
  for (const option of [
    '--root',
    '--state',
    '--listen',
    '--cgroup-parent',
    '--storage-driver',
    '--config',
    '--debug',
  ])
    assert.ok(HELP.includes(option));
});
