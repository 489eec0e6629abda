/**
 * Jobs of systemd as this server waits for them. The other end is a socket that answers as systemd does; that systemd
 * answers so is shown by test/vm/systemd.test.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { BusValue } from '../../../server/model/unit.ts';
import { decodeBody, encodeBody } from '../../../server/systemd/bus-codec.ts';
import { type BusMessage, decodeMessage, messageLength } from '../../../server/systemd/bus-message.ts';
import { createUnits, type Units } from '../../../server/systemd/units.ts';

type Send = (
  type: number,
  fields: readonly (readonly [number, string, BusValue])[],
  signature: string,
  body: readonly BusValue[],
) => void;

/** What one end says to a call; the connection is closed after `'hang up'`. */
type Answer = (call: BusMessage, body: readonly BusValue[], say: Saying) => void;
interface Saying {
  readonly reply: (signature: string, ...body: BusValue[]) => void;
  readonly refuse: (name: string, why: string) => void;
  readonly jobRemoved: (job: string, unit: string, result: string) => void;
  readonly hangUp: () => void;
}

const REPLY = 2;
const ERROR = 3;
const SIGNAL = 4;

function sayings(socket: Socket, call: BusMessage): Saying {
  const send: Send = (type, fields, signature, body) => {
    const values = encodeBody(signature, body);
    const all = [...fields, ...(signature === '' ? [] : [[8, 'g', signature] as const])];
    const head = encodeBody('yyyyuua(yv)', [
      ...[108, type, 1, 1, values.length, 77],
      all.map(([field, of, value]) => [field, { signature: of, value }]),
    ]);
    socket.write(Buffer.concat([head, Buffer.alloc(-head.length & 7), values]));
  };
  const manager = 'org.freedesktop.systemd1.Manager';
  return {
    reply: (signature, ...body) => send(REPLY, [[5, 'u', call.serial]], signature, body),
    refuse: (name, why) =>
      send(
        ERROR,
        [
          [5, 'u', call.serial],
          [4, 's', `org.freedesktop.systemd1.${name}`],
        ],
        's',
        [why],
      ),
    jobRemoved: (job, unit, result) =>
      send(
        SIGNAL,
        [
          [1, 'o', '/org/freedesktop/systemd1'],
          [2, 's', manager],
          [3, 's', 'JobRemoved'],
        ],
        'uoss',
        [1, job, unit, result],
      ),
    hangUp: () => void socket.destroy(),
  };
}

