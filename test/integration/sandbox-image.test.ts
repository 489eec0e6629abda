/** Images made to deceive: links and files where the start of a container works. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import type { RawEntry } from '../fixtures/raw-tar.ts';
import type { RunResult } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, type Canary, importEntries, makeCanary, refused, tryInside } from './ground.ts';

let host: Host;
let canary: Canary;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  canary = makeCanary(host.folder);
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const link = (name: string, target: string): RawEntry => ({ name, type: '2', link: target });

/** Runs `true` in an image with these entries, with and without a terminal; the canary must not notice. */
async function runHostile(
  entries: readonly RawEntry[],
  script = 'true',
  options: readonly string[] = [],
): Promise<RunResult> {
  await importEntries(host, 'hostile', entries);
  try {
    await tryInside(host, script, ['-t', ...options], 'hostile');
    const result = await tryInside(host, script, options, 'hostile');
    canary.assertUntouched();
    assert.ok([0, 1, 125, 126, 127].includes(result.code), `${result.code}: ${result.stderr}`);
    assert.doesNotMatch(result.stderr, /internal error/);
    return result;
  } finally {
    await host.ok(['rmi', 'hostile']);
  }
}

/** As an absolute link, and as one that climbs out of everything. */
const targets = (path: string): string[] => [path, `${'../'.repeat(40)}${path.slice(1)}`];

test('folders that the start mounts on, as links to the host', async () => {
  // The layer of the server hides them, so the container starts as if they were not there.
  const works = 'ls /dev/null /dev/pts/ptmx /dev/shm /dev/mqueue /proc/self/status /sys/class >/dev/null';
  for (const target of targets(`${canary.path}/d`)) {
    for (const names of [
      ['dev', 'proc', 'sys'],
      ['dev/pts', 'dev/shm', 'dev/mqueue', 'sys/fs'],
    ]) {
      const { code, stderr } = await runHostile(
        names.map((name) => link(name, target)),
        works,
      );
      assert.equal(code, 0, `${names} -> ${target}: ${stderr}`);
    }
  }
});

test('/etc itself, and the files that the server writes there, as links', async () => {
  const names = ['etc/hosts', 'etc/hostname', 'etc/resolv.conf', 'etc/mtab'];
  const all = names.map((name) => `/${name}`).join(' ');
  for (const target of targets(`${canary.path}/d`)) await runHostile([link('etc', target)], 'cat /etc/hosts');
  for (const target of [...targets(`${canary.path}/f`), `${canary.path}/missing`]) {
    const links = names.map((name) => link(name, target));
    const { code, stdout } = await runHostile(
      links,
      `cat ${all}; for f in ${all}; do echo x >>$f; done; true`,
    );
    assert.equal(code, 0);
    assert.doesNotMatch(stdout, /ORIG/);
  }
});

test('files where folders must be, and folders where files must be', async () => {
  const hidden = ['dev', 'proc', 'sys', 'etc/hosts', 'etc/hostname', 'etc/resolv.conf', 'etc/mtab'];
  const works =
    'cat /etc/hostname /proc/self/comm >/dev/null && ls /sys/class >/dev/null && mount >/dev/null';
  for (const kind of [{ data: 'a file' }, { type: '6' }, { type: '3', major: 1, minor: 5 }]) {
    const { code, stderr } = await runHostile(
      hidden.map((name) => ({ name, ...kind })),
      works,
    );
    assert.equal(code, 0, stderr);
  }
  const folders = [
    'etc/hosts',
    'etc/hostname',
    'etc/resolv.conf',
    'etc/mtab',
    'dev/null',
    'dev/console',
    'dev/ptmx',
  ];
  const { code, stderr } = await runHostile(
    folders.map((name) => ({ name: `${name}/` })),
    works,
  );
  assert.equal(code, 0, stderr);
  await runHostile([{ name: 'etc', data: 'a file' }]);
});

const HIDDEN =
  ['/proc/kcore', '/proc/timer_list', '/proc/keys'].find((path) => existsSync(path)) ?? '/proc/interrupts';

test('hidden paths cannot be uncovered by the image’s own /dev/null', async () => {
  const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8');
  for (const target of ['/proc/sys/kernel/core_pattern', `${canary.path}/f`]) {
    const { stdout } = await runHostile(
      [link('dev/null', target)],
      `stat -c %t:%T ${HIDDEN}; echo x >${HIDDEN}; echo x >/dev/null`,
    );
    assert.equal(stdout, '1:3\n');
  }
  assert.equal(readFileSync('/proc/sys/kernel/core_pattern', 'utf8'), pattern);
});

test('the console and the terminals, as links', async () => {
  const links = ['dev/console', 'dev/ptmx', 'dev/tty'].map((name) => link(name, `${canary.path}/f`));
  await runHostile(links, 'echo x >/dev/tty; echo x >/dev/console');
});

