import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeMessages, withLength } from '../../../server/network/dns-forward.ts';
import {
  addressAnswer,
  DNS_CODE,
  DNS_TYPE,
  nameAnswer,
  readQuery,
  refusal,
  reverseAddress,
} from '../../../server/network/dns-message.ts';
import { parseAddress } from '../../../server/network/ip.ts';

/** A query as resolvers send it. */
function query(name: string, type: number, flags = 0x0100): Buffer {
  const labels = name.split('.').filter(Boolean);
  const parts = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]);
  const head = Buffer.from([0xab, 0xcd, flags >> 8, flags & 0xff, 0, 1, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([head, ...parts, Buffer.from([0, type >> 8, type & 0xff, 0, 1])]);
}

function questionOf(message: Buffer) {
  const read = readQuery(message);
  assert.ok(read.kind === 'question');
  return read.question;
}

test('a question is read, whatever its case', () => {
  const message = query('DB.Example', DNS_TYPE.aaaa);
  assert.deepEqual(questionOf(message), {
    ...{ name: 'db.example', type: 28, isInternet: true, end: message.length },
  });
  assert.equal(questionOf(query('', DNS_TYPE.a)).name, '');
  // What stands behind it (EDNS) is not looked at.
  assert.equal(questionOf(Buffer.concat([message, Buffer.from('0000290fa0', 'hex')])).end, message.length);
});

test('no bytes make it fail, and nobody answers an answer', () => {
  const whole = query('db', DNS_TYPE.a);
  assert.equal(readQuery(query('db', DNS_TYPE.a, 0x8180)).kind, 'none');
  assert.equal(readQuery(query('db', DNS_TYPE.a, 0x2900)).kind, 'other');
  for (let length = 0; length < whole.length; length += 1)
    assert.equal(
      readQuery(whole.subarray(0, length)).kind,
      length < 12 ? 'none' : 'malformed',
      String(length),
    );
  const pointer = Buffer.concat([whole.subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])]);
  assert.equal(readQuery(pointer).kind, 'malformed');
  const long = query(Array.from({ length: 100 }, () => 'abc').join('.'), DNS_TYPE.a);
  assert.equal(readQuery(long).kind, 'malformed');
  for (let seed = 1; seed < 2000; seed += 1) {
    const bytes = Buffer.from(
      Array.from({ length: seed % 60 }, (_, n) => (seed * 31 + n * 17 * seed) & 0xff),
    );
    const read = readQuery(bytes);
    if (read.kind !== 'none') assert.ok(refusal(bytes, DNS_CODE.refused).length >= 12);
  }
});

test('an answer has the addresses of the family that was asked for', () => {
  const addresses = ['10.0.0.2', 'fd00::2', '10.0.0.3'].map(parseAddress);
  const v4 = query('db', DNS_TYPE.a);
  const answer = addressAnswer(v4, questionOf(v4), addresses);
  assert.equal(answer.subarray(0, 12).toString('hex'), 'abcd85800001000200000000');
  assert.deepEqual(answer.subarray(12, v4.length), v4.subarray(12));
  const record = 'c00c' + '0001' + '0001' + '00000005' + '0004';
  assert.equal(answer.subarray(v4.length).toString('hex'), `${record}0a000002${record}0a000003`);
  const v6 = query('db', DNS_TYPE.aaaa);
  assert.equal(addressAnswer(v6, questionOf(v6), addresses).readUInt16BE(6), 1);
  // A name that is there and has no mail server.
  const mail = query('db', 15);
  assert.equal(
    addressAnswer(mail, questionOf(mail), addresses).subarray(0, 8).toString('hex'),
    'abcd858000010000',
  );
  const many = Array.from({ length: 200 }, (_, n) => parseAddress(`10.0.1.${n}`));
  assert.ok(addressAnswer(v4, questionOf(v4), many).length <= 512);
});

test('addresses have names', () => {
  assert.equal(reverseAddress('2.30.20.10.in-addr.arpa'), '10.20.30.2');
  const nibbles = `${'2.'.padEnd(2)}${'0.'.repeat(27)}0.0.d.f.ip6.arpa`;
  assert.equal(reverseAddress(nibbles), 'fd00:0000:0000:0000:0000:0000:0000:0002');
  for (const name of ['db', '1.2.3.in-addr.arpa', 'x.ip6.arpa', ''])
    assert.equal(reverseAddress(name), undefined);
  const message = query('2.30.20.10.in-addr.arpa', DNS_TYPE.ptr);
  const named = nameAnswer(message, questionOf(message), 'web-1').toString('latin1');
  assert.ok(named.endsWith('\u0005web-1\0'));
});

test('over TCP messages have their length before them, in whatever pieces they come', () => {
  const [one, two] = [query('a', 1), query('b', 1)];
  const sent = Buffer.concat([withLength(one), withLength(two)]);
  for (let cut = 0; cut <= sent.length; cut += 1) {
    const first = takeMessages(sent.subarray(0, cut));
    const second = takeMessages(Buffer.concat([first.rest, sent.subarray(cut)]));
    assert.deepEqual([...first.messages, ...second.messages], [one, two]);
    assert.equal(second.rest.length, 0);
  }
});
