/**
 * What file-servers.test.ts runs in a machine of its own, as root of everything: volumes on the kernel's server of NFS
 * and on Samba, both at loopback addresses.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { run } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { inside, refused, until } from '../integration/ground.ts';

const PASSWORD = 'sesame-street';
const folder = mkdtempSync('/tmp/file-servers-');
const exported = join(folder, 'exported');
const shared = join(folder, 'shared');
let host: Host;

async function must(program: string, args: readonly string[], stdin = ''): Promise<void> {
  const { code, stdout, stderr } = await run(program, args, { stdin });
  assert.equal(code, 0, `${program} ${args.join(' ')}: ${stdout}${stderr}`);
}

/** Ends with this process, whose namespace it is in. */
const serve = (program: string, args: readonly string[]): void =>
  spawn(program, args, { stdio: 'ignore' }).unref();

/** NFS 4 alone, which needs no other servers; what is exported is the root of what clients see. */
async function serveNfs(): Promise<void> {
  mkdirSync(exported);
  // What Debian's package makes, on the machine's fresh disk.
  mkdirSync('/var/lib/nfs/v4recovery', { recursive: true });
  for (const name of ['etab', 'rmtab']) writeFileSync(join('/var/lib/nfs', name), '');
  await must('mount', ['-t', 'nfsd', 'nfsd', '/proc/fs/nfsd']);
  serve('rpc.mountd', ['--foreground', '--no-nfs-version', '3']);
  const options = 'rw,no_root_squash,insecure,no_subtree_check,fsid=0';
  await must('exportfs', ['-o', options, `127.0.0.1:${exported}`]);
  const oldClients = ['--grace-time', '10', '--lease-time', '10'];
  await must('rpc.nfsd', ['--no-nfs-version', '3', '--no-udp', ...oldClients, '2']);
}

async function serveSmb(): Promise<void> {
  mkdirSync(shared);
  const own = join(folder, 'samba');
  mkdirSync(own);
  const places = ['private dir', 'state directory', 'cache directory', 'lock directory', 'pid directory'];
  const lines = [
    ['[global]', 'interfaces = lo', 'bind interfaces only = yes', 'disable netbios = yes', 'smb ports = 445'],
    [...places.map((place) => `${place} = ${own}`), `ncalrpc dir = ${own}/rpc`, `log file = ${own}/log`],
    ['load printers = no', '[share]', `path = ${shared}`, 'read only = no'],
  ].flat();
  const config = join(folder, 'smb.conf');
  writeFileSync(config, `${lines.join('\n')}\n`);
  await must('smbpasswd', ['-c', config, '-a', '-s', 'root'], `${PASSWORD}\n${PASSWORD}\n`);
  serve('smbd', ['--foreground', '--no-process-group', '-s', config]);
  await until(() => answers(445), Boolean);
}

function answers(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(port, '127.0.0.1');
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

const volume = (name: string, type: string, device: string, options: string): Promise<string> =>
  host.ok(['volume', 'create', '-o', `type=${type}`, '-o', `device=${device}`, '-o', `o=${options}`, name]);
const inVolume = (name: string, script: string): Promise<string> =>
  inside(host, script, ['--network', 'none', '-v', `${name}:/data`]);
const types = (): string[] =>
  readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[2] ?? []);

before(async () => {
  await serveNfs();
  await serveSmb();
  host = await startHost({ images: ['busybox'] });
});
// The servers of files have processes that come and go, so not everything that there is can be compared.
afterEach(async () => {
  assert.equal(await host.ok(['ps', '-q']), '');
  await until(
    () => readdirSync(join(host.state, 'shims')),
    ({ length }) => length === 0,
  );
  assert.deepEqual(
    types().filter((type) => /^(?:nfs4?|cifs)$/.test(type)),
    [],
  );
});
after(async () => {
  await host.dispose();
  rmSync(folder, { recursive: true, force: true });
});

