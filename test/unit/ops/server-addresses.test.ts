/** Names of servers whose filesystems are volumes become addresses, where the kernel wants one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withAddress } from '../../../server/ops/server-addresses.ts';

const options = (type: string, device: string, ...given: string[]): readonly string[] =>
  withAddress(
    { destination: '/v', type, device, options: given },
    new Map([
      ['nas', '10.0.0.2'],
      ['10.0.0.3', '10.0.0.3'],
    ]),
  ).options;

test('the name of a server becomes its address, by addr= or by the share', () => {
  assert.deepEqual(options('nfs', ':/export', 'addr=nas', 'vers=4'), ['vers=4', 'addr=10.0.0.2']);
  assert.deepEqual(options('cifs', '//nas/share', 'username=me'), ['username=me', 'addr=10.0.0.2']);
  assert.deepEqual(options('cifs', '//10.0.0.3/share'), ['addr=10.0.0.3']);
});

test('what is an address stays, and what the kernel finds by itself', () => {
  assert.deepEqual(options('nfs', ':/export', 'addr=10.0.0.9'), ['addr=10.0.0.9']);
  assert.deepEqual(options('nfs', ':/export', 'addr=fe80::1%eth0'), ['addr=fe80::1%eth0']);
  assert.deepEqual(options('cifs', '//nas/share', 'ip=10.0.0.9'), ['ip=10.0.0.9']);
  assert.deepEqual(options('ext4', '/dev/nas/x'), []);
});
