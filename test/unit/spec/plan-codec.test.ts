import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import {
  OP_NAMES,
  type Op,
  type Plan,
  SECTIONS,
  type Section,
  SLOT_COUNT,
} from '../../../server/model/plan.ts';
import { encodePlan, PLAN_MAX_BYTES } from '../../../server/spec/plan-codec.ts';
import { type ReadPlan, readPlans } from './plan-oracle.ts';
import { allPlans, execPlan, launchPlan } from './sample-plans.ts';

const NO_SLOT = 0xffff;
const HEADER_BYTES = 96;
const OP_BYTES = 56;
const EINVAL = -22;
const EPROTO = -71;

/** Texts that are no texts: bytes as they are. */
const RAW: Partial<Record<Op['name'], string>> = {
  write: 's2',
  'write-slot': 's2',
  groups: 's1',
  seccomp: 's1',
  netlink: 's1',
};

function hexOf(op: Op, field: 's1' | 's2' | 's3'): string {
  const value = op[field];
  if (value === undefined) return '';
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (typeof value !== 'string')
    return Buffer.from(value.map((text) => `${text}\0`).join('')).toString('hex');
  return Buffer.from(RAW[op.name] === field ? value : `${value}\0`).toString('hex');
}

const unsigned = (value: Op['x']): bigint => BigInt.asUintN(64, BigInt(value ?? 0));

/** What C must read of a plan. */
function expected(plan: Plan): ReadPlan {
  const ops = SECTIONS.flatMap((section) => plan.sections[section]);
  let end = 0;
  const ends = SECTIONS.map((section) => (end += plan.sections[section].length));
  const { hold } = plan;
  const flags =
    (hold === undefined ? 0 : 1) |
    (hold?.terminal === true ? 2 : 0) |
    (hold?.backpressure === true ? 4 : 0) |
    (plan.parks === true ? 8 : 0);
  const slots = [
    ...[plan.cgroup, hold?.runFolder, hold?.logFolder, hold?.stdin, hold?.stdout, hold?.stderr],
    ...[plan.gate, hold?.keep, hold?.attach],
  ];
  return {
    header: [
      ...[flags, ...ends].map(BigInt),
      plan.cloneFlags,
      ...slots.map((slot) => BigInt(slot ?? NO_SLOT)),
      ...[hold?.logSerial ?? 0, hold?.logMaxFiles ?? 0, hold?.logMaxBytes ?? 0n].map(BigInt),
    ],
    head: Buffer.from(`${plan.head}\0`).toString('hex'),
    title: Buffer.from(`${plan.title}\0`).toString('hex'),
    ops: ops.map((op) => ({
      code: OP_NAMES.indexOf(op.name) + 1,
      flags: (op.existsOk === true ? 1 : 0) | (op.ignoreErrors === true ? 2 : 0),
      a: op.a ?? NO_SLOT,
      b: op.b ?? NO_SLOT,
      texts: [hexOf(op, 's1'), hexOf(op, 's2'), hexOf(op, 's3')],
      numbers:
        op.name === 'exec'
          ? [BigInt(op.s1?.length ?? 0), BigInt(op.s2?.length ?? 0), BigInt(op.s3?.length ?? 0)]
          : [unsigned(op.x), unsigned(op.y), unsigned(op.z)],
    })),
  };
}

test('the shim reads every kind of plan as it was written', () => {
  const plans = [...allPlans()];
  const read = readPlans(plans.map(([, plan]) => encodePlan(plan)));
  for (const [index, [kind, plan]] of plans.entries()) assert.deepEqual(read[index], expected(plan), kind);
});

test('the shim reads any text and any list', () => {
  const words = [
    '',
    ' ',
    '\n',
    'ü',
    '日本語',
    '🐳',
    '\u{10ffff}',
    'x'.repeat(100_000),
    'A=\n=',
    '/'.repeat(4096),
  ];
  const lists = [[], [''], ['', ''], words, Array.from({ length: 20_000 }, (_, i) => `K${i}=${i}`)];
  const plans = lists.map((list) =>
    execPlan({ args: ['/bin/x', ...list], env: list.map((text, i) => `E${i}=${text}`) }),
  );
  const read = readPlans(plans.map((plan) => encodePlan(plan)));
  for (const [index, plan] of plans.entries()) assert.deepEqual(read[index], expected(plan));
});

const withChild = (op: Op): Plan => ({
  cloneFlags: 0n,
  head: '',
  title: '',
  sections: { 'parent-before': [], 'parent-after': [], child: [op], 'after-exit': [] },
});

test('numbers are 64 bits without a sign', () => {
  const numbers = [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n];
  const plans = numbers.map((x) => withChild({ name: 'rlimit', x, y: x, z: x, about: '' }));
  const read = readPlans(plans.map((plan) => encodePlan(plan)));
  for (const [index, plan] of plans.entries()) assert.deepEqual(read[index], expected(plan));
});

