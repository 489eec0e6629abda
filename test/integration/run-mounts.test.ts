/** `--mount`, `--tmpfs`, `--shm-size`, `--group-add`, `--add-host`: what a process finds of them. @vm */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, importEntries, inside, refused, tryInside } from './ground.ts';

let host: Host;
let folder = '';
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
beforeEach(() => {
  folder = join(host.folder, 'source');
  mkdirSync(join(folder, 'sub'), { recursive: true });
  writeFileSync(join(folder, 'file'), 'from the host\n');
});
afterEach(async () => {
  spawnSync('umount', ['-R', join(folder, 'sub')]);
  rmSync(folder, { recursive: true });
  await assertClean(host);
});
after(() => host.dispose());

const OPTIONS_OF = (path: string): string =>
  `awk '$5 == "${path}" { print $6, $NF; exit }' /proc/self/mountinfo`;

test('--tmpfs is empty, private, without programs and devices unless asked for', async () => {
  await importEntries(host, 'filled', [{ name: 'work/from-image', data: 'x' }]);
  const script = `ls /work; echo x >/work/y; stat -c %a /work; ${OPTIONS_OF('/work')}`;
  const [mode, options] = (await inside(host, script, ['--tmpfs', '/work'], 'filled')).split('\n');
  assert.equal(mode, '1777');
  assert.match(options ?? '', /^rw,nosuid,nodev,noexec/);
  const sized = await inside(host, `stat -c "%a %u" /run; ${OPTIONS_OF('/run')}`, [
    ...['--tmpfs', '/run:size=64k,mode=750,uid=5,exec', '--tmpfs', '/tmp:ro'],
  ]);
  assert.match(sized, /^750 5\nrw,nosuid,nodev,relatime rw,size=64k,mode=750,uid=5/);
  assert.equal((await tryInside(host, 'touch /tmp/x', ['--tmpfs', '/tmp:ro'])).code, 1);
  const full = await tryInside(host, 'head -c 100000 /dev/zero >/t/x', ['--tmpfs', '/t:size=64k']);
  assert.match(full.stderr, /No space left|I\/O error/);
});

test('--tmpfs over, below and beside other mounts', async () => {
  const options = [
    '-v',
    `${folder}:/a`,
    '--tmpfs',
    '/a/sub',
    '--mount',
    `type=bind,src=${folder}/file,dst=/a/sub/f`,
  ];
  assert.equal(
    await inside(host, 'ls /a /a/sub; cat /a/sub/f', options),
    '/a:\nfile\nsub\n\n/a/sub:\nf\nfrom the host',
  );
  assert.match(await inside(host, OPTIONS_OF('/dev/shm'), ['--tmpfs', '/dev/shm:size=1m']), /size/);
  await refused(host, ['run', ...options, '--tmpfs', '/a', 'busybox', 'true'], /given twice/);
  for (const [tmpfs, said] of [
    ['/', /root of the container/],
    ['/proc/x', /kernel/],
    ['/x:colour=red', /colour=red[\s\S]*no such option/],
    ['/x:nosuid,mpol=bind:0', /no such option/],
    ['/x:size=1', /below 4 KiB/],
  ] as const)
    await refused(host, ['run', '--tmpfs', tmpfs, 'busybox', 'true'], said);
});

test('what a tmpfs is mounted on may be a link of the image, and stays inside', async () => {
  await importEntries(host, 'linked', [
    { name: 'run/' },
    { name: 'var/run', type: '2', link: '/run' },
    { name: 'out', type: '2', link: '../../../../../tmp' },
  ]);
  const script = 'touch /var/run/x /out/y; ls /run /tmp';
  assert.equal(
    await inside(host, script, ['--tmpfs', '/var/run', '--tmpfs', '/out'], 'linked'),
    '/run:\nx\n\n/tmp:\ny',
  );
});

