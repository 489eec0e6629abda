/** `-v`: folders and files of the host, and nothing of the host beside them. @vm */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, importEntries, inside, makeCanary, refused, tryInside, WITH_PROBE } from './ground.ts';

let host: Host;
let folder = '';
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
beforeEach(() => {
  folder = join(host.folder, 'volume');
  mkdirSync(join(folder, 'sub'), { recursive: true });
  writeFileSync(join(folder, 'file'), 'from the host\n');
});
afterEach(async () => {
  spawnSync('umount', ['-R', join(folder, 'mounted')]);
  rmSync(folder, { recursive: true });
  await assertClean(host);
});
after(() => host.dispose());

test('a folder is read and written, and stays', async () => {
  const script = 'cat /data/file; echo new >/data/new; stat -c %u /data/new';
  assert.equal(await inside(host, script, ['-v', `${folder}:/data`]), 'from the host\n0');
  assert.equal(readFileSync(join(folder, 'new'), 'utf8'), 'new\n');
});

test('a single file, also over one of the image', async () => {
  assert.equal(await inside(host, 'cat /etc/motd', ['-v', `${folder}/file:/etc/motd`]), 'from the host');
  assert.equal(
    await inside(host, 'cat /etc/passwd', ['-v', `${folder}/file:/etc/passwd:ro`]),
    'from the host',
  );
  assert.equal(
    await inside(host, 'cat /deep/in/here', ['-v', `${folder}/file:/deep/in/here`]),
    'from the host',
  );
});

test('what is missing on either side is made', async () => {
  await inside(host, 'touch /a/b/c/x', ['-v', `${folder}/new/source:/a/b/c`]);
  assert.ok(existsSync(join(folder, 'new/source/x')));
  assert.equal(statSync(join(folder, 'new/source')).mode & 0o777, 0o755);
});

test('ro is read-only with everything below it', async () => {
  mkdirSync(join(folder, 'mounted'));
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(folder, 'mounted')]).status, 0);
  const script =
    'for f in /v/x /v/sub/x /v/mounted/x /v/file; do touch $f 2>/dev/null && echo written $f; done; echo done';
  assert.equal(await inside(host, script, ['-v', `${folder}:/v:ro`]), 'done');
  // Nor can it be made writable again.
  const again =
    'mount -o remount,rw /v 2>/dev/null; mount -o remount,bind,rw /v 2>/dev/null; umount /v 2>/dev/null; touch /v/x 2>/dev/null || echo no';
  assert.equal(await inside(host, again, ['-v', `${folder}:/v:ro`]), 'no');
  assert.equal(await inside(host, 'touch /v/mounted/x && echo yes', ['-v', `${folder}:/v`]), 'yes');
});

test('several, nested in any order, and joined with commas', async () => {
  mkdirSync(join(folder, 'outer/inner'), { recursive: true });
  const options = ['-v', `${folder}/sub:/a/inner`, '-v', `${folder}/outer:/a`];
  await inside(host, 'touch /a/outer-file /a/inner/sub-file', options);
  assert.ok(existsSync(join(folder, 'outer/outer-file')) && existsSync(join(folder, 'sub/sub-file')));
  assert.equal(
    await inside(host, 'ls /x /y | grep -c file', ['-v', `${folder}/sub:/x,${folder}/outer:/y:ro`]),
    '2',
  );
});

test('what is mounted on the host later does not come in, nor the reverse', async () => {
  mkdirSync(join(folder, 'mounted'));
  await host.ok(['run', '-d', '--name', 'early', '-v', `${folder}:/v`, 'busybox', 'sleep', '1000']);
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(folder, 'mounted')]);
  writeFileSync(join(folder, 'mounted/late'), '');
  assert.equal(await host.ok(['exec', 'early', 'ls', '/v/mounted']), '');
  await host.ok(['rm', '-f', 'early']);
});

test('a destination that is a link in the image stays inside', async () => {
  const canary = makeCanary(host.folder);
  const link = (name: string, target: string) => ({ name, type: '2', link: target });
  await importEntries(host, 'linked', [
    link('absolute', `${canary.path}/d`),
    link('relative', `${'../'.repeat(30)}${canary.path.slice(1)}/d`),
    link('file', `${canary.path}/f`),
    link('etc/over', `${canary.path}/missing`),
    { name: 'real/', mode: 0o755 },
    link('inner', '/real'),
  ]);
  const see = async (destination: string): Promise<void> => {
    const { code, stdout, stderr } = await tryInside(
      host,
      `cat ${destination}/file`,
      ['-v', `${folder}:${destination}`],
      'linked',
    );
    if (code === 0) assert.equal(stdout, 'from the host\n');
    else assert.match(stderr, /cannot start|No such file/);
    canary.assertUntouched();
  };
  for (const destination of ['/absolute', '/relative', '/absolute/deep/er', '/etc/over', '/inner/x', '/file'])
    await see(destination);
  assert.equal(await inside(host, 'cat /real/file', ['-v', `${folder}:/inner`], 'linked'), 'from the host');
  await host.ok(['rmi', 'linked']);
  rmSync(canary.path, { recursive: true });
});

