/** The device program, run in a small machine of the test's own, against the rules that it was made from. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  allowances,
  DEFAULT_DEVICE_RULES,
  type DeviceAllowance,
  deviceProgram,
  deviceRuleText,
} from '../../../server/cgroup/devices.ts';

interface Access {
  readonly type: 'b' | 'c';
  readonly access: string;
  readonly major: number;
  readonly minor: number;
}

const TYPE = { b: 1, c: 2 } as const;
const BIT: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const bitsOf = (access: string): number => [...access].reduce((bits, letter) => bits | (BIT[letter] ?? 0), 0);

/**
 * The instructions that device programs use, as linux/bpf.h and the kernel's documentation have them.
 * @returns r0 at exit.
 */
function runProgram(program: Buffer, context: Buffer): bigint {
  const registers = Array.from({ length: 11 }, () => 0n);
  const mask = 2n ** 64n - 1n;
  for (let pc = 0, steps = 0; ; pc++, steps++) {
    assert.ok(pc >= 0 && pc * 8 < program.length, 'it runs out of the program');
    assert.ok(steps < 10_000, 'it does not end');
    const at = pc * 8;
    const code = program.readUInt8(at);
    const dst = program.readUInt8(at + 1) & 0xf;
    const src = program.readUInt8(at + 1) >> 4;
    const offset = program.readInt16LE(at + 2);
    const immediate = BigInt(program.readInt32LE(at + 4));
    const unsigned = BigInt.asUintN(64, immediate);
    const value = registers[dst] ?? 0n;
    if (code === 0x61) registers[dst] = BigInt(context.readUInt32LE(offset));
    else if (code === 0xb7) registers[dst] = unsigned;
    else if (code === 0xbf) registers[dst] = registers[src] ?? 0n;
    else if (code === 0x57) registers[dst] = value & unsigned & mask;
    else if (code === 0x77) registers[dst] = value >> immediate;
    else if (code === 0x55) pc += value === unsigned ? 0 : offset;
    else if (code === 0x95) return registers[0] ?? 0n;
    else assert.fail(`unknown instruction ${code}`);
  }
}

function allows(program: Buffer, { type, access, major, minor }: Access): boolean {
  const context = Buffer.alloc(12);
  context.writeUInt32LE((bitsOf(access) << 16) | TYPE[type], 0);
  context.writeUInt32LE(major, 4);
  context.writeUInt32LE(minor, 8);
  return runProgram(program, context) === 1n;
}

/** What the rules say, without a program. */
const ruled = (rules: readonly DeviceAllowance[], wanted: Access): boolean =>
  rules.some(
    (rule) =>
      rule.type === wanted.type &&
      (rule.major === null || rule.major === wanted.major) &&
      (rule.minor === null || rule.minor === wanted.minor) &&
      [...wanted.access].every((letter) => rule.access.includes(letter)),
  );

const ACCESSES = ['r', 'w', 'm', 'rw', 'rm', 'wm', 'rwm'];
const NUMBERS = [0, 1, 2, 3, 5, 7, 8, 9, 10, 136, 200, 229, 255, 256, 4095, 0xfffff];

function assertSame(rules: readonly DeviceAllowance[]): void {
  const program = deviceProgram(rules);
  for (const type of ['b', 'c'] as const)
    for (const access of ACCESSES)
      for (const major of NUMBERS)
        for (const minor of NUMBERS) {
          const wanted = { type, access, major, minor };
          assert.equal(allows(program, wanted), ruled(rules, wanted), JSON.stringify({ rules, wanted }));
        }
}

test('the default program allows what the default rules do, and nothing else', () => {
  assertSame(DEFAULT_DEVICE_RULES);
});

test('a container may read null and make any node, and reach no disk, memory or fuse', () => {
  const program = deviceProgram(DEFAULT_DEVICE_RULES);
  const at = (type: 'b' | 'c', major: number, minor: number, access: string): boolean =>
    allows(program, { type, access, major, minor });
  assert.ok(at('c', 1, 3, 'rw') && at('c', 136, 7, 'rw') && at('b', 8, 0, 'm'));
  for (const [type, major, minor] of [
    ['b', 8, 0],
    ['c', 1, 1],
    ['c', 10, 229],
    ['c', 1, 2],
  ] as const)
    for (const access of ['r', 'w', 'rw', 'rwm'])
      assert.ok(!at(type, major, minor, access), `${type} ${major}:${minor}`);
});

test('no rules allow nothing', () => {
  assertSame([]);
});

test('any rules are what their program does', () => {
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T;
  for (let round = 0; round < 30; round++)
    assertSame(
      Array.from({ length: 1 + random(8) }, () => ({
        type: pick(['b', 'c'] as const),
        major: random(3) === 0 ? null : pick(NUMBERS),
        minor: random(3) === 0 ? null : pick(NUMBERS),
        access: pick(ACCESSES),
      })),
    );
});

test('rules are written as devices.allow takes them', () => {
  assert.deepEqual(DEFAULT_DEVICE_RULES.map(deviceRuleText).slice(0, 3), ['c *:* m', 'b *:* m', 'c 1:3 rwm']);
  assert.ok(DEFAULT_DEVICE_RULES.map(deviceRuleText).includes('c 136:* rwm'));
});

test('rules join the default ones in order, as the v1 controller has it', () => {
  const rule = (allow: boolean, access: string, major: number | null, minor: number | null) =>
    ({ allow, type: 'b', major, minor, access }) as const;
  const own = (...rules: Parameters<typeof allowances>[0]): string[] =>
    allowances(rules)
      .filter(({ type, major }) => type === 'b' && major !== null)
      .map(deviceRuleText);
  assert.deepEqual(allowances([]), DEFAULT_DEVICE_RULES);
  assert.deepEqual(own(rule(true, 'r', 7, 1), rule(true, 'w', 7, 1)), ['b 7:1 rw']);
  assert.deepEqual(own(rule(true, 'rwm', 7, 1), rule(false, 'w', 7, 1)), ['b 7:1 rm']);
  assert.deepEqual(own(rule(true, 'r', 7, 1), rule(true, 'r', 8, 1), rule(false, 'rwm', null, null)), []);
  assert.deepEqual(own(rule(true, 'rwm', 7, 1), rule(false, 'rw', 8, null)), ['b 7:1 rwm']);
  assert.throws(
    () => own(rule(true, 'r', 7, null), rule(false, 'r', 7, 1)),
    /it is an exception of b 7:\* r/,
  );
});
