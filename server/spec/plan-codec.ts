/**
 * Writes a launch plan as the bytes that the shim executes. shim/plan.h is the other owner of this format
 * and draws it; both change together, with the version.
 */
import { OP_NAMES, type Op, type Plan, SECTIONS, SLOT_COUNT, type Slot } from '../model/plan.ts';

export const PLAN_MAGIC = 0x4e4c504d;
export const PLAN_VERSION = 1;
export const PLAN_MAX_BYTES: number = 4 << 20;
const HEADER_BYTES = 96;
const OP_BYTES = 56;
const NO_SLOT = 0xffff;
const FLAG = { existsOk: 1, ignoreErrors: 2 } as const;
const PLAN_FLAG = { hold: 1, terminal: 2, backpressure: 4 } as const;

/** Fields that are lists of strings count them in the number of the same rank. */
const LIST_OP = 'exec';
/** Fields that are bytes: no NUL is put behind them. Everything else is text. */
const BYTES: Partial<Record<Op['name'], 's1' | 's2'>> = {
  write: 's2',
  'write-slot': 's2',
  groups: 's1',
  seccomp: 's1',
  netlink: 's1',
};
/** Operations whose text fields are always present, be they empty. */
const TEXTS: Partial<Record<Op['name'], readonly ('s1' | 's2' | 's3')[]>> = {
  mount: ['s1', 's2', 's3'],
  'open-in-root': ['s1'],
};

const opCodes = new Map(OP_NAMES.map((name, index) => [name, index + 1]));

function fieldBytes(op: Op, field: 's1' | 's2' | 's3'): Buffer | undefined {
  const value = op[field] ?? (TEXTS[op.name]?.includes(field) ? '' : undefined);
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return Buffer.from(value.map((text) => `${checked(op, text)}\0`).join(''));
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const text = value as string;
  return BYTES[op.name] === field ? Buffer.from(text) : Buffer.from(`${checked(op, text)}\0`);
}

function checked(op: Op, text: string): string {
  if (text.includes('\0')) throw new RangeError(`${op.about}: a text of a plan holds a NUL`);
  return text;
}

function slot(value: Slot | undefined): number {
  if (value === undefined) return NO_SLOT;
  if (!Number.isInteger(value) || value < 0 || value >= SLOT_COUNT)
    throw new RangeError(`no such slot: ${value}`);
  return value;
}

/** Bytes behind the operations, and where each piece stands. */
class Pool {
  readonly pieces: Buffer[] = [];
  private at: number;

  constructor(start: number) {
    this.at = start;
  }

  add(bytes: Buffer): { offset: number; length: number } {
    const offset = this.at;
    this.pieces.push(bytes);
    this.at += bytes.length;
    return { offset, length: bytes.length };
  }

  get end(): number {
    return this.at;
  }
}

function writeOp(out: Buffer, at: number, op: Op, pool: Pool): void {
  const flags = (op.existsOk ? FLAG.existsOk : 0) | (op.ignoreErrors ? FLAG.ignoreErrors : 0);
  out.writeUInt16LE(opCodes.get(op.name) ?? 0, at);
  out.writeUInt16LE(flags, at + 2);
  out.writeUInt16LE(slot(op.a), at + 4);
  out.writeUInt16LE(slot(op.b), at + 6);
  for (const [index, field] of (['s1', 's2', 's3'] as const).entries()) {
    const bytes = fieldBytes(op, field);
    if (bytes === undefined) continue;
    const { offset, length } = pool.add(bytes);
    out.writeUInt32LE(offset, at + 8 + 8 * index);
    out.writeUInt32LE(length, at + 12 + 8 * index);
  }
  const counts = op.name === LIST_OP ? [op.s1, op.s2, op.s3].map((list) => BigInt(list?.length ?? 0)) : [];
  for (const [index, number] of [op.x, op.y, op.z].entries())
    out.writeBigUInt64LE(BigInt.asUintN(64, counts[index] ?? BigInt(number ?? 0)), at + 32 + 8 * index);
}

function writeHeader(out: Buffer, plan: Plan, pool: Pool, ends: readonly number[]): void {
  const hold = plan.hold;
  const head = pool.add(Buffer.from(`${plan.head}\0`));
  const title = pool.add(Buffer.from(`${plan.title}\0`));
  const flags =
    (hold ? PLAN_FLAG.hold : 0) |
    (hold?.terminal ? PLAN_FLAG.terminal : 0) |
    (hold?.backpressure ? PLAN_FLAG.backpressure : 0);
  out.writeUInt32LE(PLAN_MAGIC, 0);
  out.writeUInt16LE(PLAN_VERSION, 4);
  out.writeUInt16LE(flags, 6);
  out.writeUInt32LE(pool.end, 8);
  out.writeUInt32LE(ends.at(-1) ?? 0, 12);
  for (const [index, end] of ends.entries()) out.writeUInt32LE(end, 16 + 4 * index);
  out.writeBigUInt64LE(plan.cloneFlags, 32);
  const slots = [
    plan.cgroup,
    hold?.runFolder,
    hold?.logFolder,
    hold?.stdin,
    hold?.stdout,
    hold?.stderr,
    plan.gate,
    hold?.keep,
    hold?.attach,
  ];
  for (const [index, value] of slots.entries()) out.writeUInt16LE(slot(value), 40 + 2 * index);
  out.writeUInt32LE(hold?.logSerial ?? 0, 64);
  out.writeUInt32LE(hold?.logMaxFiles ?? 0, 68);
  out.writeBigUInt64LE(hold?.logMaxBytes ?? 0n, 72);
  out.writeUInt32LE(head.offset, 80);
  out.writeUInt32LE(head.length, 84);
  out.writeUInt32LE(title.offset, 88);
  out.writeUInt32LE(title.length, 92);
}

/**
 * The plan as bytes.
 * @throws RangeError when a text holds a NUL, a slot does not exist, or the whole is above PLAN_MAX_BYTES:
 * a plan is never cut.
 */
export function encodePlan(plan: Plan): Buffer {
  const ops = SECTIONS.flatMap((section) => plan.sections[section]);
  const ends: number[] = [];
  for (const section of SECTIONS) ends.push((ends.at(-1) ?? 0) + plan.sections[section].length);
  const fixed = Buffer.alloc(HEADER_BYTES + ops.length * OP_BYTES);
  const pool = new Pool(fixed.length);
  for (const [index, op] of ops.entries()) writeOp(fixed, HEADER_BYTES + index * OP_BYTES, op, pool);
  writeHeader(fixed, plan, pool, ends);
  if (pool.end > PLAN_MAX_BYTES)
    throw new RangeError(`arguments and environment are too long: the plan has ${pool.end} bytes`);
  return Buffer.concat([fixed, ...pool.pieces], pool.end);
}
