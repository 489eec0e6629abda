/** Volumes with names: made, mounted, shown, kept, and removed only when nobody has them. @vm */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, importEntries, inside, refused, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(async () => {
  assert.equal(await host.ok(['volume', 'ls', '-q']), '');
  await until(folders, (names) => names.length === 0);
  await assertClean(host);
});
after(() => host.dispose());

const folders = (): string[] => readdirSync(join(host.root, 'volumes')).sort();
const events = async (volume: string): Promise<string[]> => {
  const format = '{{.Action}} {{with .Actor.Attributes.destination}}{{.}}{{end}}';
  const text = await host.ok([
    ...['events', '--since', '1h', '--until', '0s', '--filter', `volume=${volume}`, '--format', format],
  ]);
  return text.split('\n').map((line) => line.trim());
};

test('a volume is made, listed, inspected and removed', async () => {
  assert.equal(await host.ok(['volume', 'create', '--label', 'a=b', '--label', 'c', 'data']), 'data');
  // Again is no error, and changes nothing.
  assert.equal(await host.ok(['volume', 'create', 'data']), 'data');
  await refused(
    host,
    ['volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', 'data'],
    /cannot create volume data: it is there with other options\nhint: mydocker volume inspect data/,
  );
  const nameless = await host.ok(['volume', 'create']);
  assert.match(nameless, /^[0-9a-f]{64}$/);
  const listed = [nameless, 'data'].sort().map((name) => `local    ${name}`);
  assert.equal(await host.ok(['volume', 'ls']), ['DRIVER   VOLUME NAME', ...listed].join('\n'));
  assert.equal(await host.ok(['volumes', '-q', '--filter', 'label=a=b']), 'data');
  assert.equal(
    await host.ok(['volume', 'ls', '-q', '--filter', 'name=at', '--filter', 'driver=local']),
    'data',
  );
  assert.equal(await host.ok(['volume', 'ls', '-q', '--filter', 'dangling=false']), '');
  assert.equal(await host.ok(['volume', 'ls', '--filter', 'name=data', '--format', '{{.Labels}}']), 'a=b,c=');
  const [found] = JSON.parse(await host.ok(['volume', 'inspect', 'data']));
  assert.deepEqual(
    [found.Name, found.Driver, found.Labels, found.Options, found.Scope, found.Mountpoint],
    ['data', 'local', { a: 'b', c: '' }, {}, 'local', join(host.root, 'volumes/data/data')],
  );
  assert.equal(await host.ok(['inspect', '-f', '{{.Name}}', 'data']), 'data');
  await refused(host, ['volume', 'create', 'x'], /invalid volume name x: it must be a letter or digit/);
  await refused(host, ['volume', 'create', '../x'], /invalid volume name/);
  await refused(host, ['volume', 'create', '-d', 'nfs', 'data2'], /there is no driver nfs/);
  await refused(host, ['volume', 'rm', 'nosuch'], /cannot find volume nosuch: no such volume/);
  await refused(host, ['run', '-v', 'a b:/x', 'busybox', 'true'], /invalid volume name/);
  assert.equal(await host.ok(['volume', 'rm', '-f', 'nosuch', 'data']), 'nosuch\ndata');
  assert.match(
    await host.ok(['volume', 'prune', '-f']),
    /^Deleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed/,
  );
  assert.deepEqual(await events('data'), ['create', 'destroy']);
});