test('--mount type=bind wants its source, at create and at start; -v makes it', async () => {
  const gone = join(folder, 'gone');
  const mount = `type=bind,source=${gone},target=/m`;
  await refused(
    host,
    ['create', '--mount', mount, 'busybox', 'true'],
    /source .*gone"?: there is no such file/,
  );
  mkdirSync(gone);
  await host.ok(['create', '--name', 'later', '--mount', `${mount},readonly`, 'busybox', 'touch', '/m/x']);
  rmSync(gone, { recursive: true });
  await refused(host, ['start', 'later'], /cannot start container later: mount \/m: .*gone is not there/);
  mkdirSync(gone);
  assert.match((await host.cli(['start', '-a', 'later'])).stderr, /Read-only file system/);
  await host.ok(['rm', 'later']);
});

const CANNOT_MAP =
  /map the owners of \/[mw]: EINVAL[\s\S]*hint: the kernel maps no owners on this filesystem/;

test('idmap: whose files are whose, both ways, with everything else of a mount', async () => {
  chownSync(join(folder, 'file'), 1000, 1000);
  chownSync(join(folder, 'sub'), 0, 7);
  const map = 'idmap=uids=1000-0-1#0-1000-1;gids=1000-50-1#0-0-1';
  const look = "stat -c '%n %u %g' /m/file /m/sub";
  // What no range has is nobody's.
  const seen = '/m/file 0 50\n/m/sub 1000 65534';
  const mount = (...more: string[]): string[] => [
    ...['--mount', ['type=bind', `src=${folder}`, 'dst=/m', `"${map}"`, ...more].join(',')],
  ];
  assert.equal(await inside(host, `${look}; touch /m/new; chgrp 50 /m/new`, mount()), seen);
  const { uid, gid } = statSync(join(folder, 'new'));
  assert.deepEqual([uid, gid], [1000, 1000]);
  rmSync(join(folder, 'new'));
  assert.match((await tryInside(host, 'chown 7 /m/file', mount())).stderr, /Value too large/);
  assert.equal(await inside(host, look, mount('bind-propagation=rslave')), seen);
  const closed = await tryInside(host, `${look}; touch /m/new`, mount('readonly'));
  assert.equal(closed.stdout.trim(), seen);
  assert.match(closed.stderr, /Read-only file system/);
  assert.equal(
    await inside(host, "stat -c '%u %g' /f; ls /m", ['-v', `${folder}/file:/f:${map}`, ...mount()]),
    '0 50\nfile\nsub',
  );
  // Of a volume, and of one that is memory.
  for (const volume of ['data', 'memory']) {
    if (volume === 'memory')
      await host.ok(['volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', volume]);
    const both = ['-v', `${volume}:/v`, '-v', `${volume}:/w:${map}`];
    const script = "touch /v/f; chown 1000:1000 /v/f; stat -c '%u %g' /w/f";
    const { code, stdout, stderr } = await tryInside(host, script, both);
    // Memory can be mapped since Linux 6.3.
    if (code === 0 || volume === 'data') assert.equal(stdout, '0 50\n', stderr);
    else assert.match(stderr, CANNOT_MAP);
    await host.ok(['volume', 'rm', volume]);
  }
  const sub = join(folder, 'sub');
  assert.match(
    await host.ok(['run', '--explain', ...mount(), 'busybox', 'true']),
    /map the owners of \/m[\s\S]*mount_setattr\(fd \d+, IDMAP fd \d+\)/,
  );
  // Nothing but the whole of it is wrong: said before anything is made, or by the kernel in a sentence.
  spawnSync('mount', ['-t', 'proc', 'proc', sub]);
  await refused(
    host,
    ['run', '--rm', '--mount', `type=bind,src=${sub},dst=/m,"${map}"`, 'busybox', 'true'],
    CANNOT_MAP,
  );
  spawnSync('umount', [sub]);
  for (const [bad, why] of [
    ['', /it says no ids, and the container has no user namespace/],
    ['=uids=0-1-5#4-9-1', /two of its ranges overlap/],
    ['=uids=0-4294967295-1', /goes above/],
  ] as const)
    await refused(host, ['create', '-v', `${folder}:/m:idmap${bad}`, 'busybox', 'true'], why);
});