test('a text with a NUL is refused and never cut', () => {
  for (const op of [
    { name: 'hostname', s1: 'a\0b' },
    { name: 'mount', a: 1, s1: 'a', s2: 'b', s3: 'c\0' },
    { name: 'exec', s1: ['/x'], s2: ['x', 'y\0z'], s3: [] },
    { name: 'exec', s1: ['/x'], s2: ['x'], s3: ['A=\0'] },
    { name: 'symlink-in-root', b: 1, s1: '', s2: 'x', s3: '\0' },
  ] as const)
    assert.throws(() => encodePlan(withChild({ ...op, about: 'set it' })), /set it: .*NUL/);
  for (const part of [{ head: 'a\0' }, { title: '\0b' }])
    assert.throws(() => encodePlan({ ...launchPlan(), ...part }), RangeError);
});

test('bytes may hold anything', () => {
  const bytes = randomBytes(1000);
  const plan = withChild({ name: 'write', s1: '/x', s2: bytes, about: '' });
  assert.deepEqual(readPlans([encodePlan(plan)])[0], expected(plan));
  const text = withChild({ name: 'write', s1: '/x', s2: 'a\0b', about: '' });
  assert.deepEqual(readPlans([encodePlan(text)])[0], expected(text));
});

test('slots that do not exist are refused', () => {
  for (const a of [-1, SLOT_COUNT, NO_SLOT, 0.5, Number.NaN])
    assert.throws(() => encodePlan(withChild({ name: 'fchdir', a, about: '' })), RangeError);
  for (const a of [0, SLOT_COUNT - 1]) encodePlan(withChild({ name: 'fchdir', a, about: '' }));
});

test('a plan that is too large is refused and never cut', () => {
  const fits = withChild({
    name: 'hostname',
    s1: 'x'.repeat(PLAN_MAX_BYTES - HEADER_BYTES - OP_BYTES - 2),
    about: '',
  });
  // Head and title are the same empty text and stand there once.
  assert.equal(encodePlan(fits).length, PLAN_MAX_BYTES);
  assert.equal(typeof readPlans([encodePlan(fits)])[0], 'object');
  assert.throws(() => encodePlan(execPlan({ args: ['x', 'y'.repeat(PLAN_MAX_BYTES)] })), /too long/);
});

/** A plan with bytes changed behind TypeScript's back. */
function patched(plan: Plan, at: number, ...bytes: number[]): Buffer {
  const out = Buffer.from(encodePlan(plan));
  Buffer.from(bytes).copy(out, at);
  return out;
}
const opAt = (plan: Plan, name: Op['name']): number =>
  HEADER_BYTES +
  OP_BYTES * SECTIONS.flatMap((section) => plan.sections[section]).findIndex((op) => op.name === name);

test('the shim refuses what is not a plan', () => {
  const plan = launchPlan();
  const whole = encodePlan(plan);
  const max = [0xff, 0xff, 0xff, 0xff];
  const cases: [what: string, bytes: Buffer, errno: number][] = [
    ['nothing', Buffer.alloc(0), EINVAL],
    ['a wrong magic', patched(plan, 0, 0), EPROTO],
    ['a wrong version', patched(plan, 4, 2), EPROTO],
    ['unknown flags', patched(plan, 6, 16), EINVAL],
    ['a launcher that has something done before it', patched(plan, 6, 8), EINVAL],
    ['a size that is not its own', patched(plan, 8, 0), EINVAL],
    ['more operations than bytes', patched(plan, 12, ...max), EINVAL],
    ['a section that ends before it begins', patched(plan, 20, 0, 0, 0, 0), EINVAL],
    ['a section that ends behind the last operation', patched(plan, 28, ...max), EINVAL],
    ['operations behind the last section', patched(plan, 28, 0), EINVAL],
    ['a run slot that does not exist', patched(plan, 42, 200, 0), EINVAL],
    ['no run slot though it is held', patched(plan, 42, 0xff, 0xff), EINVAL],
    ['a head that stands outside', patched(plan, 80, ...max), EINVAL],
    ['a head among the operations', patched(plan, 80, 96, 0, 0, 0), EINVAL],
    ['a title without its end', patched(plan, 92, 3), EINVAL],
    ['an unknown operation', patched(plan, opAt(plan, 'umask'), 200), EINVAL],
    ['operation 0', patched(plan, opAt(plan, 'umask'), 0), EINVAL],
    ['unknown flags of an operation', patched(plan, opAt(plan, 'umask') + 2, 4), EINVAL],
    ['a slot that does not exist', patched(plan, opAt(plan, 'fchdir') + 4, 192, 0), EINVAL],
    ['a missing slot', patched(plan, opAt(plan, 'fchdir') + 4, 0xff, 0xff), EINVAL],
    ['a text that stands outside', patched(plan, opAt(plan, 'hostname') + 8, ...max), EINVAL],
    ['a text that ends outside', patched(plan, opAt(plan, 'hostname') + 12, ...max), EINVAL],
    ['a text of no length', patched(plan, opAt(plan, 'hostname') + 12, 0, 0, 0, 0), EINVAL],
    ['a text where none belongs', patched(plan, opAt(plan, 'umask') + 12, 1), EINVAL],
    ['more arguments than there are', patched(plan, opAt(plan, 'exec') + 40, 9), EINVAL],
    ['descriptors above 9', patched(plan, opAt(plan, 'dup') + 32, 10), EINVAL],
    ['groups of three bytes', patched(plan, opAt(plan, 'groups') + 12, 3), EINVAL],
    ['a message without a header', patched(plan, opAt(plan, 'netlink') + 12, 15), EINVAL],
  ];
  const read = readPlans(cases.map(([, bytes]) => bytes));
  for (const [index, [what, , errno]] of cases.entries()) assert.equal(read[index], errno, what);
  assert.equal(typeof readPlans([whole])[0], 'object');
});