test('a container makes the volume that it names, it outlives it, and others share it', async () => {
  await importEntries(host, 'full', [
    { name: 'data/', mode: 0o2750, uid: 1000, gid: 33 },
    { name: 'data/file', data: 'from the image\n', mode: 0o640, uid: 1000 },
    { name: 'data/second', type: '1', link: 'data/file' },
  ]);
  const look = 'stat -c "%n %a %u %g %h" /data /data/*';
  assert.deepEqual(
    (await inside(host, `${look}; echo mine >/data/own`, ['-v', 'data:/data'], 'full')).split('\n'),
    ['/data 2750 1000 33 2', '/data/file 640 1000 0 2', '/data/second 640 1000 0 2'],
  );
  assert.deepEqual(folders(), ['data']);
  await host.ok(['run', '-d', '--name', 'one', '-v', 'data:/x:ro', 'busybox', 'sleep', '1000']);
  await host.ok(['create', '--name', 'two', '--mount', 'type=volume,src=data,dst=/y', 'busybox', 'true']);
  assert.equal(await host.ok(['exec', 'one', 'cat', '/x/own']), 'mine');
  assert.notEqual((await host.cli(['exec', 'one', 'touch', '/x/no'])).code, 0);
  // What is there stays: nothing of another image comes in.
  assert.equal(await inside(host, 'ls /z/', ['-v', 'data:/z/']), 'file\nown\nsecond');
  const inUse =
    /cannot remove volume data: container one \([0-9a-f]{12}\), two \([0-9a-f]{12}\) has it\nhint: mydocker rm one two/;
  await refused(host, ['volume', 'rm', 'data'], inUse);
  await refused(host, ['volume', 'rm', '-f', 'data'], inUse);
  assert.equal(await host.ok(['volume', 'prune', '-af']), 'Total reclaimed space: 0 B');
  assert.equal(await host.ok(['volume', 'ls', '--format', '{{.Name}} {{.Links}}']), 'data 2');
  assert.equal(await host.ok(['ps', '--filter', 'volume=data', '--format', '{{.Names}}']), 'two\none');
  const mounts = '{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.Driver}} {{.Mode}} {{.RW}}{{end}}';
  assert.equal(await host.ok(['inspect', '-f', mounts, 'one']), 'volume data /x local ro false');
  // A container's removal takes no volume that was named, with -v neither.
  await host.ok(['rm', '-f', '-v', 'one', 'two']);
  assert.equal(readFileSync(join(host.root, 'volumes/data/data/own'), 'utf8'), 'mine\n');
  assert.match(await host.ok(['system', 'df']), /Volumes +1 +0/i);
  assert.equal(await host.ok(['volume', 'prune', '-f']), 'Total reclaimed space: 0 B');
  assert.match(await host.ok(['volume', 'prune', '-f', '--filter', 'all=1']), /^Deleted Volumes:\ndata\n/);
  // After those of the test before.
  const told = (await events('data')).slice(2);
  assert.deepEqual([told[0], told.at(-1)], ['create', 'destroy']);
  const mounted = ['mount /data', 'mount /x', 'mount /z', 'unmount', 'unmount', 'unmount'];
  assert.deepEqual(told.slice(1, -1).sort(), mounted);
  await host.ok(['rmi', 'full']);
});

test('an empty volume is begun by the first image that has something there, and nocopy leaves it empty', async () => {
  await importEntries(host, 'full', [{ name: 'data/' }, { name: 'data/file', data: 'x' }]);
  await host.ok(['volume', 'create', 'late']);
  assert.equal(await inside(host, 'ls /data', ['-v', 'late:/data:nocopy'], 'full'), '');
  assert.equal(await inside(host, 'ls /none', ['-v', 'late:/none'], 'full'), '');
  await host.ok(['run', '-d', '--name', 'open', '-v', 'late:/none', 'busybox', 'sleep', '1000']);
  // Somebody has it mounted: it is not replaced.
  assert.equal(await inside(host, 'ls /data', ['-v', 'late:/data'], 'full'), '');
  await host.ok(['rm', '-f', 'open']);
  assert.equal(await inside(host, 'ls /data', ['-v', 'late:/data'], 'full'), 'file');
  const other = ['--mount', 'src=other,dst=/data,volume-nocopy'];
  assert.equal(await inside(host, 'ls /data', other, 'full'), '');
  await host.ok(['volume', 'rm', 'late', 'other']);
  await host.ok(['rmi', 'full']);
});

