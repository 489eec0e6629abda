/** What goes over the bus, byte for byte as the specification and other programs have it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BusValue } from '../../../server/model/unit.ts';
import { decodeBody, encodeBody, splitSignature } from '../../../server/systemd/bus-codec.ts';
import { decodeMessage, encodeCall, messageLength } from '../../../server/systemd/bus-message.ts';

test('signatures fall into complete types', () => {
  assert.deepEqual(splitSignature('ssa(sv)a(sa(sv))'), ['s', 's', 'a(sv)', 'a(sa(sv))']);
  assert.deepEqual(splitSignature('a{sv}ayu'), ['a{sv}', 'ay', 'u']);
  for (const bad of ['(s', 'z', 'a', '(', 'h'])
    assert.throws(() => splitSignature(bad), /not known here/, JSON.stringify(bad));
});

test('values lie at multiples of their size', () => {
  const cases: [string, BusValue[], string][] = [
    ['y', [7], '07'],
    ['yu', [1, 2], '01000000 02000000'],
    ['yt', [1, 2n], '0100000000000000 0200000000000000'],
    ['b', [true], '01000000'],
    ['i', [-2], 'feffffff'],
    ['x', [-1n], 'ffffffffffffffff'],
    ['s', ['ab'], '02000000 616200'],
    ['g', ['as'], '02 617300'],
    ['as', [['a']], '06000000 01000000 6100'],
    // What is between the length and the first element is not counted.
    ['at', [[5n]], '08000000 00000000 0500000000000000'],
    ['at', [[]], '00000000 00000000'],
    ['v', [{ signature: 'u', value: 9 }], '01 7500 00 09000000'],
    ['(yu)', [[1, 2]], '01000000 02000000'],
    [
      'a{sv}',
      [[['k', { signature: 'b', value: false }]]],
      '10000000 00000000 01000000 6b00 01 6200 00 0000 00000000',
    ],
  ];
  for (const [signature, values, hex] of cases) {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    if (signature !== 'a{sv}')
      assert.equal(encodeBody(signature, values).toString('hex'), bytes.toString('hex'), signature);
    assert.deepEqual(decodeBody(signature, encodeBody(signature, values)), values, signature);
  }
});

test('what a message does not hold is not read', () => {
  for (const [signature, hex] of [
    ['u', '0000'],
    ['s', 'ff000000 61'],
    ['as', 'ffffff7f'],
    ['at', '08000000 00000000 01'],
    ['v', '03 757500 01000000'],
  ] as const)
    assert.throws(() => decodeBody(signature, Buffer.from(hex.replaceAll(' ', ''), 'hex')), signature);
  const nested = 'v'.repeat(1);
  const deep = Buffer.concat([
    ...Array.from({ length: 64 }, () => Buffer.from('017600', 'hex')),
    Buffer.from('01790000', 'hex'),
  ]);
  assert.throws(() => decodeBody(nested, deep), /too deeply/);
  assert.throws(() => encodeBody('s', ['a\0b']), /zero byte/);
});

test('a call is the bytes that busctl sends', () => {
  // Recorded from `busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus GetId`, but for the flags
  // and the serial, which are the caller's.
  const bytes = encodeCall(2, {
    destination: 'org.freedesktop.DBus',
    path: '/org/freedesktop/DBus',
    interface: 'org.freedesktop.DBus',
    member: 'GetId',
  });
  assert.equal(messageLength(bytes), bytes.length);
  assert.equal(bytes.subarray(0, 12).toString('hex'), '6c0100010000000002000000');
  const message = decodeMessage(bytes);
  assert.deepEqual(
    [message.type, message.serial, message.path, message.interface, message.member, message.signature],
    [1, 2, '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'GetId', ''],
  );
});

test('the length of a message is known from its first sixteen bytes', () => {
  const call = { path: '/a', interface: 'b.c', member: 'D', signature: 'su', body: ['text', 3] };
  const bytes = encodeCall(1, call);
  assert.equal(messageLength(bytes.subarray(0, 15)), undefined);
  assert.equal(messageLength(bytes.subarray(0, 16)), bytes.length);
  assert.deepEqual(decodeBody('su', decodeMessage(bytes).bodyBytes), ['text', 3]);
  assert.throws(() => messageLength(Buffer.alloc(16)), /no D-Bus message/);
  const large = Buffer.from(bytes);
  large.writeUInt32LE(1 << 30, 4);
  assert.throws(() => messageLength(large), /too large/);
});
