/** @vm A server that has systemd make the groups of its containers: systemd-guest.ts, under a systemd of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixtureTar } from '../fixtures/images.ts';
import { SLOWNESS } from '../harness/cli.ts';
import { underSystemd } from '../harness/systemd.ts';

const DEADLINE_MS = 120_000;

test('a server and its containers as units of systemd', { timeout: 2 * DEADLINE_MS * SLOWNESS }, async () => {
  const image = await fixtureTar('busybox');
  const guest = ['sh', 'scripts/node.sh', 'test/integration/systemd-guest.ts', image];
  const { code, output } = await underSystemd(guest, DEADLINE_MS);
  assert.equal(code, 0, output);
  assert.match(output, /^ℹ pass (?:[89]|\d\d)$/m, output);
});
