/** `exec`: one more process in a container that runs. @vm */
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { listProcesses } from '../harness/leaks.ts';
import { assertClean, importEntries, refused, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  await importEntries(host, 'busy', [], ['USER user', 'WORKDIR /work', 'ENV A=image B=image']);
});
beforeEach(async () => {
  await host.ok(['run', '-d', '--name', 'box', '-e', 'B=run', 'busy', 'sleep', '1000']);
});
afterEach(async () => {
  await host.ok(['rm', '-f', 'box']);
  await assertClean(host);
});
after(() => host.dispose());

test('exec passes statuses, streams and input through', async () => {
  for (const status of [0, 3, 255])
    assert.equal((await host.cli(['exec', 'box', 'sh', '-c', `exit ${status}`])).code, status);
  assert.equal((await host.cli(['exec', 'box', 'sh', '-c', 'kill -TERM $$'])).code, 143);
  assert.equal((await host.cli(['exec', 'box', 'sh', '-c', 'kill -KILL $$'])).code, 137);
  const { stdout, stderr } = await host.cli(['exec', 'box', 'sh', '-c', 'echo out; echo err >&2']);
  assert.deepEqual([stdout, stderr], ['out\n', 'err\n']);
  assert.equal(await host.ok(['exec', '-i', 'box', 'cat'], { stdin: 'x\n' }), 'x');
  const large = Buffer.alloc(3 << 20, 'b');
  assert.equal(
    await host.ok(['exec', '-i', 'box', 'sh', '-c', 'cat | wc -c'], { stdin: large }),
    String(3 << 20),
  );
  assert.equal(await host.ok(['exec', 'box', 'cat'], { stdin: 'not for it' }), '');
});

test('exec CONTAINER -- COMMAND is the same, and options end at the container', async () => {
  assert.equal(await host.ok(['exec', 'box', '--', 'echo', 'a']), 'a');
  assert.equal(await host.ok(['exec', 'box', 'echo', '-d', '--', 'x y']), '-d -- x y');
  await refused(host, ['exec', 'box'], /no command given[\s\S]*hint/);
  await refused(host, ['exec', 'box', '--'], /no command given/);
  await refused(host, ['exec', 'nosuch', 'true'], /no such container/);
});

test('exec has the container’s user, folder and environment, and its own on top', async () => {
  const show = 'id -un; pwd; echo $A $B $C $HOME';
  assert.equal(await host.ok(['exec', 'box', 'sh', '-c', show]), 'user\n/work\nimage run /home/user');
  const options = ['-u', 'root', '-w', '/tmp', '-e', 'A=exec', '-e', 'C=new'];
  assert.equal(
    await host.ok(['exec', ...options, 'box', 'sh', '-c', show]),
    'root\n/tmp\nexec run new /root',
  );
  assert.equal(
    await host.ok(['exec', '-u', '1234:33', 'box', 'id']),
    'uid=1234 gid=33(www-data) groups=33(www-data)',
  );
  await refused(host, ['exec', '-u', 'nosuch', 'box', 'true'], /cannot find user/);
});

test('exec --privileged has every capability that the server has, for root and for nobody else', async () => {
  const masks = async (...options: string[]): Promise<Record<string, string>> => {
    const text = await host.ok(['exec', ...options, 'box', 'grep', 'Cap', '/proc/self/status']);
    return Object.fromEntries(text.split('\n').map((line) => line.split(/:\s*/)));
  };
  const all = /^CapPrm:\s*(\S+)$/m.exec(readFileSync(`/proc/${host.serverPid}/status`, 'utf8'))?.[1] ?? '';
  const none = '0000000000000000';
  const root = { CapInh: none, CapPrm: all, CapEff: all, CapBnd: all, CapAmb: none };
  assert.deepEqual(await masks('--privileged', '-u', '0'), root);
  assert.deepEqual(await masks('--privileged'), { ...root, CapPrm: none, CapEff: none });
  assert.notEqual((await masks('-u', '0'))['CapEff'], all);
});

