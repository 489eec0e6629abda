/**
 * What every storage driver promises, as one suite that runs over each: the same images, the same containers,
 * the same answers.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import type { RawEntry } from '../fixtures/raw-tar.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, importEntries, inside, makeCanary, refused, tryInside } from './ground.ts';

const link = (name: string, target: string): RawEntry => ({ name, type: '2', link: target });

/** Everything that a file can be. */
const ODD: readonly RawEntry[] = [
  { name: 'odd/', mode: 0o1750, uid: 1000, gid: 33, mtime: 1_500_000_000 },
  { name: 'odd/setuid', data: 'x', mode: 0o6755, uid: 1000, gid: 50, mtime: 1_600_000_000 },
  { name: 'odd/second', type: '1', link: 'odd/setuid' },
  link('odd/symlink', '/etc/hosts'),
  { name: 'odd/fifo', type: '6', mode: 0o620 },
  { name: 'odd/null', type: '3', major: 1, minor: 3, mode: 0o666 },
  { name: 'odd/secret', data: 'x', mode: 0o400, uid: 7, gid: 7 },
];

const LOOK =
  'cd /odd; stat -c "%n %F %a %u %g %h %t:%T %Y" . setuid second fifo null secret; readlink symlink; stat -c %F%u%g%a /dev /proc /sys /etc';