test('mounts of the host show below a bind mount only where that is asked for', async () => {
  const sub = join(folder, 'sub');
  // Only a shared mount has something to tell.
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', sub]);
  spawnSync('mount', ['--make-shared', sub]);
  mkdirSync(join(sub, 'late'));
  const script = 'while [ ! -e /go/done ]; do sleep 0.05; done; ls /m/late';
  for (const [propagation, seen] of [
    ['rprivate', ''],
    ['rslave', 'seen'],
  ] as const) {
    const other = join(folder, propagation);
    mkdirSync(other);
    const mounts = [
      ...['--mount', `type=bind,src=${sub},dst=/m,bind-propagation=${propagation}`],
      // Another one in the same container keeps what it has.
      ...['--mount', `type=bind,src=${sub},dst=/n`, '-v', `${other}:/go`],
    ];
    await host.ok([
      'run',
      '-d',
      '--name',
      propagation,
      ...mounts,
      'busybox',
      'sh',
      '-c',
      `${script}; ls /n/late`,
    ]);
    spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(sub, 'late')]);
    writeFileSync(join(sub, 'late/seen'), '');
    writeFileSync(join(other, 'done'), '');
    await host.ok(['wait', propagation]);
    assert.equal(await host.ok(['logs', propagation]), seen, propagation);
    await host.ok(['rm', propagation]);
    spawnSync('umount', [join(sub, 'late')]);
  }
  spawnSync('umount', [sub]);
});

test('a shared mount tells both sides, where the host shares it', async () => {
  const sub = join(folder, 'sub');
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', sub]);
  const mount = `type=bind,src=${sub},dst=/m,bind-propagation=rshared`;
  await refused(
    host,
    ['run', '--rm', '--mount', mount, 'busybox', 'true'],
    /sub is mounted on .*sub, which is not shared\nhint: mount --make-rshared/,
  );
  spawnSync('mount', ['--make-shared', sub]);
  for (const name of ['outside', 'inside', 'own']) mkdirSync(join(sub, name));
  const more = ['-v', `${sub}:/closed:ro,shared`, '-v', `${sub}:/n`];
  await host.ok(['run', '-d', '--name', 'both', '--mount', mount, ...more, 'busybox', 'sleep', '1000']);
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(sub, 'outside')]);
  writeFileSync(join(sub, 'outside/file'), '');
  assert.equal(
    await host.ok(['exec', 'both', 'ls', '/m/outside', '/n/outside']),
    '/m/outside:\nfile\n\n/n/outside:',
  );
  assert.notEqual((await host.cli(['exec', 'both', 'touch', '/closed/x'])).code, 0);
  const pid = await host.ok(['inspect', '-f', '{{.State.Pid}}', 'both']);
  const within = (path: string): number | null =>
    spawnSync('nsenter', ['-t', pid, '-m', 'mount', '-t', 'tmpfs', 'tmpfs', path]).status;
  assert.equal(within('/m/inside') ?? 1, 0);
  assert.equal(within('/n/own') ?? 1, 0);
  const mounted = (): string[] =>
    ['outside', 'inside', 'own'].filter((name) => spawnSync('mountpoint', [join(sub, name)]).status === 0);
  assert.deepEqual(mounted(), ['outside', 'inside']);
  await host.ok(['rm', '-f', 'both']);
  // What it mounted there is the host's by now.
  assert.deepEqual(mounted(), ['outside', 'inside']);
  for (const name of ['outside', 'inside']) spawnSync('umount', [join(sub, name)]);
  spawnSync('umount', [sub]);
});

test('bind-recursive says how deep read-only goes', async () => {
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(folder, 'sub')]);
  const script = 'touch /m/x 2>/dev/null && echo top; touch /m/sub/x 2>/dev/null && echo below; echo done';
  const write = (more: string): Promise<string> =>
    inside(host, script, ['--mount', `type=bind,src=${folder},dst=/m,ro,bind-recursive=${more}`]);
  assert.equal(await write('enabled'), 'done');
  assert.equal(await write('readonly'), 'done');
  assert.equal(await write('writable'), 'below\ndone');
  // Not mounted there at all: it is the folder under it.
  assert.equal(await write('disabled'), 'done');
});

test('bind-nonrecursive leaves out what is mounted below', async () => {
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(folder, 'sub')]);
  writeFileSync(join(folder, 'sub/mounted'), '');
  const list = (more: string): Promise<string> =>
    inside(host, 'ls /m/sub', ['--mount', `type=bind,src=${folder},dst=/m${more}`]);
  assert.equal(await list(''), 'mounted');
  assert.equal(await list(',bind-nonrecursive,readonly'), '');
});