test('NFS: by address and by name, for one container after the other and a later server', async () => {
  await volume('byaddress', 'nfs', ':/', 'addr=127.0.0.1,vers=4.2');
  await volume('byname', 'nfs', ':/', 'addr=localhost,nfsvers=4.2');
  assert.match(await inVolume('byaddress', 'echo one >/data/file; grep " /data " /proc/mounts'), /nfs4 rw/);
  assert.equal(readFileSync(join(exported, 'file'), 'utf8'), 'one\n');
  await host.restart();
  assert.equal(await inVolume('byname', 'cat /data/file'), 'one');
  await host.ok([
    'run',
    '-d',
    '--name',
    'stays',
    '--network',
    'none',
    '-v',
    'byaddress:/data',
    'busybox',
    'cat',
  ]);
  await host.ok(['rm', '-f', 'stays']);
  rmSync(join(exported, 'file'));
});

test('NFS: an empty one begins with what the image has, one that has something is left alone', async () => {
  const list = (): Promise<string> => inside(host, 'ls /etc', ['--network', 'none', '-v', 'byaddress:/etc']);
  assert.match(await list(), /passwd/);
  assert.ok(readdirSync(exported).includes('passwd'));
  for (const name of readdirSync(exported)) rmSync(join(exported, name), { recursive: true });
  writeFileSync(join(exported, 'mine'), '');
  assert.match(await list(), /mine/);
  assert.ok(!readdirSync(exported).includes('passwd'));
  for (const name of readdirSync(exported)) rmSync(join(exported, name), { recursive: true });
});

test('NFS: what cannot be mounted is told, and leaves nothing', async () => {
  for (const [name, device, options, said] of [
    ['nofolder', ':/nosuch', 'addr=127.0.0.1,vers=4.2', /mount \/data \(nfs\): ENOENT/],
    ['nooption', ':/', 'addr=127.0.0.1,vers=4.2,nosuch', /nosuch: EINVAL.*\nhint: .*no such option/],
    ['noversion', ':/', 'addr=127.0.0.1,vers=3', /mount \/data \(nfs\): E[A-Z]+ .*\nhint: /],
  ] as const) {
    await volume(name, 'nfs', device, options);
    await refused(host, ['run', '--rm', '--network', 'none', '-v', `${name}:/data`, 'busybox', 'true'], said);
  }
});

test('NFS: who does not answer holds its own container alone, and not for ever', async () => {
  await must('ip', ['link', 'add', 'nobody', 'type', 'dummy']);
  await must('ip', ['address', 'add', '198.51.100.1/24', 'dev', 'nobody']);
  await must('ip', ['link', 'set', 'nobody', 'up']);
  await volume('silent', 'nfs', ':/', 'addr=198.51.100.9,vers=4.2,soft,timeo=50,retrans=1');
  let isOver = false;
  const waiting = refused(
    host,
    ['run', '--rm', '--network', 'none', '-v', 'silent:/data', 'busybox', 'true'],
    /mount \/data \(nfs\): (?:ETIMEDOUT|EHOSTUNREACH) .*\nhint: .*does not answer/,
  ).finally(() => {
    isOver = true;
  });
  assert.equal(await inside(host, 'echo others', ['--network', 'none']), 'others');
  assert.equal(isOver, false);
  await waiting;
  await must('ip', ['link', 'delete', 'nobody']);
});

test('SMB: by address and by name', async () => {
  await volume('share', 'cifs', '//127.0.0.1/share', `addr=127.0.0.1,username=root,password=${PASSWORD}`);
  await volume('named', 'cifs', '//localhost/share', `username=root,password=${PASSWORD}`);
  assert.match(await inVolume('share', 'echo two >/data/file; grep " /data " /proc/mounts'), /cifs rw/);
  assert.equal(readFileSync(join(shared, 'file'), 'utf8'), 'two\n');
  assert.equal(await inVolume('named', 'cat /data/file'), 'two');
});

test('SMB: a wrong password is told, and no password is in the log', async () => {
  await volume('wrong', 'cifs', '//127.0.0.1/share', 'addr=127.0.0.1,username=root,password=not-this-one');
  const { stderr } = await refused(
    host,
    ['run', '--rm', '--network', 'none', '-v', 'wrong:/data', 'busybox', 'true'],
    /mount \/data \(cifs\): EACCES .*\nhint: .*refuses/,
  );
  assert.ok(!stderr.includes('not-this-one'));
  assert.ok(!host.log.includes('not-this-one') && !host.log.includes(PASSWORD));
});