test('a folder of the host that is a volume is filled where it is, while it is empty', async () => {
  await importEntries(host, 'full', [
    { name: 'data/', mode: 0o2750, uid: 7, gid: 8 },
    { name: 'data/file', data: 'of the image' },
    { name: 'bare/', mode: 0o1770, uid: 9 },
  ]);
  const device = join(host.folder, 'tmp/filled');
  mkdirSync(device, { recursive: true });
  const bind = (name: string, o: string): Promise<string> =>
    host.ok([...['volume', 'create', '-o', 'type=none', '-o', `device=${device}`, '-o', `o=${o}`, name]]);
  const look = 'ls -A /data; stat -c "%a %u:%g" /data';
  await bind('open', 'bind');
  await bind('closed', 'bind,ro');
  const untouched = '755 0:0';
  assert.equal(await inside(host, look, ['-v', 'open:/data:nocopy'], 'full'), untouched);
  assert.equal(await inside(host, look, ['-v', 'closed:/data'], 'full'), untouched);
  assert.equal(await inside(host, 'stat -c "%a %u:%g" /bare', ['-v', 'open:/bare'], 'full'), '1770 9:0');
  // Also while somebody has it mounted: nothing is replaced.
  await host.ok(['run', '-d', '--name', 'one', '-v', 'open:/none', 'busybox', 'sleep', '1000']);
  assert.equal(await inside(host, look, ['-v', 'open:/data'], 'full'), 'file\n2750 7:8');
  assert.equal(await host.ok(['exec', 'one', 'cat', '/none/file']), 'of the image');
  await host.ok(['rm', '-f', 'one']);
  rmSync(join(device, 'file'));
  writeFileSync(join(device, 'mine'), '');
  assert.equal(await inside(host, 'ls -A /data', ['-v', 'open:/data'], 'full'), 'mine');
  assert.deepEqual(readdirSync(device), ['mine']);
  await host.ok(['volume', 'rm', 'open', 'closed']);
  await host.ok(['rmi', 'full']);
  rmSync(device, { recursive: true });
});

test('a part of a volume, which leads nowhere else', async () => {
  await inside(host, 'mkdir -p /v/a/b; echo in >/v/a/b/f; ln -s / /v/out; ln -s /a /v/link', [
    '-v',
    'data:/v',
  ]);
  const part = (path: string): string[] => ['--mount', `src=data,dst=/p,volume-subpath=${path}`];
  assert.equal(await inside(host, 'cat /p/b/f', part('a')), 'in');
  assert.equal(await inside(host, 'cat /p', part('a/b/f')), 'in');
  assert.equal(await inside(host, 'cat /p/b/f', part('link')), 'in');
  // A link to the root is one to the volume's.
  assert.equal(await inside(host, 'ls /p', part('out')), 'a\nlink\nout');
  for (const path of ['../x', '/a', 'a/../../b'])
    await refused(host, ['run', '--rm', ...part(path), 'busybox', 'true'], /invalid volume subpath/);
  await refused(host, ['run', '--rm', ...part('nosuch'), 'busybox', 'true'], /nosuch[\s\S]*ENOENT/);
  await host.ok(['volume', 'rm', 'data']);
});

test('a volume may be a folder of the host, or memory', async () => {
  const folder = join(host.folder, 'tmp/device');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'file'), 'of the host\n');
  chmodSync(folder, 0o700);
  const create = (name: string, ...options: string[]): string[] => [
    ...['volume', 'create', ...options.flatMap((option) => ['-o', option]), name],
  ];
  await host.ok(create('bound', 'type=none', `device=${folder}`, 'o=bind'));
  assert.equal(await inside(host, 'cat /v/file; touch /v/new', ['-v', 'bound:/v']), 'of the host');
  assert.ok(existsSync(join(folder, 'new')));
  await host.ok(create('closed', 'type=none', `device=${folder}`, 'o=bind,ro'));
  assert.notEqual((await host.cli(['run', '--rm', '-v', 'closed:/v', 'busybox', 'touch', '/v/x'])).code, 0);
  await host.ok(create('memory', 'type=tmpfs', 'device=tmpfs', 'o=size=64k,mode=750,uid=7'));
  assert.equal(
    await inside(host, 'stat -c "%a %u" /v; df -k /v | tail -n 1 | awk "{print \\$2}"', ['-v', 'memory:/v']),
    '750 7\n64',
  );
  assert.equal(
    await host.ok(['volume', 'inspect', '-f', '{{json .Options}}', 'memory']),
    '{"device":"tmpfs","o":"size=64k,mode=750,uid=7","type":"tmpfs"}',
  );
  rmSync(folder, { recursive: true });
  await refused(host, ['run', '--rm', '-v', 'bound:/v', 'busybox', 'true'], /device is not there/);
  await host.ok(['volume', 'rm', 'bound', 'closed', 'memory']);
  for (const [options, why] of [
    [['type=nfs', 'device=:/x', 'o=addr=a b'], /addr=a b.*it is no IP address and no name/],
    [['type=proc', 'device=proc'], /type=proc.*no data is on such a filesystem/],
    [['type=none', 'device=/x'], /nothing says what to mount/],
    [['type=tmpfs'], /device.*it is missing/],
    [['size=1m'], /size.*there is no such option/],
    [['type=tmpfs', 'device=x', 'o=lowerdir=/'], /there is no such option of a tmpfs/],
    [['type=none', 'device=x', 'o=bind'], /not an absolute path/],
  ] as const)
    await refused(host, create('bad', ...options), why);
});

