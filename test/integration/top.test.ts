/** `top` and `port`: what a container's processes and ports are. @vm */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('top lists the processes of a container and of what was executed in it', async () => {
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sh', '-c', 'sleep 1001 & exec sleep 1000']);
  await host.ok(['exec', '-d', '-u', '65534', 'box', 'sleep', '1002']);
  const text = await until(
    () => host.ok(['top', 'box']),
    (list) => list.split('\n').length === 4,
  );
  const [heading = '', ...rows] = text.split('\n');
  assert.match(heading, /^UID +PID +PPID +C +STIME +TTY +TIME +CMD$/);
  assert.match(rows[0] ?? '', /^root +\d+ +\d+ +\d+ +\d\d:\d\d +\? +00:00:00 +sleep 1000$/);
  assert.match(rows[2] ?? '', /^65534 +\d+ +\d+ .* sleep 1002$/);
  const pid = await host.ok(['inspect', '-f', '{{.State.Pid}}', 'box']);
  assert.equal(rows[0]?.split(/ +/)[1], pid);
  const own = (await host.ok(['top', 'box', '-o', 'pid,cpid,comm,stat'])).split('\n');
  assert.match(own[0] ?? '', /^PID +CPID +COMMAND +STAT$/);
  assert.match(own[1] ?? '', new RegExp(`^${pid} +1 +sleep +S$`));
  assert.equal(await host.ok(['top', 'box', '-ef']), text);
  await refused(host, ['top', 'box', 'aux'], /cannot read the options of top: aux\nhint: -ef, or -o with/);
  await refused(host, ['top', 'box', '-o', 'pid,wide'], /unknown column "wide"/);
  await host.ok(['rm', '-f', 'box']);
  await refused(host, ['top', 'box'], /no such container/);
});

test('top of a container that does not run is refused', async () => {
  await host.ok(['create', '--name', 'idle', 'busybox', 'true']);
  await refused(
    host,
    ['top', 'idle'],
    /cannot list the processes of container idle: it is created, not running\nhint: start it first/,
  );
  assert.equal(await host.ok(['port', 'idle']), '');
  await refused(host, ['port', 'idle', '80'], /cannot find port 80\/tcp of idle: it is not published/);
  await host.ok(['rm', 'idle']);
});