test('a working folder that leads out', async () => {
  // No magic link is entered, open or not.
  const links = [
    '/proc/self/cwd',
    '/proc/1/cwd',
    '/proc/self/root',
    '/proc/thread-self/fd/7',
    '/proc/1/root/x',
  ];
  for (let fd = 3; fd <= 20; fd += 1) links.push(`/proc/self/fd/${fd}`);
  for (const workingDir of links) {
    const config = {
      rootfs: { $case: 'image', value: 'busybox' },
      command: { values: ['pwd'] },
      workingDir,
    } as const;
    const { id } = await host.api.containers.createContainer({ config });
    await assert.rejects(host.api.tasks.startTask({ container: id }), /cannot start container/, workingDir);
    await host.api.containers.removeContainer({ container: id });
  }
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
  for (const path of ['/proc/self/fd/3', '/proc/self/fd/7', '/proc/self/cwd', '/proc/1/root']) {
    await refused(host, ['exec', '-w', path, 'box', 'ls', '..'], /cannot execute in container box/);
  }
  await host.ok(['rm', '-f', 'box']);
});

test('a working folder behind a link stays inside, and is made there', async () => {
  await importEntries(
    host,
    'linked',
    [
      link('out', `${canary.path}/d`),
      link('up', `${'../'.repeat(30)}${canary.path.slice(1)}`),
      link('fd', '/proc/self/fd/7'),
      link('in', '/home'),
    ],
    ['WORKDIR /out/new/deep'],
  );
  const where = await host.cli(['run', '--rm', 'linked', 'pwd', '-P']);
  if (where.code === 0) assert.equal(where.stdout, `${canary.path}/d/new/deep\n`);
  canary.assertUntouched();
  for (const path of ['/up/x', '/out', '/fd', '/fd/x']) {
    const { stdout } = await host.cli(['run', '--rm', '-w', path, 'linked', 'ls', '-a', '..', '.']);
    assert.doesNotMatch(stdout, /inner/);
    canary.assertUntouched();
  }
  assert.equal(await host.ok(['run', '--rm', '-w', '/in/user', 'linked', 'pwd', '-P']), '/home/user');
  await host.ok(['rmi', 'linked']);
});

test('a container cannot prepare its next start', async () => {
  const script = `rm -rf /data /work; ln -s ${canary.path}/d /data; ln -s ${canary.path}/d /work; rm -f /etc/hosts; sleep 1000`;
  await host.ok([
    'run',
    '-d',
    '--name',
    'twice',
    '-w',
    '/work/deep',
    '-v',
    `${host.folder}/tmp/v:/data/v`,
    'busybox',
    'sh',
    '-c',
    'cd /; umount /data/v; sleep 1000',
  ]);
  await host.ok(['rm', '-f', 'twice']);
  await host.ok(['create', '--name', 'twice', '-w', '/work/deep', 'busybox', 'sh', '-c', `cd /; ${script}`]);
  for (let round = 0; round < 3; round += 1) {
    await host.cli(['start', 'twice']);
    await host.ok(['stop', '-t', '0', 'twice']);
    canary.assertUntouched();
  }
  await host.ok(['rm', 'twice']);
  rmSync(`${host.folder}/tmp/v`, { recursive: true, force: true });
});

test('what an image says about itself gives it nothing', async () => {
  const labels = [
    'LABEL mydocker.privileged=true mydocker.restart=always io.containerd.x=binary:///bin/sh',
    'ENV LD_PRELOAD=/x.so NODE_OPTIONS=--inspect BASH_ENV=/x PATH=/evil:/bin',
  ];
  await importEntries(host, 'claims', [{ name: 'x.so', data: 'not a library' }], labels);
  assert.match(
    await host.ok(['run', '--rm', 'claims', 'grep', 'CapEff', '/proc/self/status']),
    /00000000a80425fb/,
  );
  await host.ok(['rmi', 'claims']);
});

test('programs with the names of helpers are never run for the server', async () => {
  const evil = '#!/bin/sh\ntouch /was-run\n';
  const names = [
    'usr/bin/nsenter',
    'usr/bin/ps',
    'usr/bin/tar',
    'usr/bin/gzip',
    'usr/bin/zstd',
    'usr/sbin/ip',
    'usr/bin/stty',
    'usr/bin/id',
  ];
  await importEntries(
    host,
    'helpers',
    names.map((name) => ({ name, mode: 0o755, data: evil })),
  );
  await host.ok(['run', '-d', '--name', 'helped', '-u', 'user', 'helpers', 'sleep', '1000']);
  await host.ok(['exec', 'helped', 'true']);
  await host.ok(['stop', '-t', '0', 'helped']);
  await host.ok(['start', 'helped']);
  assert.equal((await host.cli(['exec', 'helped', 'ls', '/was-run'])).code, 1);
  await host.ok(['rm', '-f', 'helped']);
  await host.ok(['rmi', 'helpers']);
});