test('memory is shared by those who have it at the same time, and gone with the last of them', async () => {
  await host.ok(['volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', '-o', 'o=size=64k', 'memory']);
  // Two that begin at once have the same.
  const sleeper = (name: string, place: string): string[] => [
    ...['run', '-d', '--name', name, '-v', place, 'busybox', 'sleep', '1000'],
  ];
  await Promise.all([host.ok(sleeper('one', 'memory:/v')), host.ok(sleeper('two', 'memory:/w:ro'))]);
  await host.ok(['exec', 'one', 'sh', '-c', 'mkdir /v/part; echo mine >/v/part/file']);
  assert.equal(await host.ok(['exec', 'two', 'cat', '/w/part/file']), 'mine');
  assert.notEqual((await host.cli(['exec', 'two', 'touch', '/w/no'])).code, 0);
  const part = (path: string): string[] => [
    ...['--mount', `src=memory,dst=/p,volume-subpath=${path}`, '-v', 'memory:/v'],
  ];
  assert.equal(await inside(host, 'echo more >>/p/file; cat /v/part/file', part('part')), 'mine\nmore');
  await refused(
    host,
    ['run', '--rm', ...part('nosuch'), 'busybox', 'true'],
    /open \/nosuch of volume memory: ENOENT/,
  );
  assert.match(await host.ok(['explain', 'one']), /setns[\s\S]*take volume memory[\s\S]*move_mount/);
  await host.ok(['rm', '-f', 'one']);
  // The one that made it is gone, and what looked in stands where it stood before.
  assert.equal(await inside(host, 'cat /v/part/file', ['-v', 'memory:/v:ro']), 'mine\nmore');
  await host.ok(['rm', '-f', 'two']);
  assert.equal(await inside(host, 'ls /v', ['-v', 'memory:/v']), '');
  await host.ok(['volume', 'rm', 'memory']);
});

