/** File systems below the root folder: what they carry is found out, told, and refused with a way out. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { PROJECT } from '../harness/cli.ts';
import { Host } from '../harness/host.ts';
import { importEntries, inside, until } from './ground.ts';

let host: Host;
beforeEach(() => {
  host = new Host({});
  mkdirSync(host.root);
});
afterEach(async () => {
  await host.kill9();
  spawnSync('umount', ['-l', host.root]);
  await host.dispose();
});

const mount = (...args: readonly string[]): void => void execFileSync('mount', args, { stdio: 'pipe' });

/** Puts the root folder onto an overlay. */
function overlayRoot(): void {
  const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => join(host.folder, name));
  for (const path of [lower, upper, work]) mkdirSync(path ?? '');
  mount('-t', 'overlay', '-o', `lowerdir=${lower},upperdir=${upper},workdir=${work}`, 'overlay', host.root);
}

test('on an overlay: overlay is refused with the way out, vfs works', async () => {
  overlayRoot();
  await assert.rejects(host.start(), (error: Error) => {
    assert.match(error.message, /cannot use storage driver overlay: .* on overlay cannot carry it \(\w+\)/);
    assert.match(error.message, /hint: start mydockerd with -s vfs/);
    return true;
  });
  await host.start({ args: ['-s', 'vfs'] });
  await host.importFixture('busybox');
  assert.equal(
    await inside(host, 'rm /bin/vi; ls /bin/vi 2>/dev/null; echo ok; cat /etc/hostname >/dev/null'),
    'ok',
  );
  const { features, server } = await host.api.system.getInfo({});
  assert.equal(server?.backingFilesystem, 'overlay');
  const overlay = features.find(({ name }) => name === 'storage-overlay');
  assert.equal(overlay?.available, false);
  assert.match(overlay?.alternative ?? '', /vfs/);
  const { code, stderr } = await host.cli(['create', '-s', 'overlay', 'busybox', 'true']);
  assert.equal(code, 125);
  assert.match(stderr, /cannot carry it/);
  await until(
    () => readdirSync(join(host.root, 'containers')),
    (names) => names.length === 0,
  );
});

test('on a tmpfs overlay works, and what the disk offers is in the log', async () => {
  mount('-t', 'tmpfs', 'tmpfs', host.root);
  await host.start();
  await host.importFixture('busybox');
  assert.equal(await inside(host, 'rm /bin/vi; mv /home /h; ls -d /h'), '/h');
  const { server } = await host.api.system.getInfo({});
  assert.deepEqual([server?.storageDriver, server?.backingFilesystem], ['overlay', 'tmpfs']);
  const told = host.log.split('\n').find((line) => line.includes('"msg":"listening"')) ?? '{}';
  const { backing, working } = (JSON.parse(told) as { storage: { backing: object; working: string[] } })
    .storage;
  assert.deepEqual(backing, { directoryTypes: true, xattrs: true, renameWhiteout: true });
  assert.deepEqual(working, ['overlay', 'vfs']);
  assert.equal(readdirSync(host.root).includes('.probe'), false);
});

test('on a file system that shares blocks vfs copies none', async (t) => {
  if (!existsSync('/dev/loop-control') || !/\txfs$/m.test(readFileSync('/proc/filesystems', 'utf8'))) {
    t.skip('this machine has no loop devices, or its kernel no xfs');
    return;
  }
  const disk = join(host.folder, 'disk');
  writeFileSync(disk, '');
  truncateSync(disk, 512 << 20);
  execFileSync('mkfs.xfs', ['-q', '-m', 'reflink=1', disk]);
  mount('-o', 'loop', disk, host.root);
  await host.start({ args: ['-s', 'vfs'] });
  const large = Buffer.alloc(48 << 20, 'x');
  await importEntries(host, 'large', [{ name: 'large', data: large }]);
  const used = (): number => {
    execFileSync('sync', ['-f', host.root]);
    const { blocks, bfree, bsize } = statfsSync(host.root);
    return (blocks - bfree) * bsize;
  };
  const before = used();
  const change = 'echo mine | dd of=/large conv=notrunc 2>/dev/null; head -c 5 /large';
  for (const name of ['one', 'two'])
    assert.equal(await host.ok(['run', '--name', name, 'large', 'sh', '-c', change]), 'mine');
  assert.ok(used() - before < 24 << 20, `${used() - before} bytes for two copies of ${large.length}`);
  assert.equal(await inside(host, 'head -c 5 /large', [], 'large'), 'xxxxx');
  assert.equal((await host.api.system.getInfo({})).server?.backingFilesystem, 'xfs');
  await host.ok(['rm', 'one', 'two']);
});

