/** Real input: a Debian root filesystem with redis, used as somebody would who installed it there. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['debian-redis'] });
});
after(() => host.dispose());

const redis = (...command: string[]): Promise<string> => host.ok(['exec', 'db', 'redis-cli', ...command]);
const answers = (): Promise<string> =>
  until(
    async () => (await host.cli(['exec', 'db', 'redis-cli', 'ping'])).stdout.trim(),
    (answer) => answer === 'PONG',
  );

test('redis-server of a Debian image serves redis-cli through exec, and keeps its data over stop and start', async () => {
  const server = ['redis-server', '--dir', '/var/lib/redis', '--save', '3600', '1', '--bind', '127.0.0.1'];
  const options = ['-d', '--name', 'db', '-u', 'redis', '-w', '/var/lib/redis', '-m', '256m'];
  await host.ok(['run', ...options, 'debian-redis', ...server]);
  await answers();
  assert.equal(await redis('set', 'greeting', 'hello from a container'), 'OK');
  assert.equal(await redis('get', 'greeting'), 'hello from a container');
  assert.equal(await redis('incr', 'counter'), '1');
  assert.match(await host.ok(['exec', 'db', 'id', '-un']), /^redis$/);
  assert.match(await host.ok(['logs', 'db']), /Ready to accept connections/);
  // SIGTERM: redis saves and leaves with 0.
  await host.ok(['stop', 'db']);
  assert.match(await host.ok(['ps']), /db +debian-redis +stopped \(0\)/);
  await host.ok(['start', 'db']);
  await answers();
  assert.equal(await redis('get', 'greeting'), 'hello from a container');
  assert.equal(await redis('incr', 'counter'), '2');
  await host.ok(['rm', '-f', 'db']);
  await assertClean(host);
});
