/** To which hosts a registry may send us, as far as their names tell. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback, lookUpOthers, maySendTo } from '../../../server/registry/addresses.ts';

/** As a URL has it. */
const host = (name: string): string => new URL(`http://${name}/`).hostname;

test('this machine under all its names', () => {
  for (const name of ['localhost', 'a.localhost', '127.0.0.1', '127.9.9.9', '[::1]', '2130706433', '0x7f.1'])
    assert.ok(isLoopback(host(name)), name);
  for (const name of ['localhost.example', '128.0.0.1', '10.0.0.1', '[::2]'])
    assert.ok(!isLoopback(host(name)), name);
});

test('nobody leads to what only we can reach', () => {
  const ours = [
    'localhost',
    '127.0.0.1',
    '0.0.0.0',
    '169.254.169.254',
    '[::1]',
    '[::]',
    '[fe80::1]',
    '[::ffff:7f00:1]',
  ];
  for (const name of ours) {
    assert.ok(!maySendTo('registry.example', host(name)), name);
    assert.ok(!maySendTo('10.0.0.5', host(name)), name);
  }
  for (const name of ['10.0.0.1', '172.16.0.1', '192.168.1.1', '[fd00::1]']) {
    assert.ok(!maySendTo('registry.example', host(name)), name);
    assert.ok(maySendTo('10.0.0.5', host(name)), name);
  }
  assert.ok(maySendTo('registry.example', 'cdn.example'));
  assert.ok(maySendTo('localhost', '127.0.0.1'));
  assert.ok(maySendTo('localhost', 'cdn.example'));
  // Nor does one of this machine, which anybody here may be.
  for (const name of ['169.254.169.254', '[fe80::1]', '[::ffff:a9fe:a9fe]'])
    assert.ok(!maySendTo('localhost', host(name)), name);
});

test('nor a name that is looked up', async () => {
  const found = new Promise((resolve) => {
    lookUpOthers('localhost', {}, (error) => resolve(error?.code));
  });
  assert.equal(await found, 'ELOCAL');
});
