/**
 * The formats that the C program and the server share have two owners each; the compiler says what the headers
 * mean, and this test holds the TypeScript to it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { INHERIT_MAX, OP_NAMES, SECTIONS, SLOT_BASE, SLOT_COUNT } from '../../server/model/plan.ts';
import { encodePlan, PLAN_MAGIC, PLAN_MAX_BYTES, PLAN_VERSION } from '../../server/spec/plan-codec.ts';
import {
  ATTACH_FLAG,
  decodeFound,
  decodeFrame,
  decodeMessage,
  encodeFrame,
  encodeLaunchRequest,
  encodeMessage,
  FAILED_LAUNCH,
  FOUND_BYTES,
  FOUND_FLAG,
  FOUND_HEAD_MAX,
  FRAME_BYTES,
  LAUNCH_STEPS,
  MESSAGE_BYTES,
  NOTICE,
  REQUEST,
  STREAM,
  WIRE_VERSION,
} from '../../server/task/shim-protocol.ts';
import { compileC } from '../harness/compile-c.ts';

const cName = (name: string): string => name.replace(/([A-Z])|-/g, '_$1').toUpperCase();

const OPS = OP_NAMES.map((name) => `OP_${cName(name)}`);
const MESSAGES = [...Object.keys(REQUEST), ...Object.keys(NOTICE)].map((name) => `MSG_${cName(name)}`);
const STREAMS = Object.keys(STREAM).map((name) => `STREAM_${cName(name)}`);
const ATTACH = Object.keys(ATTACH_FLAG).map((name) => `ATTACH_${cName(name)}`);
const FOUND = Object.keys(FOUND_FLAG).map((name) => `FOUND_${cName(name)}`);
const SECTION_NAMES = SECTIONS.map(cName);
const LAUNCHES = ['LAUNCH_FORK', 'LAUNCH_PLAN', 'LAUNCH_CLONE', 'LAUNCH_HOLD', 'LAUNCH_CHILD_GONE'];
const CONSTANTS = [
  ...['PLAN_MAGIC', 'PLAN_VERSION', 'PLAN_MAX_BYTES', 'SLOT_BASE', 'SLOT_COUNT', 'SLOT_NONE', 'INHERIT_MAX'],
  ...['OP_EXISTS_OK', 'OP_IGNORE_ERRORS', 'PLAN_HOLD', 'PLAN_TERMINAL', 'PLAN_BACKPRESSURE', 'OP_CODE_END'],
  ...['SECTION_COUNT', 'WIRE_VERSION', 'LAUNCH_MAGIC', 'FAILED_LAUNCH', 'EXIT_RECORDED'],
  ...OPS,
  ...MESSAGES,
  ...STREAMS,
  ...ATTACH,
  ...SECTION_NAMES,
  ...LAUNCHES,
  ...FOUND,
  'FOUND_HEAD_MAX',
];
const STRUCTS: Readonly<Record<string, readonly string[]>> = {
  op: ['code', 'flags', 'a', 'b', 's1', 's1_len', 's2', 's2_len', 's3', 's3_len', 'x', 'y', 'z'],
  plan_header: [
    ...['magic', 'version', 'flags', 'size', 'op_count', 'section_end', 'clone_flags', 'cgroup_slot'],
    ...['run_slot', 'log_slot', 'stdin_slot', 'stdout_slot', 'stderr_slot', 'gate_slot', 'keep_slot'],
    ...[
      'attach_slot',
      'log_serial',
      'log_max_files',
      'log_max_bytes',
      'head',
      'head_len',
      'title',
      'title_len',
    ],
  ],
  launch_request: ['magic', 'version', 'descriptors'],
  message: ['type', 'version', 'seq', 'a', 'b', 'x', 'y'],
  found: ['path', 'mode', 'uid', 'gid', 'flags', 'length', 'head'],
  frame: ['stream', 'flags', 'length', 'serial0', 'serial1', 'offset0', 'offset1'],
};

/** Constants by name, offsets as `struct.field`, sizes as `struct`. A name that C does not have fails here. */
function askCompiler(): ReadonlyMap<string, number> {
  const lines = [
    ...CONSTANTS.map((name) => `printf("${name} %llu\\n", (unsigned long long)(${name}));`),
    ...Object.entries(STRUCTS).flatMap(([name, fields]) => [
      `printf("${name} %zu\\n", sizeof(struct ${name}));`,
      ...fields.map((field) => `printf("${name}.${field} %zu\\n", offsetof(struct ${name}, ${field}));`),
    ]),
  ];
  const source = `#include <stdio.h>\n#include "plan.h"\n#include "wire.h"\nint main(void) {\n${lines.join('\n')}\nreturn 0; }\n`;
  const output = execFileSync(compileC('wire-formats', source), { encoding: 'utf8' });
  return new Map(
    output
      .trim()
      .split('\n')
      .map((line): [string, number] => {
        const [name = '', value = ''] = line.split(' ');
        return [name, Number(value)];
      }),
  );
}

