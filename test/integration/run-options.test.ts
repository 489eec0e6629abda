/** The options of `create` and `run` that decide what a process finds. @vm */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fixtureTar } from '../fixtures/images.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, importEntries, inside, refused, tryInside } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  const script = { name: 'entry', mode: 0o755, data: '#!/bin/sh\necho entry "$@"\n' };
  await importEntries(
    host,
    'entry',
    [script],
    [
      'ENTRYPOINT ["/entry", "first"]',
      'CMD ["second"]',
      'ENV FROM_IMAGE=image KEEP=kept',
      'USER user',
      'WORKDIR /work/dir',
      'LABEL colour=blue mydocker.x=1',
    ],
  );
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('-e adds to the image and wins over it, the last one wins, KEY alone takes it from here or away', async () => {
  const env = async (options: string[], image = 'entry'): Promise<string[]> =>
    (await host.ok(['run', '--rm', '--entrypoint', 'env', ...options, image], { env: { HERE: 'from here' } }))
      .split('\n')
      .sort();
  const all = await env(['-e', 'A=1', '-e', 'A=2', '-e', 'FROM_IMAGE=mine', '-e', 'HERE', '-e', 'X=a=b c']);
  assert.deepEqual(
    all.filter((line) => !/^(HOSTNAME|HOME|PATH|PWD|SHLVL)=/.test(line)),
    ['A=2', 'FROM_IMAGE=mine', 'HERE=from here', 'KEEP=kept', 'X=a=b c'],
  );
  assert.ok(all.includes('HOME=/home/user'));
  assert.ok(!(await env(['-e', 'KEEP'])).some((line) => line.startsWith('KEEP')));
  const plain = await env([], 'busybox');
  assert.equal(plain.length, 3, plain.join());
  assert.match(plain.join('\n'), /^HOME=\/root\nHOSTNAME=[0-9a-f]{12}\nPATH=\/usr\/local\/sbin:.*:\/bin$/);
  const file = join(host.folder, 'tmp/env-file');
  writeFileSync(file, '# comment\nONE=1\n\nTWO=2 \n');
  assert.match((await env(['--env-file', file, '-e', 'ONE=x'])).join('\n'), /ONE=x\n[\s\S]*TWO=2 /);
  spawnSync('rm', [file]);
});

test('a newline in a value stays one value', async () => {
  for (const key of ['A', 'HOME']) {
    const script = `printf "[%s]" "$${key}"; grep -c root2 /etc/passwd`;
    assert.equal(
      (await tryInside(host, script, ['-e', `${key}=x\nroot2::0:0::/:`])).stdout,
      '[x\nroot2::0:0::/:]0\n',
    );
  }
});

test('-w and an image’s WORKDIR are made where missing', async () => {
  assert.equal(await host.ok(['run', '--rm', '--entrypoint', 'pwd', 'entry']), '/work/dir');
  assert.equal(await inside(host, 'pwd; stat -c "%a %U" .', ['-w', '/new/deep']), '/new/deep\n755 root');
  await refused(
    host,
    ['run', '--rm', '-w', 'relative', 'busybox', 'pwd'],
    /working directory relative: it is not absolute/,
  );
  await refused(host, ['run', '--rm', '-w', '/etc/passwd', 'busybox', 'true'], /enter|\/etc\/passwd|ENOTDIR/);
});

test('-u: names, numbers, groups', async () => {
  const id = (user: string): Promise<string> => host.ok(['run', '--rm', '-u', user, 'busybox', 'id']);
  const full = (uid: string, gid: string, groups: string): string => `uid=${uid} gid=${gid} groups=${groups}`;
  assert.equal(await id(''), full('0(root)', '0(root)', '0(root)'));
  assert.equal(await id('user'), full('1000(user)', '1000(user)', '50(staff),1000(user)'));
  assert.equal(await id('1000'), await id('user'));
  assert.equal(await id('user:www-data'), full('1000(user)', '33(www-data)', '33(www-data)'));
  assert.equal(await id('1000:1001'), full('1000(user)', '1001', '1001'));
  assert.equal(await id('4242'), full('4242', '0(root)', '0(root)'));
  assert.equal(await host.ok(['run', '--rm', '--entrypoint', 'id', 'entry', '-un']), 'user');
  for (const user of [
    'nobody2',
    'root:nogroup2',
    '0x1',
    '01',
    '-1',
    '1:',
    ':2',
    ' 1',
    '2147483648',
    '4294967296',
    'a:b:c',
  ]) {
    await refused(host, ['run', '--rm', '-u', user, 'busybox', 'id'], /user|group/);
  }
});

test('HOME follows the user, unless it is given', async () => {
  assert.equal(await inside(host, 'echo $HOME', ['-u', 'user']), '/home/user');
  assert.equal(await inside(host, 'echo $HOME', ['-u', '4242']), '/');
  assert.equal(await inside(host, 'echo $HOME', ['-e', 'HOME=/x']), '/x');
});