test('a volume may be a disk, or whatever else the kernel mounts', async () => {
  const file = join(host.folder, 'tmp/disk');
  writeFileSync(file, '');
  truncateSync(file, 16 << 20);
  execFileSync('mkfs.ext4', ['-q', file]);
  spawnSync('modprobe', ['loop']);
  const disk = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
  rmSync(file);
  const create = (name: string, ...options: string[]): string[] => [
    ...['volume', 'create', ...options.flatMap((option) => ['-o', option]), name],
  ];
  try {
    await host.ok(create('disk', 'type=ext4', `device=${disk}`, 'o=noexec,commit=10'));
    await importEntries(host, 'full', [
      { name: 'v/', mode: 0o750, uid: 7 },
      { name: 'v/seed', data: 'of the image' },
    ]);
    const look = (mode: string): Promise<string> =>
      inside(host, 'ls -A /v', ['-v', `disk:/v${mode}`], 'full');
    // A new filesystem is not empty, for Docker neither; one that is begins with what the image has.
    assert.equal(await look(''), 'lost+found');
    await inside(host, 'rmdir /v/lost+found', ['-v', 'disk:/v']);
    assert.equal(await look(':nocopy'), '');
    assert.equal(await look(''), 'seed');
    assert.equal(await inside(host, 'stat -c "%a %u" /v; rm /v/seed', ['-v', 'disk:/v']), '750 7');
    await inside(host, 'touch /v/mine', ['-v', 'disk:/v']);
    assert.equal(await look(''), 'mine');
    assert.equal(spawnSync('grep', [disk, '/proc/self/mounts']).status, 1);
    await host.ok(create('lost', 'type=ext4', 'device=/dev/nosuch'));
    await refused(
      host,
      ['run', '--rm', '-v', 'lost:/v', 'full', 'true'],
      /cannot start container \w+: mount \/v \(ext4\)[^\n]*: ENOENT/m,
    );
    await inside(host, 'rm /v/mine', ['-v', 'disk:/v']);
    await host.ok(['volume', 'rm', 'lost']);
    await host.ok(['rmi', 'full']);
    await inside(host, 'echo kept >/v/file; sync', ['-v', 'disk:/v']);
    // Two at once have the same, and nothing is mounted on the host.
    await host.ok(['run', '-d', '--name', 'one', '-v', 'disk:/v', 'busybox', 'sleep', '1000']);
    assert.equal(
      await inside(host, "echo more >>/v/file; grep ' /v ' /proc/mounts | cut -d ' ' -f 1-4", [
        '-v',
        'disk:/v',
      ]),
      `${disk} /v ext4 rw,noexec,relatime,commit=10`,
    );
    assert.equal(await host.ok(['exec', 'one', 'cat', '/v/file']), 'kept\nmore');
    assert.equal((await host.cli(['run', '--rm', '-v', 'disk:/v:ro', 'busybox', 'touch', '/v/x'])).code, 1);
    assert.match(await host.ok(['explain', 'one']), /fsopen\("ext4"\)[\s\S]*fsconfig\(.*"commit", "10"\)/);
    await host.ok(['rm', '-f', 'one']);
    await host.ok(create('closed', 'type=ext4', `device=${disk}`, 'o=ro'));
    assert.equal((await host.cli(['run', '--rm', '-v', 'closed:/v', 'busybox', 'touch', '/v/x'])).code, 1);
    await host.ok(create('wrong', 'type=ext4', `device=${disk}`, 'o=nosuch=1'));
    const run = (name: string): string[] => ['run', '--rm', '-v', `${name}:/v`, 'busybox', 'true'];
    await refused(
      host,
      run('wrong'),
      /mount \/v \(ext4\): nosuch: EINVAL[\s\S]*hint: the filesystem has no such option/,
    );
    await host.ok(create('unknown', 'type=nosuchfs', 'device=x'));
    await refused(
      host,
      run('unknown'),
      /mount \/v \(nosuchfs\): ENODEV[\s\S]*hint: this kernel lacks the filesystem/,
    );
    await host.ok(create('gone', 'type=ext4', 'device=/dev/nosuch'));
    await host.ok(create('afar', 'type=nfs', 'device=:/x', 'o=addr=server.invalid'));
    await refused(
      host,
      run('afar'),
      /mount \/v: look up server\.invalid: \w+\nhint: getent ahosts server\.invalid/,
    );
    await refused(host, run('gone'), /mount \/v \(ext4\).*: ENOENT/);
    const part = (path: string): string[] => ['--mount', `src=disk,dst=/p,volume-subpath=${path}`];
    await inside(host, 'mkdir -p /v/a/b; echo in >/v/a/b/f; ln -s / /v/out', ['-v', 'disk:/v']);
    assert.equal(
      await inside(host, 'echo 1 >/p/new; cat /p/b/f /v/a/new', [...part('a'), '-v', 'disk:/v']),
      'in\n1',
    );
    assert.equal(await inside(host, 'ls /p', part('out/a')), 'b\nnew');
    await refused(
      host,
      ['run', '--rm', ...part('nosuch'), 'busybox', 'true'],
      /open \/nosuch of the volume at \/p: ENOENT/,
    );
    await host.ok(['volume', 'rm', 'disk', 'closed', 'wrong', 'unknown', 'gone', 'afar']);
  } finally {
    execFileSync('losetup', ['--detach', disk]);
  }
});

