/** Users, signals, sizes and the task's states: strict readings, table by table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TaskStatus } from '../../../server/model/container.ts';
import { parseSignal, signalName } from '../../../server/model/signal.ts';
import { parseSize } from '../../../server/model/size.ts';
import { nextStatus, type TaskEvent, transition } from '../../../server/model/task-state.ts';
import { MAX_USER_FILE_BYTES, parseUserSpec, resolveUser } from '../../../server/model/user-spec.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const PASSWD = bytes(
  [
    'root:x:0:0:root:/root:/bin/sh',
    'app:x:1000:1001:App:/home/app:/bin/sh',
    '1000:x:0:0:trap:/:/bin/sh',
    '99999999999:x:0:0::/:/bin/sh',
    'huge:x:4294967296:0::/:',
    'neg:x:-1:0::/:',
    'blank:x:::::',
    'short',
    'nohome:x:1500:1500:::',
    '',
  ].join('\n'),
);
const GROUP = bytes('root:x:0:\nadm:x:4:app,other\nwheel:x:10:app\nbad:x:x:app\napp:x:1001:app\n');
const run = (text: string): ReturnType<typeof resolveUser> => resolveUser(parseUserSpec(text), PASSWD, GROUP);

test('user specs resolve as a Docker user expects', () => {
  assert.deepEqual(run(''), { uid: 0, gid: 0, groups: [0], home: '/root' });
  assert.deepEqual(run('app'), { uid: 1000, gid: 1001, groups: [1001, 4, 10], home: '/home/app' });
  assert.deepEqual(run('1000'), { uid: 1000, gid: 1001, groups: [1001, 4, 10], home: '/home/app' });
  assert.deepEqual(run('1000:1001'), { uid: 1000, gid: 1001, groups: [1001], home: '/home/app' });
  assert.deepEqual(run('app:adm'), { uid: 1000, gid: 4, groups: [4], home: '/home/app' });
  assert.deepEqual(run('1234'), { uid: 1234, gid: 0, groups: [0], home: '/' });
  assert.deepEqual(run('1234:wheel'), { uid: 1234, gid: 10, groups: [10], home: '/' });
  assert.deepEqual(run('nohome'), { uid: 1500, gid: 1500, groups: [1500], home: '/' });
  assert.deepEqual(run('2147483647:2147483647').uid, 2_147_483_647);
  assert.deepEqual(resolveUser({}, undefined, undefined), { uid: 0, gid: 0, groups: [0], home: '/' });
});

test('a number is never a name, and what cannot be read is never root', () => {
  const bad = [
    ':2',
    '1:',
    ':',
    '0x1',
    '0X0',
    '01',
    '00',
    '-1',
    '+1',
    ' 1',
    '1 ',
    '1e3',
    '1:2:3',
    'a:b:c',
    '1,2',
    'a b',
    'a/b',
  ];
  const large = [
    '2147483648',
    '4294967295',
    '4294967296',
    '4294967295:0',
    '1:4294967296',
    '99999999999',
    '9'.repeat(400),
  ];
  for (const text of [...bad, ...large, 'app\n', 'é', '-rf', 'a'.repeat(300)]) {
    assert.throws(() => run(text), { code: 'invalid-argument' }, JSON.stringify(text));
  }
});

test('names that the image does not have, or has only on lines that cannot be read, are refused', () => {
  for (const text of ['nobody', 'huge', 'neg', 'blank', 'short', 'app:nogroup', 'app:bad', 'APP']) {
    assert.throws(() => run(text), { code: 'invalid-argument' }, text);
  }
  assert.throws(
    () => resolveUser(parseUserSpec('app'), undefined, undefined),
    /passwd of the image does not have it/,
  );
});

test('hostile user files cost little and are bounded', () => {
  assert.throws(() => resolveUser({}, new Uint8Array(MAX_USER_FILE_BYTES + 1), undefined), {
    code: 'invalid-argument',
  });
  const started = performance.now();
  const colons = new Uint8Array(MAX_USER_FILE_BYTES).fill(58);
  assert.equal(resolveUser({}, colons, colons).uid, 0);
  assert.equal(resolveUser({}, new Uint8Array(MAX_USER_FILE_BYTES).fill(10), undefined).uid, 0);
  const many = bytes(Array.from({ length: 100_000 }, (_, i) => `g${i}:x:${i + 5000}:app`).join('\n'));
  assert.throws(() => resolveUser(parseUserSpec('app'), PASSWD, many), { reason: 'TOO_MANY_GROUPS' });
  const most = bytes(Array.from({ length: 65_535 }, (_, i) => `g${i}:x:${i + 5000}:app`).join('\n'));
  assert.equal(resolveUser(parseUserSpec('app'), PASSWD, most).groups.length, 65_536);
  assert.ok(performance.now() - started < 5_000);
});

test('signals by name, number and real-time offset', () => {
  const good: readonly [string, number][] = [
    ['TERM', 15],
    ['SIGTERM', 15],
    ['sigterm', 15],
    ['15', 15],
    ['1', 1],
    ['64', 64],
    ['KILL', 9],
    ['RTMIN', 34],
    ['SIGRTMIN+3', 37],
    ['RTMAX-2', 62],
    ['RTMAX', 64],
    ['IOT', 6],
    ['POLL', 29],
    ['SYS', 31],
  ];
  for (const [text, number] of good) assert.equal(parseSignal(text), number, text);
  const bad = [
    '',
    '0',
    '65',
    '-1',
    '015',
    '1.5',
    '9 ',
    'SIG',
    'SIG9',
    'SIG99',
    'SIGSIGTERM',
    'RTMIN+31',
    'RTMIN-1',
    'RTMAX+1',
    'NOPE',
    'TERM\n',
  ];
  for (const text of bad) assert.throws(() => parseSignal(text), { code: 'invalid-argument' }, text);
});

test('every signal name reads back as its number', () => {
  for (let number = 1; number <= 64; number += 1) {
    if (number !== 32 && number !== 33) assert.equal(parseSignal(signalName(number)), number);
  }
  assert.equal(signalName(33), 'SIG33');
});

test('sizes are exact', () => {
  const good: readonly [string, bigint][] = [
    ['0', 0n],
    ['1', 1n],
    ['6b', 6n],
    ['512k', 524_288n],
    ['100m', 104_857_600n],
    ['1G', 1_073_741_824n],
    ['1.5g', 1_610_612_736n],
    ['100MB', 104_857_600n],
    ['1GiB', 1_073_741_824n],
    ['-1', -1n],
    ['0.5k', 512n],
    ['9223372036854775807', 9_223_372_036_854_775_807n],
  ];
  for (const [text, size] of good) assert.equal(parseSize(text), size, text);
  const bad = [
    '',
    '-2',
    '-1g',
    '+1',
    '1t',
    '1 g',
    ' 1',
    '1e3',
    '0x10',
    'g',
    '.5g',
    '1.g',
    '1.5',
    '1.5b',
    '1ib',
    '1gg',
    'NaN',
    'Infinity',
    '1_000',
    '9223372036854775808',
    '8589934592g',
    '٣',
  ];
  for (const text of bad) assert.throws(() => parseSize(text), { code: 'invalid-argument' }, text);
});

test('the state table, every cell', () => {
  const statuses: TaskStatus[] = ['created', 'starting', 'running', 'paused', 'stopped'];
  const events: TaskEvent[] = ['start', 'run', 'pause', 'resume', 'exit', 'delete'];
  const table = {
    created: ['starting', undefined, undefined, undefined, undefined, 'deleted'],
    starting: [undefined, 'running', undefined, undefined, 'stopped', undefined],
    running: [undefined, undefined, 'paused', undefined, 'stopped', undefined],
    paused: [undefined, undefined, undefined, 'running', 'stopped', undefined],
    stopped: ['starting', undefined, undefined, undefined, undefined, 'deleted'],
  };
  for (const status of statuses) {
    assert.deepEqual(
      events.map((event) => nextStatus(status, event)),
      table[status],
      status,
    );
  }
  assert.equal(transition('created', 'start', 'web'), 'starting');
  assert.throws(() => transition('running', 'delete', 'web'), /cannot remove container web: it is running/);
  assert.throws(
    () => transition('running', 'start', 'web'),
    /cannot start container web: it is already running/,
  );
  assert.throws(() => transition('paused', 'start', 'web'), {
    message: 'cannot start container web: it is paused',
    hint: 'mydocker unpause web',
  });
  assert.throws(
    () => transition('paused', 'pause', 'web'),
    /cannot pause container web: it is already paused/,
  );
  assert.throws(() => transition('created', 'resume', 'web'), /cannot unpause container web: it is created/);
});