test('--hostname is what hostname, HOSTNAME, /etc/hostname and /etc/hosts say', async () => {
  const script = 'hostname; echo $HOSTNAME; cat /etc/hostname; grep -c web-1 /etc/hosts; uname -n';
  assert.equal(await inside(host, script, ['--hostname', 'web-1']), 'web-1\nweb-1\nweb-1\n1\nweb-1');
  assert.notEqual(await inside(host, 'hostname'), hostname());
  for (const name of ['-x', 'a b', 'x'.repeat(65), 'a\nb']) {
    await refused(host, ['run', '--hostname', name, 'busybox', 'true'], /hostname/);
  }
});

test('--entrypoint replaces the image’s and its command', async () => {
  assert.equal(await host.ok(['run', '--rm', 'entry']), 'entry first second');
  assert.equal(await host.ok(['run', '--rm', 'entry', 'mine', 'too']), 'entry first mine too');
  assert.equal(await host.ok(['run', '--rm', '--entrypoint', 'echo', 'entry']), '');
  assert.equal(await host.ok(['run', '--rm', '--entrypoint', 'echo', 'entry', 'x', 'y']), 'x y');
  assert.equal(await host.ok(['run', '--rm', '--entrypoint', '', 'entry', 'echo', 'bare']), 'bare');
  await refused(host, ['run', '--entrypoint', '', 'entry'], /no command was given/);
});

test('labels of an image are the container’s, but for those that are the server’s', async () => {
  const id = await host.ok(['create', '--label', 'size=large', 'entry']);
  const [{ config }] = JSON.parse(await host.ok(['inspect', '--format', 'api', id]));
  assert.deepEqual(config.labels, { colour: 'blue', size: 'large' });
  await host.ok(['rm', id]);
});

test('--read-only: nothing can be written but what is mounted', async () => {
  const script =
    'touch /x; echo $?; echo x >/etc/passwd; echo $?; touch /dev/shm/x /v/x; echo $?; mkdir /proc/x';
  const volume = join(host.folder, 'tmp/volume');
  mkdirSync(volume);
  const options = ['--read-only', '-v', `${volume}:/v`];
  const { stdout, stderr } = await host.cli(['run', '--rm', ...options, 'busybox', 'sh', '-c', script]);
  assert.equal(stdout, '1\n1\n0\n');
  assert.match(stderr, /touch: \/x: Read-only file system/);
  assert.ok(existsSync(join(volume, 'x')));
  spawnSync('rm', ['-r', volume]);
});

test('--image and MYDOCKER_IMAGE make all arguments the command', async () => {
  assert.equal(await host.ok(['run', '--rm', '--image', 'busybox', 'echo', 'a', 'b']), 'a b');
  assert.equal(await host.ok(['run', '--rm', 'echo', 'c'], { env: { MYDOCKER_IMAGE: 'busybox' } }), 'c');
  await refused(host, ['run', '--image', 'busybox', '--rootfs', '/x', 'true'], /exclude each other/);
});

test('--rootfs uses a folder in place', async () => {
  const folder = join(host.folder, 'tmp/rootfs');
  mkdirSync(folder);
  spawnSync('tar', ['-xf', await fixtureTar('busybox'), '-C', folder]);
  assert.equal(
    await host.ok(['run', '--rm', '--rootfs', folder, 'sh', '-c', 'echo here >/made; id -u']),
    '0',
  );
  assert.ok(existsSync(join(folder, 'made')));
  await refused(host, ['run', '--rootfs', join(folder, 'nosuch'), 'true'], /not a directory/);
  await refused(host, ['run', '--rootfs', '/', 'true'], /root/);
  // What the start makes are mount points; the files of the folder are as they were.
  assert.equal(
    spawnSync('cat', [join(folder, 'etc/os-release')], { encoding: 'utf8' }).stdout.split('\n')[0],
    'ID=busybox',
  );
  spawnSync('rm', ['-r', folder]);
});

test('-it and -ti are options of their own, and -i is no image', async () => {
  assert.equal(await host.ok(['run', '--rm', '-i', 'busybox', 'cat'], { stdin: 'y' }), 'y');
  await refused(host, ['run', '--rm', '-ti', 'busybox', 'true'], /not a TTY/);
});

test('-t without -i gives a terminal and takes no input', async () => {
  const { code, stdout } = await host.cli([
    'run',
    '--rm',
    '-t',
    'busybox',
    'sh',
    '-c',
    'tty; stty size; echo err >&2',
  ]);
  assert.equal(code, 0);
  assert.equal(stdout, '/dev/pts/0\r\n24 80\r\nerr\r\n');
});
