/** What the first bytes of a file say about the program in it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readProgramFile } from '../../../server/model/program-file.ts';
import { elfProgram } from '../../fixtures/elf.ts';

const read = (text: string): ReturnType<typeof readProgramFile> => readProgramFile(Buffer.from(text));

test('scripts name their interpreter as the kernel reads it', () => {
  const interpreter = (text: string): string => {
    const file = read(text);
    return file.kind === 'script' ? file.interpreter : `no script: ${file.kind}`;
  };
  assert.equal(interpreter('#!/bin/sh\necho'), '/bin/sh');
  assert.equal(interpreter('#!  \t/usr/bin/env node\n'), '/usr/bin/env');
  assert.equal(interpreter('#!/bin/sh'), '/bin/sh');
  assert.equal(interpreter('#!/bin/sh\r\necho'), '/bin/sh\r');
  assert.equal(interpreter('#!/bin/sh -e\r\necho'), '/bin/sh');
  assert.equal(interpreter('#!\n/bin/sh'), '');
  assert.equal(interpreter('#!'), '');
});

test('programs name their machine and their loader', () => {
  const loader = '/lib64/ld-linux-x86-64.so.2';
  assert.deepEqual(readProgramFile(elfProgram({ machine: 62, interpreter: loader })), {
    kind: 'elf',
    machine: 'amd64',
    interpreter: loader,
  });
  assert.deepEqual(readProgramFile(elfProgram({ machine: 183 })), { kind: 'elf', machine: 'arm64' });
  assert.deepEqual(readProgramFile(elfProgram({ machine: 4711 })), { kind: 'elf', machine: 'machine 4711' });
  const node = readProgramFile(readFileSync(process.execPath).subarray(0, 4096));
  assert.ok(node.kind === 'elf' && node.interpreter?.includes('/ld-'), JSON.stringify(node));
});

test('whatever the bytes are, the answer is one', () => {
  const whole = elfProgram({ machine: 62, interpreter: '/lib/ld.so' });
  for (let length = 0; length < whole.length; length += 1) readProgramFile(whole.subarray(0, length));
  for (let at = 0; at < whole.length; at += 1)
    for (const value of [0, 1, 0x7f, 0xff]) {
      const bytes = Buffer.from(whole);
      bytes[at] = value;
      readProgramFile(bytes);
    }
  assert.deepEqual(
    readProgramFile(elfProgram({ machine: 62, interpreter: '/ld', offset: 9000 }).subarray(0, 4096)),
    {
      kind: 'elf',
      machine: 'amd64',
    },
  );
  assert.deepEqual(
    ['', 'echo bare', 'MZ\0\0', '\0\x01\x02', '\x7fELF'].map((text) => read(text).kind),
    ['empty', 'text', 'windows', 'other', 'text'],
  );
});