const c = askCompiler();
const inC = (name: string): number => {
  const value = c.get(name);
  assert.ok(value !== undefined, `C does not say ${name}`);
  return value;
};

test('operations have the same codes', () => {
  for (const [index, name] of OPS.entries()) assert.equal(inC(name), index + 1, name);
  assert.equal(inC('OP_CODE_END'), OPS.length + 1, 'C has operations that TypeScript lacks');
});

test('sections, messages, streams, flags and limits are the same', () => {
  for (const [index, name] of SECTION_NAMES.entries()) assert.equal(inC(name), index, name);
  assert.equal(inC('SECTION_COUNT'), SECTIONS.length);
  for (const [name, code] of Object.entries({ ...REQUEST, ...NOTICE }))
    assert.equal(inC(`MSG_${cName(name)}`), code, name);
  for (const [name, code] of Object.entries(STREAM)) assert.equal(inC(`STREAM_${cName(name)}`), code, name);
  for (const [name, bit] of Object.entries(ATTACH_FLAG))
    assert.equal(inC(`ATTACH_${cName(name)}`), bit, name);
  for (const [index, name] of LAUNCHES.entries()) assert.equal(inC(name), index, name);
  assert.equal(LAUNCH_STEPS.length, LAUNCHES.length);
  assert.equal(inC('FAILED_LAUNCH'), FAILED_LAUNCH);
  assert.equal(inC('PLAN_MAGIC'), PLAN_MAGIC);
  assert.equal(inC('PLAN_VERSION'), PLAN_VERSION);
  assert.equal(inC('PLAN_MAX_BYTES'), PLAN_MAX_BYTES);
  assert.equal(inC('WIRE_VERSION'), WIRE_VERSION);
  assert.equal(inC('SLOT_BASE'), SLOT_BASE);
  assert.equal(inC('SLOT_COUNT'), SLOT_COUNT);
  assert.equal(inC('INHERIT_MAX'), INHERIT_MAX);
});

const read = (bytes: Buffer, field: string, size: 2 | 4 | 8): number => {
  const at = inC(field);
  if (size === 2) return bytes.readUInt16LE(at);
  return size === 4 ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at));
};

test('a plan has its fields where C reads them', () => {
  const bytes = encodePlan({
    cloneFlags: 0x1122334455n,
    cgroup: 1,
    gate: 2,
    head: 'the head',
    title: 'the title',
    hold: {
      ...{ terminal: true, backpressure: true, runFolder: 3, logFolder: 4, stdin: 5, stdout: 6, stderr: 7 },
      ...{ keep: 8, attach: 9, logSerial: 10, logMaxFiles: 11, logMaxBytes: 12n },
    },
    sections: {
      'parent-before': [
        {
          name: 'mount',
          a: 13,
          s1: 'one',
          s2: 'two',
          s3: 'three',
          x: 14,
          y: 15n,
          z: 0x1_0000_0001,
          about: '',
        },
      ],
      'parent-after': [],
      child: [{ name: 'exec', s1: ['a', 'b'], s2: ['c'], s3: [], about: '' }],
      'after-exit': [{ name: 'rmdir', s1: 'x', b: 191, existsOk: true, ignoreErrors: true, about: '' }],
    },
  });
  const header = (field: string, size: 2 | 4 | 8): number => read(bytes, `plan_header.${field}`, size);
  assert.equal(header('magic', 4), inC('PLAN_MAGIC'));
  assert.equal(header('version', 2), inC('PLAN_VERSION'));
  assert.equal(header('flags', 2), inC('PLAN_HOLD') | inC('PLAN_TERMINAL') | inC('PLAN_BACKPRESSURE'));
  assert.deepEqual([header('size', 4), header('op_count', 4)], [bytes.length, 3]);
  const ends = inC('plan_header.section_end');
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => bytes.readUInt32LE(ends + 4 * i)),
    [1, 1, 2, 3],
  );
  assert.equal(header('clone_flags', 8), 0x1122334455);
  const slots = ['cgroup', 'gate', 'run', 'log', 'stdin', 'stdout', 'stderr', 'keep', 'attach'];
  assert.deepEqual(
    slots.map((name) => header(`${name}_slot`, 2)),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  assert.deepEqual(
    [header('log_serial', 4), header('log_max_files', 4), header('log_max_bytes', 8)],
    [10, 11, 12],
  );
  const text = (at: number, length: number): string => bytes.toString('utf8', at, at + length);
  assert.equal(text(header('head', 4), header('head_len', 4)), 'the head\0');
  assert.equal(text(header('title', 4), header('title_len', 4)), 'the title\0');

  const op = (index: number): Buffer =>
    bytes.subarray(inC('plan_header') + index * inC('op'), inC('plan_header') + (index + 1) * inC('op'));
  const field = (index: number, name: string): string =>
    text(read(op(index), `op.${name}`, 4), read(op(index), `op.${name}_len`, 4));
  assert.equal(read(op(0), 'op.code', 2), inC('OP_MOUNT'));
  assert.deepEqual(
    ['s1', 's2', 's3'].map((name) => field(0, name)),
    ['one\0', 'two\0', 'three\0'],
  );
  assert.deepEqual([read(op(0), 'op.a', 2), read(op(0), 'op.b', 2)], [13, inC('SLOT_NONE')]);
  assert.deepEqual(
    ['x', 'y', 'z'].map((name) => read(op(0), `op.${name}`, 8)),
    [14, 15, 0x1_0000_0001],
  );
  assert.deepEqual(
    ['s1', 's2', 's3'].map((name) => field(1, name)),
    ['a\0b\0', 'c\0', ''],
  );
  assert.deepEqual(
    ['x', 'y', 'z'].map((name) => read(op(1), `op.${name}`, 8)),
    [2, 1, 0],
  );
  assert.equal(read(op(2), 'op.flags', 2), inC('OP_EXISTS_OK') | inC('OP_IGNORE_ERRORS'));
  assert.equal(read(op(2), 'op.b', 2), 191);
});

