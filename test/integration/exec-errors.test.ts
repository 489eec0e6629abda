/** Why a program did not run: one sentence for each cause, the same for a start and for an exec. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ELSEWHERE, elfProgram, HERE } from '../fixtures/elf.ts';
import type { RawEntry } from '../fixtures/raw-tar.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, importEntries, inside, refused } from './ground.ts';

/** A file of the image, what is said of it, and the exit status. */
const CASES: readonly (readonly [
  name: string,
  entry: Omit<RawEntry, 'name'>,
  said: RegExp,
  status: 126 | 127,
])[] = [
  [
    'script',
    { mode: 0o755, data: '#!/no/bash -e\n' },
    /ENOENT \(its interpreter "\/no\/bash" is not there/,
    127,
  ],
  ['crlf', { mode: 0o755, data: '#!/bin/sh\r\necho\r\n' }, /carriage return[\s\S]*hint: .*LF/, 127],
  [
    'dynamic',
    { mode: 0o755, data: elfProgram({ machine: HERE, interpreter: '/lib/ld-none.so' }) },
    /ENOENT \(its loader "\/lib\/ld-none\.so" is not there\)[\s\S]*hint: .*static/,
    127,
  ],
  [
    'foreign',
    { mode: 0o755, data: elfProgram({ machine: ELSEWHERE.machine }) },
    new RegExp(`ENOEXEC \\(it is a program for ${ELSEWHERE.name}, this machine is `),
    126,
  ],
  ['damaged', { mode: 0o755, data: elfProgram({ machine: HERE }) }, /ENOEXEC \(it is a damaged program/, 126],
  ['empty', { mode: 0o755, data: '' }, /ENOEXEC \(it is empty\)/, 126],
  ['bare', { mode: 0o755, data: 'echo bare\n' }, /script without an interpreter[\s\S]*hint: .*#!/, 126],
  ['nameless', { mode: 0o755, data: '#!\necho\n' }, /its first line names no interpreter/, 126],
  ['windows', { mode: 0o755, data: 'MZ\0\0' }, /a program for Windows/, 126],
  ['plain', { mode: 0o644, data: '#!/bin/sh\n' }, /EACCES \(it is not executable: its mode is 0644\)/, 126],
  [
    'script2',
    { mode: 0o755, data: '#!/plain\n' },
    /EACCES \(its interpreter "\/plain" may not be executed/,
    126,
  ],
  ['loop', { mode: 0o755, data: '#!/loop\n' }, /ELOOP \(its interpreter "\/loop" is a script, too/, 126],
  ['long', { mode: 0o755, data: 'echo '.repeat(40) }, /ENOEXEC \(it is a script without/, 126],
  [
    'badloader',
    { mode: 0o755, data: elfProgram({ machine: HERE, interpreter: '/long' }) },
    /ELIBBAD \(its loader "\/long" is no loader\)/,
    126,
  ],
  ['folder', { mode: 0o755, type: '5' }, /EACCES \(it is a directory\)/, 126],
  ['dangling', { type: '2', link: '/nowhere' }, /symbolic link to "\/nowhere", which is not there/, 127],
];

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
  await importEntries(
    host,
    'faulty',
    CASES.map(([name, entry]) => ({ name, ...entry })),
  );
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('each cause has its sentence, at a start and at an exec, and leaves nothing', async () => {
  await host.ok(['run', '-d', '--name', 'box', 'faulty', 'sleep', '1000']);
  for (const [name, , said, status] of CASES) {
    await refused(host, ['run', '--rm', 'faulty', `/${name}`], said, status);
    await refused(host, ['exec', 'box', `/${name}`], said, status);
  }
  await host.ok(['rm', '-f', 'box']);
});

test('along PATH a file wins over a folder, and the first that may run is run', async () => {
  const path = ['-e', 'PATH=/etc:/:/bin'];
  await refused(host, ['run', '--rm', ...path, 'faulty', 'plain'], /"plain": EACCES \(it is not exec/, 126);
  await refused(host, ['run', '--rm', ...path, 'faulty', 'folder'], /"folder": EACCES \(it is a dir/, 126);
  await refused(host, ['run', '--rm', ...path, 'faulty', 'nosuch'], /hint: .*PATH=\/etc:\/:\/bin/, 127);
  assert.equal(await host.ok(['run', '--rm', ...path, 'faulty', 'echo', 'x']), 'x');
});

test('a user who may not execute it is told mode and owner', async () => {
  const folder = join(host.folder, 'tmp/programs');
  mkdirSync(folder);
  writeFileSync(join(folder, 'mine'), '#!/bin/sh\n', { mode: 0o700 });
  const command = ['run', '--rm', '-u', '1000', '-v', `${folder}:/p`, 'busybox', '/p/mine'];
  await refused(host, command, /user may not execute it: its mode is 0700, its owner 0:0/, 126);
  rmSync(folder, { recursive: true });
});

test('the file is looked for below the container’s root, whatever it links to', async () => {
  await importEntries(host, 'leading', [
    { name: 'out', type: '2', link: '../../../../../../proc/1/root/etc/hostname' },
    { name: 'secret', type: '2', link: '/root/mydocker-none' },
  ]);
  await refused(host, ['run', '--rm', 'leading', '/out'], /"\/out": E/, 126);
  await refused(host, ['run', '--rm', 'leading', '/secret'], /which is not there/, 127);
});

test('arguments that Linux would not pass on are refused before anything is made', async () => {
  const request = (args: string[]): Promise<unknown> =>
    host.api.containers.createContainer({
      name: 'wide',
      config: { rootfs: { $case: 'image', value: 'busybox' }, command: { values: args } },
    });
  // Their bytes alone would fit.
  await assert.rejects(request(['true', ...Array.from({ length: 220_000 }, () => 'x')]), /larger than 2 MiB/);
  await assert.rejects(request([]), /no command/);
  await assert.rejects(request(['']), /empty word/);
  assert.equal(await host.ok(['ps', '-q']), '');
  const most = Array.from({ length: 15 }, () => 'y'.repeat(131_071));
  await request(['true', ...most]);
  assert.equal(await host.ok(['start', '-a', 'wide']), '');
  await host.ok(['rm', 'wide']);
});

test('an exec with too much is told how much it is', async () => {
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
  const args = ['true', ...Array.from({ length: 17 }, () => 'y'.repeat(131_000))];
  await assert.rejects(
    host.api.tasks.execTask({ container: 'box', process: { args } }),
    /E2BIG \(arguments and environment have 22\d{5} bytes in \d+ strings/,
  );
  await host.ok(['rm', '-f', 'box']);
});

test('who is not in the image is known at create', async () => {
  for (const [user, said] of [
    ['nobody2', /cannot find user "?nobody2"?: \/etc\/passwd of the image does not have it/],
    ['root:nogroup2', /cannot find group "?nogroup2"?/],
    ['1:', /invalid user/],
  ] as const)
    await refused(host, ['create', '-u', user, 'busybox', 'true'], said);
  assert.equal(await host.ok(['ps', '-q']), '');
  assert.equal(await inside(host, 'id -u', ['-u', 'user']), '1000');
});

test('a working directory that cannot be one is named', async () => {
  await refused(
    host,
    ['run', '--rm', '-w', '/etc/passwd', 'busybox', 'true'],
    /open the working directory \/etc\/passwd: ENOTDIR \(not a directory\)/,
  );
});
