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
const PLAN_FLAG = { hold: 1, terminal: 2, backpressure: 4, park: 8 } as const;

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
const opCodes = new Map(OP_NAMES.map((name, index) => [name, index + 1]));

function slot(value: Slot | undefined): number {
  if (value === undefined) return NO_SLOT;
  if (!Number.isInteger(value) || value < 0 || value >= SLOT_COUNT)
    throw new RangeError(`no such slot: ${value}`);
  return value;
}

type Field = Op['s1'];

/** No more than so many bytes, in UTF-8 and with their ends. */
function upperBound(value: Field): number {
  if (value === undefined) return 0;
  if (typeof value === 'string') return value.length * 3 + 1;
  if (value instanceof Uint8Array) return value.length;
  return value.reduce((sum, text) => sum + text.length * 3 + 1, 0);
}

/** The plan while it is written: operations in front, what they point into behind them. */
class Draft {
  readonly out: Buffer;
  #end: number;
  /** The same text is written once; most names come up again and again. */
  readonly #texts = new Map<string, readonly [offset: number, length: number]>();

  constructor(fixedBytes: number, poolBytes: number) {
    this.out = Buffer.alloc(fixedBytes + poolBytes);
    this.#end = fixedBytes;
  }

  get end(): number {
    return this.#end;
  }

  /** A text and its NUL. */
  text(text: string, about: string): readonly [offset: number, length: number] {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const place = [this.#end, this.#append(text, about)] as const;
    this.#texts.set(text, place);
    return place;
  }

  /** Texts one behind the other, each with its NUL. */
  list(texts: readonly string[], about: string): readonly [offset: number, length: number] {
    const offset = this.#end;
    for (const text of texts) this.#append(text, about);
    return [offset, this.#end - offset];
  }

  bytes(bytes: Uint8Array): readonly [offset: number, length: number] {
    const offset = this.#end;
    this.out.set(bytes, offset);
    this.#end += bytes.length;
    return [offset, bytes.length];
  }

  #append(text: string, about: string): number {
    if (text.includes('\0')) throw new RangeError(`${about}: a text of a plan holds a NUL`);
    const length = this.out.write(text, this.#end) + 1;
    this.#end += length;
    return length;
  }
}

/** 64 bits without a bigint where the number is none: there are hundreds in a plan. */
function writeNumber(out: Buffer, at: number, value: number | bigint): void {
  if (typeof value === 'bigint') out.writeBigUInt64LE(BigInt.asUintN(64, value), at);
  else if (value !== 0) {
    out.writeUInt32LE(value % 0x1_0000_0000, at);
    out.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
  }
}

function writeField(draft: Draft, at: number, op: Op, field: 's1' | 's2' | 's3'): void {
  const value = op[field];
  if (value === undefined) return;
  let place: readonly [offset: number, length: number];
  if (value instanceof Uint8Array) place = draft.bytes(value);
  else if (typeof value !== 'string') place = draft.list(value, op.about);
  else if (BYTES[op.name] === field) place = draft.bytes(Buffer.from(value));
  else place = draft.text(value, op.about);
  draft.out.writeUInt32LE(place[0], at);
  draft.out.writeUInt32LE(place[1], at + 4);
}

function writeOp(draft: Draft, at: number, op: Op): void {
  const { out } = draft;
  out.writeUInt16LE(opCodes.get(op.name) ?? 0, at);
  out.writeUInt16LE((op.existsOk ? FLAG.existsOk : 0) | (op.ignoreErrors ? FLAG.ignoreErrors : 0), at + 2);
  out.writeUInt16LE(slot(op.a), at + 4);
  out.writeUInt16LE(slot(op.b), at + 6);
  writeField(draft, at + 8, op, 's1');
  writeField(draft, at + 16, op, 's2');
  writeField(draft, at + 24, op, 's3');
  const isList = op.name === LIST_OP;
  writeNumber(out, at + 32, isList ? (op.s1?.length ?? 0) : (op.x ?? 0));
  writeNumber(out, at + 40, isList ? (op.s2?.length ?? 0) : (op.y ?? 0));
  writeNumber(out, at + 48, isList ? (op.s3?.length ?? 0) : (op.z ?? 0));
}

function writeHeader(draft: Draft, plan: Plan, ends: readonly number[]): void {
  const { out } = draft;
  const hold = plan.hold;
  const head = draft.text(plan.head, 'head');
  const title = draft.text(plan.title, 'title');
  const flags =
    (hold ? PLAN_FLAG.hold : 0) |
    (hold?.terminal ? PLAN_FLAG.terminal : 0) |
    (hold?.backpressure ? PLAN_FLAG.backpressure : 0) |
    (plan.parks ? PLAN_FLAG.park : 0);
  out.writeUInt32LE(PLAN_MAGIC, 0);
  out.writeUInt16LE(PLAN_VERSION, 4);
  out.writeUInt16LE(flags, 6);
  out.writeUInt32LE(draft.end, 8);
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
  out.writeUInt32LE(head[0], 80);
  out.writeUInt32LE(head[1], 84);
  out.writeUInt32LE(title[0], 88);
  out.writeUInt32LE(title[1], 92);
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
  const fixedBytes = HEADER_BYTES + ops.length * OP_BYTES;
  const texts = upperBound(plan.head) + upperBound(plan.title);
  const poolBytes = ops.reduce(
    (sum, op) => sum + upperBound(op.s1) + upperBound(op.s2) + upperBound(op.s3),
    texts,
  );
  const draft = new Draft(fixedBytes, poolBytes);
  for (const [index, op] of ops.entries()) writeOp(draft, HEADER_BYTES + index * OP_BYTES, op);
  writeHeader(draft, plan, ends);
  if (draft.end > PLAN_MAX_BYTES)
    throw new RangeError(`arguments and environment are too long: the plan has ${draft.end} bytes`);
  return draft.out.subarray(0, draft.end);
}