test('messages have their fields where C has them', () => {
  assert.equal(inC('message'), MESSAGE_BYTES);
  const bytes = encodeMessage(REQUEST.resize, 0xfffffffe, -1, 7);
  assert.deepEqual(
    [read(bytes, 'message.type', 2), read(bytes, 'message.version', 2), read(bytes, 'message.seq', 4)],
    [REQUEST.resize, WIRE_VERSION, 0xfffffffe],
  );
  assert.deepEqual([bytes.readInt32LE(inC('message.a')), bytes.readInt32LE(inC('message.b'))], [-1, 7]);
  bytes.writeBigUInt64LE(2n ** 64n - 1n, inC('message.x'));
  bytes.writeBigUInt64LE(5n, inC('message.y'));
  const { type, seq, a, b, x, y } = decodeMessage(bytes);
  assert.deepEqual([type, seq, a, b, x, y], [REQUEST.resize, 0xfffffffe, -1, 7, 2n ** 64n - 1n, 5n]);
});

test('what was found has its fields where C has them', () => {
  for (const [name, bit] of Object.entries(FOUND_FLAG)) assert.equal(inC(`FOUND_${cName(name)}`), bit, name);
  assert.deepEqual([inC('found.head'), inC('FOUND_HEAD_MAX')], [FOUND_BYTES, FOUND_HEAD_MAX]);
  const bytes = Buffer.alloc(FOUND_BYTES + 2, 'hi');
  for (const [index, field] of ['path', 'mode', 'uid', 'gid', 'flags'].entries())
    bytes.writeUInt32LE(index + 1, inC(`found.${field}`));
  bytes.writeUInt32LE(FOUND_FLAG.looked | FOUND_FLAG.noexec | FOUND_FLAG.read, inC('found.flags'));
  const facts = { path: 1, mode: 2, uid: 3, gid: 4, mayExecute: false, noexec: true };
  assert.deepEqual(decodeFound(bytes), { ...facts, head: Buffer.from('hi') });
  bytes.writeInt32LE(-1, inC('found.path'));
  bytes.writeUInt32LE(FOUND_FLAG.mayExecute, inC('found.flags'));
  const { path: _, ...others } = facts;
  assert.deepEqual(decodeFound(bytes), { ...others, mayExecute: true, noexec: false });
});

test('frames have their fields where C has them', () => {
  assert.equal(inC('frame'), FRAME_BYTES);
  const bytes = encodeFrame(STREAM.stdin, 0xfffffff0, 3);
  assert.equal(bytes[inC('frame.stream')], STREAM.stdin);
  assert.equal(bytes[inC('frame.flags')], 3);
  assert.equal(read(bytes, 'frame.length', 4), 0xfffffff0);
  bytes.writeUInt32LE(1, inC('frame.serial0'));
  bytes.writeUInt32LE(2, inC('frame.serial1'));
  bytes.writeBigUInt64LE(3n, inC('frame.offset0'));
  bytes.writeBigUInt64LE(4n, inC('frame.offset1'));
  const frame = decodeFrame(Buffer.concat([Buffer.alloc(5), bytes]), 5);
  assert.deepEqual(frame, {
    stream: STREAM.stdin,
    length: 0xfffffff0,
    from: { serial: 1, offset: 3 },
    to: { serial: 2, offset: 4 },
  });
});

test('a launch request has its fields where C has them', () => {
  const bytes = encodeLaunchRequest(18);
  assert.equal(bytes.length, inC('launch_request'));
  assert.equal(read(bytes, 'launch_request.magic', 4), inC('LAUNCH_MAGIC'));
  assert.equal(read(bytes, 'launch_request.version', 2), WIRE_VERSION);
  assert.equal(read(bytes, 'launch_request.descriptors', 2), 18);
});