for (const driver of ['overlay', 'vfs']) {
  describe(driver, () => {
    let host: Host;
    before(async () => {
      host = await startHost({ images: ['busybox'], serverArgs: ['-s', driver] });
    });
    afterEach(() => assertClean(host));
    after(() => host.dispose());

    test('files are what the image has', async () => {
      await importEntries(host, 'odd', ODD);
      const shown = (await inside(host, LOOK, [], 'odd')).split('\n');
      assert.deepEqual(shown, [
        '. directory 1750 1000 33 2 0:0 1500000000',
        'setuid regular file 6755 1000 50 2 0:0 1600000000',
        'second regular file 6755 1000 50 2 0:0 1600000000',
        shown[3] ?? '',
        'null character special file 666 0 0 1 1:3 '.concat(shown[4]?.split(' ').at(-1) ?? ''),
        'secret regular file 400 7 7 1 0:0 '.concat(shown[5]?.split(' ').at(-1) ?? ''),
        '/etc/hosts',
        ...Array.from({ length: 4 }, (_, i) => shown[7 + i] ?? ''),
      ]);
      assert.match(shown[3] ?? '', /^fifo fifo 620 0 0 1 /);
      for (const line of shown.slice(7)) assert.match(line, /^directory00(755|555)$/);
      await host.ok(['rmi', 'odd']);
    });

    test('each container has its own changes, which stay over stop, start and a killed server', async () => {
      const script = 'echo $HOSTNAME >>/etc/motd; rm -f /bin/vi; mv /home/user /home/me; sleep 1000';
      for (const name of ['c1', 'c2'])
        await host.ok(['run', '-d', '--name', name, '--hostname', name, 'busybox', 'sh', '-c', script]);
      const see = (name: string): Promise<string> =>
        host.ok([
          'exec',
          name,
          'sh',
          '-c',
          'sleep 0.2; cat /etc/motd; ls -d /home/*; ls /bin/vi 2>&1 | wc -l',
        ]);
      assert.equal(await see('c1'), 'c1\n/home/me\n1');
      await host.ok(['stop', '-t', '0', 'c1']);
      await host.kill9();
      await host.start();
      await host.ok(['start', 'c1']);
      assert.equal(await see('c1'), 'c1\nc1\n/home/me\n1');
      assert.equal(await see('c2'), 'c2\n/home/me\n1');
      assert.equal(await inside(host, 'ls -d /home/*; ls /etc/motd 2>&1 | grep -c such'), '/home/user\n1');
      assert.match(await host.ok(['ps']), new RegExp(` ${driver} `));
      await host.ok(['rm', '-f', 'c1', 'c2']);
    });

    test('users are looked up in the container’s own files', async () => {
      await host.ok(['run', '-d', '--name', 'own', 'busybox', 'sleep', '1000']);
      const add = 'echo new:x:4321:1:::/bin/sh >>/etc/passwd; echo crew:x:777:new >>/etc/group';
      await host.ok(['exec', 'own', 'sh', '-c', add]);
      assert.match(await host.ok(['exec', '-u', 'new', 'own', 'id']), /uid=4321\(new\) gid=1.*777\(crew\)/);
      await refused(host, ['run', '--rm', '-u', 'new', 'busybox', 'id'], /cannot find user/);
      await host.ok(['rm', '-f', 'own']);
    });

    test('--read-only is so, and a limit of the disk is told', async () => {
      const { code } = await tryInside(host, 'touch /x', ['--read-only']);
      assert.equal(code, 1);
      assert.equal(await inside(host, 'touch /dev/shm/x && echo ok', ['--read-only']), 'ok');
    });

    test('an image’s links where the start mounts are hidden', async () => {
      const canary = makeCanary(host.folder);
      for (const names of [
        ['dev', 'proc', 'sys'],
        ['etc'],
        ['etc/hosts', 'etc/resolv.conf', 'dev/pts', 'dev/shm'],
      ]) {
        await importEntries(
          host,
          'hostile',
          names.map((name) => link(name, `${canary.path}/d`)),
        );
        const look = 'ls /dev/null /dev/pts/ptmx /proc/self/status /sys/class >/dev/null; cat /etc/hosts';
        const { stdout, code } = await tryInside(host, look, [], 'hostile');
        assert.equal(code, 0);
        assert.match(stdout, /localhost/);
        canary.assertUntouched();
        await host.ok(['rmi', 'hostile']);
      }
    });

    test('nor can a container put links there for its next start', async () => {
      const canary = makeCanary(host.folder);
      const script = `mv /etc /etc2 2>/dev/null && ln -s ${canary.path}/d /etc; umount /proc 2>/dev/null; rmdir /sys 2>/dev/null; cat /etc/hostname; ls -d /proc/self/status`;
      await host.ok(['create', '--name', 'twice', '--hostname', 'twice', 'busybox', 'sh', '-c', script]);
      for (let round = 0; round < 3; round += 1) {
        const { stdout } = await host.cli(['start', '-a', 'twice']);
        assert.match(stdout, /\/proc\/self\/status/);
        canary.assertUntouched();
      }
      await host.ok(['rm', 'twice']);
    });

    test('a volume begins with the image’s content', async () => {
      await importEntries(host, 'odd', ODD, ['VOLUME /odd']);
      assert.match(await inside(host, LOOK, [], 'odd'), /^\. directory 1750 1000 33 2/);
      await host.ok(['rmi', 'odd']);
    });

    test('what a container is is told, and its files go with it', async () => {
      const id = await host.ok(['run', '-d', '--name', 'told', 'busybox', 'sleep', '1000']);
      const { container } = await host.api.containers.getContainer({ container: id });
      assert.equal(container?.config?.storageDriver, driver);
      assert.ok(statSync(container?.paths?.upperDir ?? '').isDirectory());
      const { server, features } = await host.api.system.getInfo({});
      assert.equal(server?.storageDriver, driver);
      assert.ok(features.some(({ name, available }) => name === 'storage-overlay' && available));
      await host.ok(['rm', '-f', 'told']);
      assert.equal(existsSync(join(host.root, 'containers', id)), false);
    });

    test('a start that is killed half way is made whole by the next one', async () => {
      await host.ok(['create', '--name', 'half', 'busybox', 'cat', '/etc/os-release']);
      await host.stop();
      await host.start({ env: { MYDOCKER_FAILPOINTS: 'start.launch=exit' } });
      assert.notEqual((await host.cli(['start', 'half'])).code, 0);
      await host.kill9();
      await host.start();
      assert.match(await host.ok(['start', '-a', 'half']), /ID=busybox/);
      const { container } = await host.api.containers.getContainer({ container: 'half' });
      const names = readdirSync(container?.paths?.folder ?? '').sort();
      const own = driver === 'vfs' ? ['rootfs'] : ['upper', 'work'];
      assert.deepEqual(names, ['config.json', 'logs', ...own].sort());
      await host.ok(['rm', 'half']);
    });

    test('many starts at once', async () => {
      const all = Array.from({ length: 6 }, (_, i) => inside(host, `echo ${i}`));
      assert.deepEqual(await Promise.all(all), ['0', '1', '2', '3', '4', '5']);
    });
  });
}

test('a container keeps the driver that it was made with, whatever the server’s is', async () => {
  const host = await startHost({ images: ['busybox'] });
  try {
    await host.ok(['create', '--name', 'first', 'busybox', 'echo', 'first']);
    await host.ok(['create', '--name', 'asked', '-s', 'vfs', 'busybox', 'echo', 'asked']);
    await host.stop();
    await host.start({ args: ['--storage-driver', 'vfs'] });
    await host.ok(['create', '--name', 'second', 'busybox', 'echo', 'second']);
    for (const name of ['first', 'asked', 'second']) assert.equal(await host.ok(['start', '-a', name]), name);
    const drivers = await host.ok(['ps', '--format', '{{.Name}} {{.Driver}}']);
    assert.deepEqual(drivers.split('\n').sort(), ['asked vfs', 'first overlay', 'second vfs']);
    await refused(
      host,
      ['create', '-s', 'aufs', 'busybox'],
      /cannot use storage driver "?aufs"?: this server does not have it[\s\S]*overlay, vfs/,
    );
    await refused(host, ['create', '-s', 'zip', 'busybox'], /there is no such driver/);
    await host.ok(['rm', 'first', 'second', 'asked']);
  } finally {
    await host.dispose();
  }
});
