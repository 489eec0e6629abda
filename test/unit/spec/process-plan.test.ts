import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OciProcess } from '../../../server/model/oci-spec.ts';
import { type Op, slotAllocator } from '../../../server/model/plan.ts';
import { loopbackUp } from '../../../server/network/loopback.ts';
import { capabilityMask, capabilityNames } from '../../../server/spec/capabilities.ts';
import { DEFAULT_CAPABILITIES } from '../../../server/spec/defaults.ts';
import { splitMountOptions } from '../../../server/spec/mount-options.ts';
import {
  commandPaths,
  planExec,
  planIdentity,
  planStdio,
  planWorkingDirectory,
} from '../../../server/spec/process-plan.ts';

const PROCESS: OciProcess = {
  terminal: false,
  user: { uid: 0, gid: 0, additionalGids: [0, 4, 20] },
  args: ['ls', '-l'],
  env: ['PATH=/a:/b'],
  cwd: '/',
  capabilities: ['CHOWN', 'KILL'],
  rlimits: [
    { type: 'NOFILE', soft: 10n, hard: 20n },
    { type: 'CORE', soft: 0n, hard: 2n ** 64n - 1n },
  ],
  noNewPrivileges: true,
};
const names = (ops: readonly Op[]): string[] => ops.map(({ name }) => name);

test('a command without a slash is looked for along PATH, one with a slash is taken as it is', () => {
  const cases: [command: string, path: string | undefined, paths: string[]][] = [
    ['ls', '/usr/bin:/bin', ['/usr/bin/ls', '/bin/ls']],
    ['./ls', '/bin', ['./ls']],
    ['/bin/ls', '/x', ['/bin/ls']],
    ['a/b', '/bin', ['a/b']],
    ['ls', '', ['./ls']],
    ['ls', ':/bin', ['./ls', '/bin/ls']],
    ['ls', '/bin:', ['/bin/ls', './ls']],
    ['ls', 'rel', ['rel/ls']],
    ['ls', undefined, ['./ls']],
    ['ls -l', '/bin', ['/bin/ls -l']],
  ];
  for (const [command, path, paths] of cases)
    assert.deepEqual(commandPaths(command, path === undefined ? ['A=1'] : [`PATH=${path}`]), paths, command);
});

test('the last PATH counts, and no other name', () => {
  assert.deepEqual(commandPaths('x', ['PATH=/a', 'XPATH=/b', 'PATH=/c', 'PATHS=/d']), ['/c/x']);
});

test('exec has paths, arguments and environment', () => {
  const { s1, s2, s3, about } = planExec(PROCESS);
  assert.deepEqual([s1, s2, s3, about], [['/a/ls', '/b/ls'], ['ls', '-l'], ['PATH=/a:/b'], 'execute ls']);
});

test('identity changes in the order in which each step is still allowed', () => {
  const ops = planIdentity(PROCESS);
  const order = [
    'rlimit',
    'rlimit',
    'bounding',
    'groups',
    'setgid',
    'setuid',
    'capset',
    'no-new-privs',
    'umask',
  ];
  assert.deepEqual(names(ops), order);
  const [nofile, core] = ops;
  assert.deepEqual([nofile?.x, nofile?.y, nofile?.z], [7, 10n, 20n]);
  assert.deepEqual([core?.x, core?.z], [4, 2n ** 64n - 1n]);
  const groups = ops.find(({ name }) => name === 'groups')?.s1;
  assert.deepEqual(Buffer.from(groups as Uint8Array).toString('hex'), '000000000400000014000000');
});

test('root has the capabilities, another user only the bounding set', () => {
  const mask = capabilityMask(PROCESS.capabilities);
  const of = (uid: number, name: Op['name']): unknown =>
    planIdentity({ ...PROCESS, user: { ...PROCESS.user, uid } }).find((op) => op.name === name)?.x;
  assert.deepEqual([of(0, 'bounding'), of(0, 'capset')], [mask, mask]);
  assert.deepEqual([of(1000, 'bounding'), of(1000, 'capset')], [mask, 0n]);
});

test('privileges may be gained by exec unless asked', () => {
  assert.ok(!names(planIdentity({ ...PROCESS, noNewPrivileges: false })).includes('no-new-privs'));
});

test('capabilities are the bits of linux/capability.h', () => {
  assert.equal(capabilityMask([]), 0n);
  assert.equal(capabilityMask(['CHOWN']), 1n);
  assert.equal(capabilityMask(['SYS_ADMIN']), 1n << 21n);
  assert.equal(capabilityMask(['CHECKPOINT_RESTORE']), 1n << 40n);
  // What `docker run` gives: CapEff of its first process.
  assert.equal(capabilityMask(DEFAULT_CAPABILITIES), 0xa80425fbn);
  assert.deepEqual(capabilityNames(0xa80425fbn).toSorted(), DEFAULT_CAPABILITIES.toSorted());
  for (const name of ['CAP_CHOWN', 'chown', 'ALL', ''])
    assert.throws(() => capabilityMask([name]), RangeError);
});