test('vfs on a disk that is full says so, and nothing is left', async () => {
  mount('-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', host.root);
  await host.start({ args: ['-s', 'vfs'] });
  await host.importFixture('busybox');
  const room = statfsSync(host.root).bavail;
  const ids: string[] = [];
  let refused = '';
  for (let i = 0; i < 24 && refused === ''; i += 1) {
    const { code, stdout, stderr } = await host.cli(['run', '-d', 'busybox', 'true']);
    if (code === 0) ids.push(stdout.trim());
    else refused = stderr;
  }
  assert.match(refused, /no space left|disk is full/);
  assert.doesNotMatch(refused, /internal/);
  await host.ok(['rm', '-f', ...(await host.ok(['ps', '-q'])).split('\n').filter(Boolean)]);
  await until(
    () => readdirSync(join(host.root, 'containers')),
    (names) => names.length === 0,
  );
  // What is out of sight is deleted behind.
  await until(
    () => statfsSync(host.root).bavail,
    (pages) => pages > room / 2,
  );
  assert.equal(await inside(host, 'echo again'), 'again');
});

test('a driver that this server does not have is refused before anything is touched, with those that work', () => {
  for (const [driver, why] of [
    ['aufs', 'this server does not have it'],
    ['btrfs', 'this server does not have it'],
    ['zip', 'there is no such driver'],
    ['', 'there is no such driver'],
  ]) {
    const args = ['--root', host.root, '--state', host.state, '--listen', host.address, '-s', driver ?? ''];
    const { status, stderr } = spawnSync(join(PROJECT, 'bin/mydockerd'), args, { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.match(stderr, new RegExp(`cannot use storage driver "?${driver}"?: ${why}`));
    assert.match(stderr, /hint: those that work here: overlay, vfs/);
  }
});

test('a copy that its client gives up, or that is killed, leaves nothing, and the next start makes it whole', async () => {
  await host.start({ args: ['-s', 'vfs'] });
  await host.importFixture('debian-redis');
  const create = async (): Promise<{ folder: string }> => {
    await host.ok(['create', '--name', 'large', 'debian-redis', 'cat', '/etc/debian_version']);
    return JSON.parse(await host.ok(['inspect', '--format', 'api', 'large']))[0].paths;
  };
  let paths = await create();
  const copying = (): Promise<unknown> =>
    until(
      () => existsSync(join(paths.folder, 'copy/tree/usr')),
      (is) => is,
    );
  const call = host.api.tasks.startTask({ container: 'large' }, { deadline: Date.now() + 250 });
  await assert.rejects(call, /DEADLINE_EXCEEDED/);
  await until(
    () => readdirSync(join(host.root, 'containers')).length + readdirSync(paths.folder).length,
    (count) => count === 3,
    20_000,
  );
  // Who stops, kills or removes it ends the copy, and does not wait for it.
  for (const words of [['stop'], ['kill'], ['rm', '-f']]) {
    const ended = host.cli(['start', 'large']);
    await copying();
    await host.ok([...words, 'large']);
    const { code, stderr } = await ended;
    assert.deepEqual(
      [code, stderr.split('\n')[0]],
      [125, 'mydocker: cannot start container large: it was killed meanwhile'],
    );
    if (words[0] === 'rm') break;
    assert.equal(await host.ok(['ps', '--format', '{{.Status}}', '-f', 'name=large']), 'Created');
    assert.deepEqual(readdirSync(paths.folder).sort(), ['config.json', 'logs']);
  }
  await until(
    () => readdirSync(join(host.root, 'containers')),
    (names) => names.length === 0,
    20_000,
  );
  paths = await create();
  const start = host.cli(['start', 'large']);
  await copying();
  // Others do not wait for it.
  const begin = performance.now();
  await host.api.containers.getContainer({ container: 'large' });
  assert.ok(performance.now() - begin < 200, `${performance.now() - begin} ms`);
  await host.kill9();
  assert.notEqual((await start).code, 0);
  await host.start();
  assert.match(await host.ok(['start', '-a', 'large'], { timeoutMs: 60_000 }), /^12\./);
  assert.deepEqual(readdirSync(paths.folder).sort(), ['config.json', 'logs', 'rootfs']);
  await host.ok(['rm', 'large']);
});