test('the shim patches no descriptor behind the end of a message', () => {
  const s1 = new Uint8Array(32);
  const plan = (x: bigint): Buffer => encodePlan(withChild({ name: 'netlink', a: 0, s1, x, about: '' }));
  const cases: [bigint, boolean][] = [
    [0n, true],
    [28n, true],
    [29n, false],
    [32n, false],
    [2n ** 32n, false],
    [2n ** 64n - 4n, false],
    [2n ** 64n - 1n, false],
  ];
  const read = readPlans(cases.map(([x]) => plan(x)));
  for (const [index, [x, ok]] of cases.entries())
    assert.equal(typeof read[index] === 'object', ok, `offset ${x}`);
});

test('the shim patches no index behind the end of a message, and names no interface without an end', () => {
  const s1 = new Uint8Array(32);
  const op = (y: bigint): Op => ({ name: 'netlink', s1, s2: 'eth0', x: 99, y, about: '' });
  const cases = [0n, 28n, 29n, 2n ** 32n, 2n ** 64n - 1n];
  const read = readPlans(cases.map((y) => encodePlan(withChild(op(y)))));
  assert.deepEqual(
    read.map((plan) => typeof plan === 'object'),
    [true, true, false, false, false],
  );
  const plan = withChild(op(0n));
  assert.deepEqual(readPlans([patched(plan, opAt(plan, 'netlink') + 20, 4)]), [EINVAL]);
});

test('the shim refuses filters that the kernel would not read', () => {
  const filter = (bytes: number): Buffer =>
    encodePlan(withChild({ name: 'seccomp', s1: new Uint8Array(bytes), about: '' }));
  const read = readPlans([8, 8 * 4096, 7, 12, 8 * 4097].map(filter));
  assert.deepEqual(
    read.map((result) => typeof result),
    ['object', 'object', 'number', 'number', 'number'],
  );
});

test('no operation is accepted in a section it does not belong to', () => {
  const plans = [...allPlans().values()];
  const belongs = new Map<Op['name'], Set<Section>>();
  for (const plan of plans)
    for (const section of SECTIONS)
      for (const op of plan.sections[section])
        belongs.set(op.name, (belongs.get(op.name) ?? new Set()).add(section));
  const onlyChild = [...belongs].filter(([, sections]) => sections.size === 1 && sections.has('child'));
  assert.ok(onlyChild.length > 15);
  const ops = plans
    .flatMap((plan) => plan.sections.child)
    .filter(({ name }) => onlyChild.some(([n]) => n === name));
  // What mounts, joins or execs may run in no other process than the child, or the shim would be changed.
  const MAY_BE_ELSEWHERE = ['open-in-root', 'write-slot', 'ask', 'open', 'mkdir'];
  const cases = ops
    .filter(({ name }) => !MAY_BE_ELSEWHERE.includes(name))
    .flatMap((op) =>
      (['parent-before', 'parent-after', 'after-exit'] as const).map((section) => {
        const sections = {
          'parent-before': [],
          'parent-after': [],
          child: [],
          'after-exit': [],
          [section]: [op],
        };
        return { op, section, bytes: encodePlan({ ...withChild(op), sections }) };
      }),
    );
  const read = readPlans(cases.map(({ bytes }) => bytes));
  for (const [index, { op, section }] of cases.entries())
    assert.equal(read[index], EINVAL, `${op.name} in ${section}`);
});

test('no part of a plan is a plan, and no changed byte does harm', () => {
  const bytes = encodePlan(execPlan());
  const prefixes = Array.from({ length: bytes.length }, (_, length) => bytes.subarray(0, length));
  for (const result of readPlans(prefixes)) assert.equal(typeof result, 'number');
  const changed = Array.from({ length: bytes.length }, (_, at) =>
    [0x00, 0xff, (bytes[at] ?? 0) ^ 0x01, (bytes[at] ?? 0) ^ 0x80].map((byte) => {
      const copy = Buffer.from(bytes);
      copy[at] = byte;
      return copy;
    }),
  ).flat();
  assert.equal(readPlans(changed).length, changed.length);
});
