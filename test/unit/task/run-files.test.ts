import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { formatRunHead, type RunHead, readExitFile, readStateFile } from '../../../server/task/run-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'mydocker-run-'));
after(() => rmSync(folder, { recursive: true }));

const HEAD: RunHead = {
  containerId: 'c'.repeat(64),
  runId: '0123456789abcdef',
  bootId: '01234567-89ab-cdef-0123-456789abcdef',
  kind: 'exec',
  terminal: true,
  logSerial: 3,
  logOffset: 4_000_000_000,
};
const EXIT = 'exit_code 137\nsignal 9\nexited_at 1795328817949727208\nlog_serial 5\nlog_offset 42\n';

const exitOf = (text: string | Buffer): ReturnType<typeof readExitFile> => {
  writeFileSync(join(folder, 'exit'), text);
  return readExitFile(folder);
};

test('a run without files has none', () => {
  assert.equal(readExitFile(join(folder, 'nowhere')), undefined);
  assert.equal(readStateFile(join(folder, 'nowhere')), undefined);
});

test('an exit record is read as the shim writes it', () => {
  assert.deepEqual(exitOf(`${formatRunHead(HEAD)}${EXIT}`), {
    head: HEAD,
    exitStatus: 137,
    signal: 9,
    exitedAt: 1_795_328_817_949_727_208n,
    logSerial: 5,
    logOffset: 42,
    files: new Map(),
  });
});

test('a failed step is in it', () => {
  const text = `${formatRunHead(HEAD)}${EXIT}failed_section 2\nfailed_index 0\nfailed_errno 36\n`;
  assert.deepEqual(exitOf(text)?.failed, { section: 2, index: 0, errno: 36 });
});

test('files of the kernel stand in it as they were, whatever they hold', () => {
  const files = new Map([
    ['memory.events', 'low 0\noom_kill 1\n'],
    ['empty', ''],
    ['two words', 'exit_code 0\nfile memory.events 3\nxyz'],
    ['umlaut', 'ä\n'],
  ]);
  const blocks = [...files].map(([label, text]) => `file ${label} ${Buffer.byteLength(text)}\n${text}`);
  const exit = exitOf(`${formatRunHead(HEAD)}${EXIT}${blocks.join('')}`);
  assert.deepEqual(exit?.files, files);
  assert.equal(exit?.exitStatus, 137);
});

test('a file that was cut off ends where the record ends', () => {
  const exit = exitOf(`${formatRunHead(HEAD)}${EXIT}file memory.events 100\nlow 0\n`);
  assert.equal(exit?.files.get('memory.events'), 'low 0\n');
});

test('what cannot be understood is an error, not an exit of 0', () => {
  const whole = `${formatRunHead(HEAD)}${EXIT}`;
  const cases = [
    '',
    '\n',
    'junk',
    'version 2\n',
    whole.replace('exit_code 137', 'exit_code x'),
    whole.replace(/exit_code .*\n/, ''),
  ];
  cases.push(whole.replace('version 1', 'version 9'), formatRunHead(HEAD), EXIT, whole.slice(0, 60));
  for (const text of cases) assert.throws(() => exitOf(text), Error, JSON.stringify(text));
  assert.throws(() => exitOf(Buffer.alloc(1000, 0xff)), Error);
});

test('a state file is read as the shim writes it', () => {
  writeFileSync(
    join(folder, 'state'),
    `${formatRunHead({ ...HEAD, kind: 'init', terminal: false })}shim_pid 10\nshim_start 440201\ninit_pid 11\ninit_start 440202\n`,
  );
  assert.deepEqual(readStateFile(folder), {
    head: { ...HEAD, kind: 'init', terminal: false },
    shimPid: 10,
    shimStartTime: 440_201n,
    pid: 11,
    pidStartTime: 440_202n,
  });
  writeFileSync(join(folder, 'state'), formatRunHead(HEAD));
  assert.throws(() => readStateFile(folder), /shim_pid/);
});