test('--mount type=volume without a name is the container’s own', async () => {
  const options = ['--mount', 'type=volume,dst=/v', '--mount', 'dst=/w,ro'];
  assert.equal(
    await inside(host, 'touch /v/x && ls /v; touch /w/x 2>/dev/null || echo no', options),
    'x\nno',
  );
});

test('--shm-size', async () => {
  const size = 'df -k /dev/shm | tail -n 1 | awk "{ print \\$2 }"';
  assert.equal(await inside(host, size), '65536');
  assert.equal(await inside(host, size, ['--shm-size', '1m']), '1024');
  assert.equal(await inside(host, size, ['--shm-size', '0']), '65536');
  await refused(host, ['run', '--shm-size', '-1', 'busybox', 'true'], /negative/);
  await refused(host, ['run', '--shm-size', '1', 'busybox', 'true'], /below 4 KiB/);
});

test('--group-add: numbers and names of the image, for exec too', async () => {
  const groups = ['--group-add', 'staff', '--group-add', '4711'];
  assert.equal(await inside(host, 'id -G', ['-u', '1234:5', ...groups]), '5 50 4711');
  await host.ok(['run', '-d', '--name', 'box', '-u', 'user', ...groups, 'busybox', 'sleep', '1000']);
  assert.equal(await host.ok(['exec', 'box', 'id', '-G']), '1000 50 4711');
  await host.ok(['rm', '-f', 'box']);
  for (const group of ['nosuch', '-1', '01', '4294967296', 'a b'])
    await refused(host, ['create', '--group-add', group, 'busybox', 'true'], /group/);
});

test('--add-host: lines of /etc/hosts', async () => {
  const options = ['--add-host', 'db:10.1.2.3', '--add-host', 'db6=fd00::1', '--add-host', 'up:host-gateway'];
  const hosts = await inside(host, 'cat /etc/hosts; ip route | grep default', options);
  const gateway = /default via ([0-9.]+)/.exec(hosts)?.[1] ?? 'none';
  assert.match(hosts, new RegExp(`10\\.1\\.2\\.3\\tdb\nfd00::1\\tdb6\n${gateway}\\tup\n`));
  assert.match(await inside(host, 'cat /etc/hosts', ['--network', 'host', ...options]), /127\.0\.0\.1\tup/);
  await refused(
    host,
    ['run', '--network', 'none', ...options, 'busybox', 'true'],
    /host-gateway.*no network/,
  );
  for (const text of ['db:1.2.3', 'db:10.0.0.1\n6.6.6.6 x', 'a b:10.0.0.1', '#x:10.0.0.1'])
    await refused(host, ['run', '--add-host', text, 'busybox', 'true'], /host/);
});

test('inspect and explain show them', async () => {
  const mounts = ['--tmpfs', '/run:size=1m', '--mount', `type=bind,src=${folder},dst=/m,ro`];
  const more = ['--shm-size', '2m', '--group-add', 'staff', '--add-host', 'db:10.1.2.3'];
  const text = await host.ok(['create', '--explain', ...mounts, ...more, 'busybox', 'true']);
  assert.match(text, /mount \/run .*nosuid\|nodev\|noexec.*mode=1777,size=1048576/);
  assert.match(text, /"shm".*size=2097152/);
  const id = await host.ok(['create', ...mounts, ...more, 'busybox', 'true']);
  const { container } = await host.api.containers.getContainer({ container: id });
  const config = container?.config;
  assert.deepEqual(
    config?.mounts.map(({ destination, source }) => [destination, source?.$case]),
    [
      ['/m', 'bind'],
      ['/run', 'tmpfs'],
    ],
  );
  assert.deepEqual([config?.shmSizeBytes, config?.additionalGroups], [2n << 20n, ['staff']]);
  assert.deepEqual(config?.network?.extraHosts, [{ hostname: 'db', address: '10.1.2.3' }]);
  // What is shown can be given to another create.
  const { imageId: _, args: __, ...again } = config ?? {};
  const copy = await host.api.containers.createContainer({ config: { ...again, rootfs: config?.rootfs } });
  await host.ok(['rm', id, copy.id]);
});