test('exec stands where the container stands', async () => {
  const kinds = ['mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'];
  const script = kinds.map((kind) => `readlink /proc/self/ns/${kind}`).join(';');
  const [{ run }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'box']));
  const first = kinds.map((kind) => readlinkSync(`/proc/${run.pid}/ns/${kind}`));
  assert.deepEqual((await host.ok(['exec', 'box', 'sh', '-c', script])).split('\n'), first);
  assert.equal(
    await host.ok(['exec', 'box', 'cat', '/proc/self/cgroup']),
    await host.ok(['exec', 'box', 'cat', '/proc/1/cgroup']),
  );
  assert.match(await host.ok(['exec', 'box', 'ps']), /\n +1 user .* sleep 1000\n/);
});

test('exec tells why a program did not run', async () => {
  await refused(host, ['exec', 'box', 'nosuch'], /cannot execute in container box: .*"nosuch": ENOENT/, 127);
  await refused(host, ['exec', 'box', '/etc/passwd'], /EACCES/, 126);
  await refused(host, ['exec', 'box', '/etc'], /EACCES/, 126);
  await host.ok(['exec', '-u', '0', 'box', 'sh', '-c', 'echo echo bare >/tmp/bare; chmod 755 /tmp/bare']);
  await refused(host, ['exec', 'box', '/tmp/bare'], /ENOEXEC[\s\S]*hint: .*#!/, 126);
  await host.ok([
    'exec',
    '-u',
    '0',
    'box',
    'sh',
    '-c',
    'printf "#!/no/such\\n" >/tmp/lost; chmod 755 /tmp/lost',
  ]);
  await refused(host, ['exec', 'box', '/tmp/lost'], /ENOENT[\s\S]*interpreter/, 127);
});

test('exec in a container that does not run is refused', async () => {
  await host.ok(['stop', '-t', '0', 'box']);
  await refused(host, ['exec', 'box', 'true'], /box[\s\S]*stopped[\s\S]*hint/);
  await host.ok(['create', '--name', 'new', 'busy', 'true']);
  await refused(host, ['exec', 'new', 'true'], /created|not running/);
  await host.ok(['rm', 'new']);
});

test('exec -d goes on without its client', async () => {
  assert.equal(await host.ok(['exec', '-d', 'box', 'sh', '-c', 'sleep 0.3; echo done >/tmp/done']), '');
  await until(
    () => host.cli(['exec', 'box', 'cat', '/tmp/done']),
    ({ stdout }) => stdout === 'done\n',
  );
  await host.ok(['exec', '-d', 'box', 'sh', '-c', 'yes']);
});

test('exec ends with its client, and a process that it left behind does not hold it', async () => {
  const client = host.spawn(['exec', 'box', 'sleep', '4321']);
  const isThere = (): boolean => listProcesses().some(({ command }) => command === 'sleep 4321');
  await until(isThere, Boolean);
  client.kill('SIGKILL');
  await until(isThere, (there) => !there);
  assert.equal(await host.ok(['exec', 'box', 'sh', '-c', 'sleep 300 >/dev/null 2>&1 & echo left']), 'left');
  assert.equal(await host.ok(['exec', 'box', 'sh', '-c', 'sleep 300 & echo held']), 'held');
});

test('an exec that was running ends with the container', async () => {
  const running = host.cli(['exec', 'box', 'sleep', '1000']);
  await until(
    () => host.ok(['exec', 'box', 'sh', '-c', 'ps | grep -c "[s]leep 1000"']),
    (count) => count === '2',
  );
  await host.ok(['stop', '-t', '0', 'box']);
  assert.equal((await running).code, 137);
});

test('many at the same time do not mix', async () => {
  const all = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      host.cli(['exec', 'box', 'sh', '-c', `echo ${index}; exit ${index}`]),
    ),
  );
  for (const [index, { code, stdout, stderr }] of all.entries()) {
    assert.deepEqual([code, stdout, stderr], [index, `${index}\n`, '']);
  }
});

test('an exec that ends at once is heard of, however busy the machine is', async () => {
  const status = async (wanted: number): Promise<number | undefined> => {
    const { run } = await host.api.tasks.execTask({
      container: 'box',
      process: { args: ['sh', '-c', `exit ${wanted}`] },
    });
    const { exit } = await host.api.tasks.waitTask({ container: 'box', runId: run?.runId ?? '' });
    return exit?.exitStatus;
  };
  for (let round = 0; round < 15; round += 1) {
    const wanted = Array.from({ length: 16 }, (_, index) => index);
    assert.deepEqual(await Promise.all(wanted.map(status)), wanted);
  }
});