test('a destination that is swapped for a link while it is mounted stays inside', async () => {
  const canary = makeCanary(host.folder);
  const shared = join(folder, 'shared');
  mkdirSync(join(shared, 'dir'), { recursive: true });
  symlinkSync(`${canary.path}/d`, join(shared, 'link'));
  const swap = ['run', '-d', '--name', 'swapper', ...WITH_PROBE, '-v', `${shared}:/s`, 'busybox'];
  await host.ok([...swap, '/probe', 'swap', '/s/dir', '/s/link']);
  const victims = ['-v', `${shared}:/s`, '-v', `${folder}/sub:/s/dir/new`, '-v', `${folder}/file:/s/dir/f`];
  for (let round = 0; round < 25; round += 1) {
    const config = ['create', ...victims, '-w', '/s/dir/work', 'busybox', 'ls', `${canary.path}/d`];
    const id = await host.ok(config);
    // It may fail, as the link leads nowhere inside; it may not reach the host.
    await host.api.tasks.startTask({ container: id }).catch(() => undefined);
    await host.api.tasks.waitTask({ container: id });
    canary.assertUntouched();
    assert.doesNotMatch((await host.cli(['logs', id])).stdout, /inner/);
    await host.ok(['rm', '-f', id]);
  }
  assert.match(await host.ok(['ps', '-r']), /swapper/);
  await host.ok(['rm', '-f', 'swapper']);
  canary.assertUntouched();
  rmSync(canary.path, { recursive: true });
});

test('a source that is a link is followed on the host, once', async () => {
  symlinkSync(join(folder, 'sub'), join(folder, 'link'));
  await inside(host, 'touch /v/x', ['-v', `${folder}/link:/v`]);
  assert.ok(existsSync(join(folder, 'sub/x')));
});

test('two containers share a folder', async () => {
  await host.ok([
    'run',
    '-d',
    '--name',
    'writer',
    '-v',
    `${folder}:/v`,
    'busybox',
    'sh',
    '-c',
    'echo shared >/v/shared; sleep 1000',
  ]);
  const script = 'while [ ! -e /v/shared ]; do sleep 0.05; done; cat /v/shared';
  assert.equal(await inside(host, script, ['-v', `${folder}:/v:ro`]), 'shared');
  await host.ok(['rm', '-f', 'writer']);
});

test('a container user writes as itself', async () => {
  spawnSync('chmod', ['777', folder]);
  await inside(host, 'touch /v/mine', ['-v', `${folder}:/v`, '-u', '1000:1001']);
  const { uid, gid } = statSync(join(folder, 'mine'));
  assert.deepEqual([uid, gid], [1000, 1001]);
});

test('what cannot be is refused before anything is touched', async () => {
  const volume = (text: string): string[] => ['run', '--rm', '-v', text, 'busybox', 'true'];
  const before = await host.ok(['ps', '-q']);
  for (const destination of [
    '/proc',
    '/proc/self',
    '/sys',
    '/sys/fs/cgroup',
    '/x/../proc',
    '/proc/../proc',
    '//proc',
  ]) {
    await refused(host, volume(`${folder}:${destination}`), /invalid mount destination/);
  }
  for (const text of [`${folder}:/`, `${folder}:/.`, `${folder}:/x/..`])
    await refused(host, volume(text), /root/);
  await refused(host, volume(`${folder}:relative`), /not absolute/);
  await refused(host, volume(`:/x`), /empty/);
  await refused(host, volume(`${folder}:/x:rx`), /unknown option "rx"/);
  await refused(
    host,
    ['run', '--rm', '-v', `${folder}:/x`, '-v', `${folder}:/x/`, 'busybox', 'true'],
    /given twice/,
  );
  // A folder cannot be mounted where the image has a file, nor a file where it has a folder.
  await refused(host, volume(`${folder}:/etc/passwd`), /cannot start container[\s\S]*(ENOTDIR|EEXIST)/);
  await refused(
    host,
    volume(`${folder}/file:/etc`),
    /mount \/etc: EINVAL[\s\S]*hint: a file is mounted on a file/,
  );
  await refused(host, volume(`${folder}/file/x:/y`), /ENOTDIR|not a directory/);
  assert.equal(await host.ok(['ps', '-q']), before);
});

test('/dev and /etc take volumes too', async () => {
  assert.equal(await inside(host, 'cat /dev/shm/file', ['-v', `${folder}:/dev/shm`]), 'from the host');
  assert.equal(await inside(host, 'cat /etc/hosts', ['-v', `${folder}/file:/etc/hosts`]), 'from the host');
  assert.equal(
    await inside(host, 'cat /etc/own/file; cat /etc/hostname', [
      '-v',
      `${folder}:/etc/own`,
      '--hostname',
      'h1',
    ]),
    'from the host\nh1',
  );
  // The server's files come onto an /etc of the user's too, but for those that are the user's own.
  const look = 'cat /etc/hostname; wc -l </etc/resolv.conf; grep -c localhost /etc/hosts';
  const here = `${folder}/file:/etc/resolv.conf`;
  for (const etc of ['/etc', '/etc:ro'])
    assert.equal(await inside(host, look, ['--tmpfs', etc, '-v', here, '-h', 'h2']), 'h2\n1\n2', etc);
  assert.notEqual((await tryInside(host, 'touch /etc/x', ['--tmpfs', '/etc:ro'])).code, 0);
  assert.equal(
    await inside(host, 'cat /etc/file /etc/hostname', ['-v', `${folder}:/etc`, '-h', 'h3']),
    'from the host\nh3',
  );
  // Only what a mount takes was made.
  assert.equal(readFileSync(join(folder, 'hostname'), 'utf8'), '');
  rmSync(join(folder, 'hosts'));
  await refused(
    host,
    ['run', '--rm', '-v', `${folder}:/etc:ro`, 'busybox', 'true'],
    /make file \/etc\/hosts: EROFS .*\nhint: /,
  );
  assert.ok(!existsSync(join(folder, 'hosts')));
});