test('--mount makes a volume of the kind that it describes', async () => {
  const mount = (...parts: string[]): string[] => ['--mount', ['type=volume', ...parts].join(',')];
  const memory = ['volume-opt=type=tmpfs', 'volume-opt=device=tmpfs', '"volume-opt=o=size=64k,mode=750"'];
  const made = mount(
    'src=memory',
    'dst=/v',
    ...memory,
    'volume-label=a=b',
    'volume-label=c',
    'volume-driver=local',
  );
  assert.equal(await inside(host, 'stat -c %a /v', made), '750');
  assert.equal(
    await host.ok(['volume', 'inspect', '-f', '{{json .Labels}} {{.Options.o}}', 'memory']),
    '{"a":"b","c":""} size=64k,mode=750',
  );
  // It is there now, and what it is stays.
  assert.equal(await inside(host, 'stat -c %a /v', made), '750');
  assert.equal(await inside(host, 'stat -c %a /v', mount('src=memory', 'dst=/v', 'volume-label=x=y')), '750');
  await refused(
    host,
    [
      'run',
      '--rm',
      ...mount('src=memory', 'dst=/v', 'volume-opt=type=tmpfs', 'volume-opt=device=x'),
      'busybox',
      'true',
    ],
    /cannot create volume memory: it is there with other options/,
  );
  await refused(
    host,
    ['run', '--rm', ...mount('src=bad', 'dst=/v', 'volume-opt=colour=red'), 'busybox', 'true'],
    /invalid volume option colour/,
  );
  await refused(
    host,
    ['create', ...mount('dst=/v', 'volume-opt=size'), 'busybox'],
    /volume-opt is KEY=VALUE/,
  );
  await refused(
    host,
    ['create', '--mount', 'type=bind,src=/tmp,dst=/v,volume-label=a', 'busybox'],
    /does not go with/,
  );
  // One without a name goes with its container.
  assert.equal(await inside(host, 'stat -c %a /v', mount('dst=/v', ...memory)), '750');
  assert.equal(await host.ok(['volume', 'ls', '-q']), 'memory');
  await host.ok(['volume', 'rm', 'memory']);
});

test('--volumes-from takes over volumes and what is mounted of the host', async () => {
  await importEntries(
    host,
    'full',
    [{ name: 'data/' }, { name: 'data/file', data: 'x' }],
    ['VOLUME /data /more'],
  );
  const folder = join(host.folder, 'tmp/shared');
  const own = ['-v', 'named:/named', '-v', `${folder}:/host`, '--tmpfs', '/memory'];
  await host.ok(['create', '--name', 'giver', ...own, 'full', 'true']);
  await host.ok(['start', '-a', 'giver']);
  const from = (mode: string, ...more: string[]): string[] => ['--volumes-from', `giver${mode}`, ...more];
  const look = 'ls -d /data /host /memory /more /named 2>/dev/null; cat /data/file';
  assert.equal(await inside(host, look, from('')), '/data\n/host\n/more\n/named\nx');
  await inside(host, 'echo 1 >/data/new; echo 2 >/host/new', from(''));
  const closed =
    'cat /data/new /host/new; for d in data host named; do touch /$d/no 2>/dev/null && echo $d; done; true';
  assert.equal(await inside(host, closed, from(':ro')), '1\n2');
  // What is asked for at the same place wins.
  assert.equal(await inside(host, 'ls /data', from('', '-v', 'other:/data:nocopy')), '');
  await host.ok(['create', '--name', 'taker', ...from(':rw'), 'busybox', 'cat', '/data/new']);
  assert.equal(
    await host.ok(['inspect', '-f', '{{.HostConfig.VolumesFrom}} {{len .Mounts}}', 'taker']),
    '[giver:rw] 4',
  );
  // Anonymous ones stay as long as one of the two has them.
  await host.ok(['rm', '-v', 'giver']);
  assert.equal(await host.ok(['start', '-a', 'taker']), '1');
  await host.ok(['rm', '-v', 'taker']);
  assert.equal(await host.ok(['volume', 'ls', '-q']), 'named\nother');
  await refused(host, ['run', '--volumes-from', 'nosuch', 'busybox', 'true'], /no such container/);
  await refused(host, ['run', '--volumes-from', 'x:bad', 'busybox', 'true'], /the mode is ro or rw/);
  await host.ok(['volume', 'rm', 'named', 'other']);
  await host.ok(['rmi', 'full']);
  rmSync(folder, { recursive: true });
});