/** @returns units of an end that answers so, and the members that it was asked for. */
async function against(t: TestContext, answer: Answer): Promise<{ units: Units; asked: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-units-'));
  const path = join(folder, 'private');
  const asked: string[] = [];
  const server = createServer((socket) => {
    let pending = Buffer.alloc(0);
    let greeted = false;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      if (!greeted) {
        const begin = pending.indexOf('BEGIN\r\n');
        if (begin < 0) {
          assert.match(pending.toString('latin1'), /^\0AUTH EXTERNAL [0-9a-f]+\r\n$/);
          socket.write('OK 0123456789abcdef0123456789abcdef\r\n');
          return;
        }
        greeted = true;
        pending = pending.subarray(begin + 7);
      }
      for (
        let length = messageLength(pending);
        length !== undefined && length <= pending.length;
        length = messageLength(pending)
      ) {
        const call = decodeMessage(pending.subarray(0, length));
        pending = pending.subarray(length);
        const say = sayings(socket, call);
        if (call.member === 'Subscribe') say.reply('');
        else {
          asked.push(call.member);
          answer(call, decodeBody(call.signature, call.bodyBytes), say);
        }
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const units = createUnits([{ path, isBus: false }]);
  t.after(() => {
    units.close();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { units, asked };
}

const JOB = '/org/freedesktop/systemd1/job/7';
const PROPERTIES = [{ name: 'PIDs', signature: 'au', value: [42] }];

test('a scope is there when its job is done, told before or after the answer', async (t) => {
  for (const first of ['reply', 'signal']) {
    const { units } = await against(t, (_, body, say) => {
      assert.deepEqual(body, ['x.scope', 'replace', [['PIDs', { signature: 'au', value: [42] }]], []]);
      if (first === 'signal') say.jobRemoved(JOB, 'x.scope', 'done');
      say.reply('o', JOB);
      // Another unit's.
      say.jobRemoved('/org/freedesktop/systemd1/job/8', 'y.scope', 'failed');
      if (first === 'reply') say.jobRemoved(JOB, 'x.scope', 'done');
    });
    await units.startScope('x.scope', PROPERTIES);
  }
});

test('a namesake that has not gone is stopped, and the scope made again', async (t) => {
  let isThere = true;
  const { units, asked } = await against(t, ({ member }, _, say) => {
    if (member === 'StartTransientUnit' && isThere) {
      say.refuse('UnitExists', 'Unit x.scope was already loaded');
      return;
    }
    if (member === 'ResetFailedUnit') {
      say.refuse('NoSuchUnit', 'Unit x.scope not loaded');
      return;
    }
    isThere = false;
    say.reply('o', JOB);
    say.jobRemoved(JOB, 'x.scope', 'done');
  });
  await units.startScope('x.scope', PROPERTIES);
  assert.deepEqual(asked, ['StartTransientUnit', 'StopUnit', 'ResetFailedUnit', 'StartTransientUnit']);
});

test('what systemd refuses is said in its words', async (t) => {
  const { units } = await against(t, ({ member }, _, say) => {
    if (member === 'StartTransientUnit') {
      say.reply('o', JOB);
      say.jobRemoved(JOB, 'x.scope', 'failed');
    } else say.refuse('PropertyReadOnly', 'Cannot set property Slice');
  });
  await assert.rejects(units.startScope('x.scope', PROPERTIES), {
    ...{ code: 'failed-precondition', reason: 'UNIT_REFUSED' },
    message: 'cannot start unit x.scope: systemd says the job ended as failed',
  });
  await assert.rejects(units.setProperties('x.scope', PROPERTIES), {
    message: 'cannot change unit x.scope: systemd says Cannot set property Slice',
  });
});

test('a unit that is gone needs no end and no change', async (t) => {
  const { units } = await against(t, (_, __, say) => say.refuse('NoSuchUnit', 'Unit x.scope not loaded'));
  await units.stop('x.scope');
  await units.setProperties('x.scope', PROPERTIES);
});

test('a connection that breaks fails what waits, and the next call makes a new one', async (t) => {
  let calls = 0;
  const { units } = await against(t, (_, __, say) => {
    calls += 1;
    if (calls === 1) say.hangUp();
    else say.reply('');
  });
  await assert.rejects(units.setProperties('x.scope', PROPERTIES), {
    ...{ code: 'unavailable', reason: 'SYSTEMD_UNREACHABLE' },
  });
  await units.setProperties('x.scope', PROPERTIES);
});

test('without systemd it is said where it was looked for', async () => {
  const units = createUnits([{ path: '/nonexistent/bus', isBus: true }]);
  await assert.rejects(units.stop('x.scope'), {
    ...{ code: 'unavailable', reason: 'SYSTEMD_UNREACHABLE' },
    message: 'cannot reach systemd: there is no /nonexistent/bus',
  });
});

test('a real bus understands what is said, and says that systemd is not there', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-bus-'));
  const path = join(folder, 'bus');
  const daemon = spawn(
    'dbus-daemon',
    ['--session', '--nofork', '--print-address', `--address=unix:path=${path}`],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  t.after(() => {
    daemon.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  // It says where it is when it listens.
  await once(daemon.stdout, 'data');
  const units = createUnits([{ path, isBus: true }]);
  t.after(() => units.close());
  await assert.rejects(units.stop('x.scope'), {
    code: 'unavailable',
    // Nobody provides it, or somebody tries to and cannot.
    message: /^cannot reach systemd: .*org\.freedesktop\.systemd1/,
  });
});
