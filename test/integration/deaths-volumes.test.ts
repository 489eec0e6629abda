/** The server dies at each step of a volume's life: what is in it stays, half a volume is never seen. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { shimOf } from './deaths-ground.ts';
import { assertClean, importEntries, inside, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
after(() => host.dispose());

const folders = (): string[] => readdirSync(join(host.root, 'volumes')).sort();

/** Lets a command end the server at a point, and starts the next server. */
async function dieAt(point: string, args: readonly string[]): Promise<void> {
  await host.kill9();
  await host.start({ env: { MYDOCKER_FAILPOINTS: `${point}=exit` } });
  assert.notEqual((await host.cli(args)).code, 0, point);
  await host.kill9();
  await host.start();
}

test('a volume over the deaths of its server', async () => {
  await importEntries(host, 'full', [{ name: 'data/' }, { name: 'data/file', data: 'of the image' }]);
  const mount = ['-v', 'data:/data'];
  // Made or not: never without what was said about it.
  await dieAt('volume.create', ['volume', 'create', '--label', 'a=b', 'data']);
  assert.equal(await host.ok(['volume', 'ls', '-q']), '');
  await until(folders, (names) => names.length === 0);
  // Filled or not: never half.
  await host.ok(['volume', 'create', '--label', 'a=b', 'data']);
  await host.ok([
    'create',
    '--name',
    'one',
    ...mount,
    'full',
    'sh',
    '-c',
    'cat /data/file; echo mine >/data/own',
  ]);
  await dieAt('volume.filled', ['start', '-a', 'one']);
  assert.ok(!existsSync(join(host.root, 'volumes/data/data')));
  assert.equal(await host.ok(['start', '-a', 'one']), 'of the image');
  const own = join(host.root, 'volumes/data/data/own');
  // Mounted: the container goes on with it under the next server, and nothing fills it again.
  await dieAt('start.put-starting', ['run', '--name', 'two', ...mount, 'full', 'sleep', '1000']);
  await host.ok(['rm', '-f', 'two']);
  await host.ok([
    'run',
    '-d',
    '--name',
    'two',
    ...mount,
    'full',
    'sh',
    '-c',
    'echo more >>/data/own; sleep 1000',
  ]);
  await host.kill9();
  await host.start();
  assert.equal(
    await until(
      () => readFileSync(own, 'utf8'),
      (text) => text.includes('more'),
    ),
    'mine\nmore\n',
  );
  assert.equal(await host.ok(['exec', 'two', 'cat', '/data/own']), 'mine\nmore');
  // In use: no removal begins, and none by the death of a create or a removal of a container.
  assert.equal((await host.cli(['volume', 'rm', 'data'])).code, 125);
  await dieAt('delete.put', ['rm', '-f', '-v', 'one', 'two']);
  await host.ok(['rm', '-f', 'two']);
  await dieAt('create.put', ['create', ...mount, 'full', 'true']);
  assert.equal(readFileSync(own, 'utf8'), 'mine\nmore\n');
  assert.equal(await host.ok(['volume', 'ls', '--format', '{{.Name}} {{.Labels}} {{.Links}}']), 'data a=b 0');
  // Removed: with all that was in it, and a new one of its name begins anew.
  await dieAt('volume.removed', ['volume', 'rm', 'data']);
  assert.equal(await host.ok(['volume', 'ls', '-q']), '');
  await until(folders, (names) => names.length === 0);
  assert.equal(await inside(host, 'ls /data', mount, 'full'), 'file');
  await host.ok(['volume', 'rm', 'data']);
  await until(folders, (names) => names.length === 0);
  await host.ok(['rmi', 'full']);
  await assertClean(host);
});

/** Mount namespaces that a process keeps without standing in them. */
const namespacesHeld = (pid: number): number =>
  readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith('mnt:');
    } catch {
      return false; // closed meanwhile
    }
  }).length;

test('shared memory over the deaths of its server and of shims', async () => {
  await host.ok(['volume', 'create', '-o', 'type=tmpfs', '-o', 'device=tmpfs', 'memory']);
  const run = (name: string): Promise<string> =>
    host.ok(['run', '-d', '--name', name, '-v', 'memory:/v', 'busybox', 'sleep', '1000']);
  await run('one');
  await host.ok(['exec', 'one', 'sh', '-c', 'echo mine >/v/file']);
  assert.equal(namespacesHeld(await shimOf(host, 'one')), 1);
  // A server that dies half way through a start takes nothing away, the next one finds it with the shim that keeps it,
  // and keeps nothing itself.
  await dieAt('start.launch', ['run', '--name', 'three', '-v', 'memory:/v', 'busybox', 'true']);
  await run('two');
  assert.equal(await host.ok(['exec', 'two', 'cat', '/v/file']), 'mine');
  // Nor does a shim that is killed.
  const wait = host.ok(['wait', 'one']);
  process.kill(await shimOf(host, 'one'), 'SIGKILL');
  assert.equal(await wait, '137');
  assert.equal(await inside(host, 'cat /v/file', ['-v', 'memory:/v']), 'mine');
  assert.equal(namespacesHeld(host.serverPid), 0);
  // With the last shim it goes.
  const last = host.ok(['wait', 'two']);
  process.kill(await shimOf(host, 'two'), 'SIGKILL');
  assert.equal(await last, '137');
  assert.equal(await inside(host, 'ls /v', ['-v', 'memory:/v']), '');
  await host.ok(['rm', 'one', 'two', 'three']);
  await host.ok(['volume', 'rm', 'memory']);
  await assertClean(host);
});