test('mount options are split into flags and data', () => {
  const cases: [options: string[], flags: number, data: string][] = [
    [[], 0, ''],
    [['ro', 'nosuid', 'nodev', 'noexec'], 0xf, ''],
    [['nosuid', 'strictatime', 'mode=755', 'size=65536k'], 0x1000002, 'mode=755,size=65536k'],
    [['noatime', 'nodiratime', 'relatime'], 0x200c00, ''],
    [['lowerdir=/a:/b', 'ro', 'x=y,z'], 1, 'lowerdir=/a:/b,x=y,z'],
  ];
  for (const [options, flags, data] of cases) assert.deepEqual(splitMountOptions(options), { flags, data });
});

test('the loopback message is a netlink request that wants an answer', () => {
  const bytes = Buffer.from(loopbackUp.s1 as Uint8Array);
  assert.equal(bytes.readUInt32LE(0), bytes.length);
  assert.deepEqual([bytes.readUInt16LE(4), bytes.readUInt16LE(6)], [16, 5]);
  assert.deepEqual([bytes.readInt32LE(20), bytes.readUInt32LE(24), bytes.readUInt32LE(28)], [1, 1, 1]);
});

test('pipes belong to the user, and the shim keeps the other ends', () => {
  const slots = slotAllocator(0);
  const process = { ...PROCESS, user: { uid: 5, gid: 6, additionalGids: [] } };
  const stdio = planStdio(process, true, { root: 0, path: '' }, { rows: 0, columns: 0 }, slots);
  const pipes = stdio.parentBefore;
  assert.deepEqual(names(pipes), ['pipe', 'pipe', 'pipe']);
  assert.deepEqual([stdio.stdin, stdio.stdout, stdio.stderr], [pipes[0]?.b, pipes[1]?.a, pipes[2]?.a]);
  const theirs = [pipes[0]?.a, pipes[1]?.b, pipes[2]?.b];
  assert.deepEqual(
    stdio.parentAfter.map(({ name, a }) => [name, a]),
    theirs.map((a) => ['close', a]),
  );
  const owned = stdio.connect.filter(({ name }) => name === 'fchown');
  assert.deepEqual(
    owned.map(({ a, x, y }) => [a, x, y]),
    theirs.map((a) => [a, 5, 6]),
  );
  const connected = stdio.connect.filter(({ name }) => name === 'dup');
  assert.deepEqual(
    connected.map(({ a, x }) => [a, x]),
    theirs.map((a, descriptor) => [a, descriptor]),
  );
});

test('without an open stdin there is /dev/null, which stays its owner’s', () => {
  const process = { ...PROCESS, user: { uid: 5, gid: 6, additionalGids: [] } };
  const stdio = planStdio(process, false, { root: 0, path: '' }, { rows: 0, columns: 0 }, slotAllocator(0));
  assert.equal(stdio.stdin, undefined);
  const [first] = stdio.parentBefore;
  assert.deepEqual([first?.name, first?.s1], ['open', '/dev/null']);
  assert.ok(!stdio.connect.some(({ name, a }) => name === 'fchown' && a === first?.a));
});

test('a terminal is made by the child and handed to the shim', () => {
  const process = { ...PROCESS, terminal: true, user: { uid: 5, gid: 6, additionalGids: [] } };
  const stdio = planStdio(
    process,
    true,
    { root: 9, path: 'pts/ptmx' },
    { rows: 3, columns: 4 },
    slotAllocator(0),
  );
  assert.deepEqual(names(stdio.makeTerminal), [
    'open-in-root',
    'pty-peer',
    'fchown',
    'send-slot',
    'send-slot',
  ]);
  assert.deepEqual(names(stdio.parentAfter), ['recv-slot', 'recv-slot']);
  const sent = stdio.makeTerminal.filter(({ name }) => name === 'send-slot').map(({ a }) => a);
  assert.deepEqual(
    stdio.parentAfter.map(({ a }) => a),
    sent,
  );
  assert.deepEqual([stdio.stdout, stdio.keep, stdio.stdin, stdio.stderr], [...sent, undefined, undefined]);
  const [, peer, owner] = stdio.makeTerminal;
  assert.deepEqual([peer?.x, peer?.y, owner?.x, owner?.y], [3, 4, 5, 5]);
});

test('the working directory is made and opened inside the root, whatever its name', () => {
  const cases: [cwd: string, made: string[], opened: string][] = [
    ['/', [], ''],
    ['/srv/app', ['srv', 'app'], 'srv/app'],
    ['//a//b/', ['a', 'b'], 'a//b/'],
    ['/proc/self/fd/7', ['proc', 'self', 'fd', '7'], 'proc/self/fd/7'],
  ];
  for (const [cwd, made, opened] of cases) {
    const { ops, slot } = planWorkingDirectory(cwd, 3, slotAllocator(0));
    assert.deepEqual(
      ops.slice(0, -1).map(({ name, b, s2 }) => [name, b, s2]),
      made.map((m) => ['mkdir-in-root', 3, m]),
    );
    const last = ops.at(-1);
    assert.deepEqual([last?.name, last?.a, last?.b, last?.s1], ['open-in-root', slot, 3, opened]);
  }
});
