/**
 * The devices that a container may use, as rules of cgroup v1 and as the program that cgroup v2 wants
 * instead. Everything that is not listed is denied.
 */

import { invalidArgument } from '../model/error.ts';
import type { DeviceRule } from '../model/resources.ts';

/** One allowance; `null` is any number. */
export interface DeviceAllowance {
  readonly type: 'c' | 'b';
  readonly major: number | null;
  readonly minor: number | null;
  /** Some of `rwm`: read, write, mknod. */
  readonly access: string;
}

const char = (major: number, minor: number | null, access = 'rwm'): DeviceAllowance => ({
  type: 'c',
  major,
  minor,
  access,
});

/**
 * What every container may use: making any node (useless without opening it), the six default devices of the
 * OCI runtime-spec, the console, pseudo terminals, and tun as the OCI runtimes have it.
 */
export const DEFAULT_DEVICE_RULES: readonly DeviceAllowance[] = [
  { type: 'c', major: null, minor: null, access: 'm' },
  { type: 'b', major: null, minor: null, access: 'm' },
  char(1, 3),
  char(1, 5),
  char(1, 7),
  char(1, 8),
  char(1, 9),
  char(5, 0),
  char(5, 1),
  char(5, 2),
  char(136, null),
  char(10, 200),
];

const covers = (wide: number | null, narrow: number | null): boolean => wide === null || wide === narrow;
const meet = (a: number | null, b: number | null): boolean => a === null || b === null || a === b;
const inOrder = (access: Iterable<string>): string =>
  [...'rwm'].filter((letter) => [...access].includes(letter)).join('');

/**
 * What is allowed after rules have been applied in order to the default ones: a list of allowances, which is what the
 * v1 controller keeps too, so that both hierarchies do the same.
 * @throws MydockerError `invalid-argument` for a prohibition inside of a wider allowance, which no such list can say.
 */
export function allowances(rules: readonly DeviceRule[]): readonly DeviceAllowance[] {
  let list = [...DEFAULT_DEVICE_RULES];
  for (const { allow, ...rule } of rules) {
    const same = (other: DeviceAllowance): boolean =>
      other.type === rule.type && other.major === rule.major && other.minor === rule.minor;
    if (allow) {
      const access = inOrder([...rule.access, ...(list.find(same)?.access ?? '')]);
      list = [...list.filter((other) => !same(other)), { ...rule, access }];
      continue;
    }
    list = list.flatMap((other) => {
      const forbids = [...rule.access].some((letter) => other.access.includes(letter));
      if (other.type !== rule.type || !forbids) return [other];
      if (!meet(rule.major, other.major) || !meet(rule.minor, other.minor)) return [other];
      if (!covers(rule.major, other.major) || !covers(rule.minor, other.minor))
        throw invalidArgument(
          `invalid device rule ${deviceRuleText(rule)}: it is an exception of ${deviceRuleText(other)}`,
          { reason: 'CONFIG_INVALID', hint: 'allow what is needed instead' },
        );
      const access = inOrder([...other.access].filter((letter) => !rule.access.includes(letter)));
      return access === '' ? [] : [{ ...other, access }];
    });
  }
  return list;
}

/** `c 136:* rwm`, as devices.allow takes it. */
export function deviceRuleText(rule: DeviceAllowance): string {
  return `${rule.type} ${rule.major ?? '*'}:${rule.minor ?? '*'} ${rule.access}`;
}

const INSTRUCTION_BYTES = 8;
/** linux/bpf.h: access type of the device in the context's first word, major and minor behind it. */
const CONTEXT = { access: 0, major: 4, minor: 8 } as const;
const ACCESS_BIT: Record<string, number> = { m: 1, r: 2, w: 4 };
const TYPE_VALUE = { b: 1, c: 2 } as const;
/** Registers: r1 context, r2 type, r3 access, r4 major, r5 minor, r6 scratch, r0 result. */
const OP = {
  loadWord: 0x61,
  moveImm: 0xb7,
  moveReg: 0xbf,
  andImm: 0x57,
  rightImm: 0x77,
  jumpNotEqual: 0x55,
  exit: 0x95,
};

function instruction(code: number, dst: number, src: number, offset: number, immediate: number): Buffer {
  const bytes = Buffer.alloc(INSTRUCTION_BYTES);
  bytes.writeUInt8(code, 0);
  bytes.writeUInt8((src << 4) | dst, 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}

/** One rule: each test jumps over the rest of the rule when it fails; what passes all is allowed. */
function ruleInstructions(rule: DeviceAllowance): Buffer[] {
  const denied = [...'rwm'].filter((letter) => !rule.access.includes(letter));
  const mask = denied.reduce((bits, letter) => bits | (ACCESS_BIT[letter] ?? 0), 0);
  const steps: ((toEnd: number) => Buffer)[] = [
    (toEnd) => instruction(OP.jumpNotEqual, 2, 0, toEnd, TYPE_VALUE[rule.type]),
  ];
  if (mask !== 0)
    steps.push(
      () => instruction(OP.moveReg, 6, 3, 0, 0),
      () => instruction(OP.andImm, 6, 0, 0, mask),
      (toEnd) => instruction(OP.jumpNotEqual, 6, 0, toEnd, 0),
    );
  const { major, minor } = rule;
  if (major !== null) steps.push((toEnd) => instruction(OP.jumpNotEqual, 4, 0, toEnd, major));
  if (minor !== null) steps.push((toEnd) => instruction(OP.jumpNotEqual, 5, 0, toEnd, minor));
  steps.push(
    () => instruction(OP.moveImm, 0, 0, 0, 1),
    () => instruction(OP.exit, 0, 0, 0, 0),
  );
  return steps.map((step, index) => step(steps.length - 1 - index));
}

/**
 * The program for BPF_CGROUP_DEVICE: returns 1 to allow.
 * Source: linux/bpf.h, struct bpf_cgroup_dev_ctx: access_type is (access << 16) | type.
 */
export function deviceProgram(rules: readonly DeviceAllowance[]): Buffer {
  const head = [
    instruction(OP.loadWord, 2, 1, CONTEXT.access, 0),
    instruction(OP.moveReg, 3, 2, 0, 0),
    instruction(OP.andImm, 2, 0, 0, 0xffff),
    instruction(OP.rightImm, 3, 0, 0, 16),
    instruction(OP.loadWord, 4, 1, CONTEXT.major, 0),
    instruction(OP.loadWord, 5, 1, CONTEXT.minor, 0),
  ];
  const deny = [instruction(OP.moveImm, 0, 0, 0, 0), instruction(OP.exit, 0, 0, 0, 0)];
  return Buffer.concat([...head, ...rules.flatMap(ruleInstructions), ...deny]);
}
