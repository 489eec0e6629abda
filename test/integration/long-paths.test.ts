/** A state folder whose path no socket address can hold: everything that goes over a socket of a run. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, untilLogged } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'], stateName: `${'long-'.repeat(20)}/${'path-'.repeat(20)}` });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('a state path of 200 characters is as good as a short one', async () => {
  assert.ok(host.state.length >= 200, host.state);
  assert.equal(await host.ok(['run', '--rm', '-i', 'busybox', 'cat'], { stdin: 'in and out' }), 'in and out');
  await host.ok(['run', '-d', '--name', 'far', 'busybox', 'sh', '-c', 'echo started; sleep 1000']);
  await untilLogged(host, 'far', /started/);
  assert.equal(await host.ok(['exec', 'far', 'echo', 'inside']), 'inside');
  await host.kill9();
  await host.start();
  assert.equal(await host.ok(['exec', 'far', 'echo', 'found again']), 'found again');
  await host.ok(['stop', '-t', '0', 'far']);
  await host.ok(['rm', 'far']);
});
