import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildExecProcess, buildSpec, completeEnv } from '../../../server/spec/build-spec.ts';
import {
  DEFAULT_CAPABILITIES,
  DEFAULT_DEVICES,
  DEFAULT_MOUNTS,
  DEFAULT_PATH,
  defaultRlimits,
  readHostFacts,
} from '../../../server/spec/defaults.ts';
import { CONFIG, HOST, ROOT, USER } from './sample-plans.ts';

const FACTS = { hostname: 'web', home: '/home/x', terminal: false };

test('PATH, HOSTNAME and HOME are completed as Docker does', () => {
  assert.deepEqual(completeEnv(['A=1'], FACTS), [DEFAULT_PATH, 'HOSTNAME=web', 'A=1', 'HOME=/home/x']);
  assert.deepEqual(completeEnv([], { ...FACTS, terminal: true }), [
    DEFAULT_PATH,
    'HOSTNAME=web',
    'TERM=xterm',
    'HOME=/home/x',
  ]);
});

test('what somebody set is left alone, be it empty', () => {
  const env = ['PATH=', 'HOME=/', 'HOSTNAME=other', 'TERM=vt100', 'HOMER=1', 'XPATH=2'];
  assert.deepEqual(completeEnv(env, { ...FACTS, terminal: true }), env);
});

test('names that only begin or end alike do not count as set', () => {
  const env = completeEnv(['PATHS=1', 'MYHOME=2', 'HOSTNAME_=3'], FACTS);
  for (const key of ['PATH=', 'HOME=', 'HOSTNAME='])
    assert.ok(
      env.some((entry) => entry.startsWith(key)),
      key,
    );
});

test('a spec has the default sandbox', () => {
  const { process, mounts, linux, root, hostname } = buildSpec(CONFIG, USER, '/mydocker-1/c', HOST);
  assert.equal(hostname, 'web');
  assert.deepEqual(process.user, { uid: 1000, gid: 1001, additionalGids: [1001, 50] });
  assert.deepEqual(process.capabilities, DEFAULT_CAPABILITIES);
  assert.equal(process.cwd, '/srv/app');
  assert.equal(process.noNewPrivileges, false);
  assert.deepEqual(process.rlimits, HOST.rlimits);
  assert.deepEqual(mounts.slice(0, DEFAULT_MOUNTS.length), DEFAULT_MOUNTS);
  assert.deepEqual(linux.devices, DEFAULT_DEVICES);
  assert.deepEqual(linux.namespaces, ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup']);
  assert.deepEqual([linux.maskedPaths, linux.readonlyPaths], [HOST.maskedPaths, HOST.readonlyPaths]);
  assert.equal(linux.cgroupsPath, '/mydocker-1/c');
  assert.equal(linux.sysctl['net.ipv4.ip_unprivileged_port_start'], '0');
  assert.equal(root.readonly, false);
});

test('a privileged one has what the server has, and nothing is masked or read-only', () => {
  const { process, mounts, linux } = buildSpec({ ...CONFIG, privileged: true }, ROOT, '/c', HOST);
  assert.deepEqual(process.capabilities, HOST.capabilities);
  assert.deepEqual([linux.maskedPaths, linux.readonlyPaths], [[], []]);
  assert.deepEqual(
    mounts.slice(0, DEFAULT_MOUNTS.length).filter(({ options }) => options.includes('ro')),
    [],
  );
});

test("the host's network is neither a namespace of its own nor written to", () => {
  const { linux } = buildSpec({ ...CONFIG, network: 'host' }, ROOT, '/c', HOST);
  assert.ok(!linux.namespaces.includes('network'));
  assert.deepEqual(linux.sysctl, {});
});

test('volumes come after the default mounts, parents before what lies below them', () => {
  const { mounts } = buildSpec(CONFIG, ROOT, '/c', HOST);
  const own = mounts.slice(DEFAULT_MOUNTS.length);
  assert.deepEqual(
    own.map(({ destination, options }) => [destination, options.join()]),
    [
      ['/data', 'rbind,rro'],
      ['/data/deep', 'rbind'],
      ['/etc/app.conf', 'rbind'],
    ],
  );
});

test('an additional process has the settings of the container where it has none', () => {
  const plain = buildExecProcess(CONFIG, { args: ['ls'], env: [], terminal: false }, HOST, (user) => {
    assert.equal(user, CONFIG.user);
    return USER;
  });
  assert.deepEqual([plain.cwd, plain.user.uid], ['/srv/app', 1000]);
  assert.ok(plain.env.includes('SECRET=hidden words'));
  assert.ok(plain.env.includes('HOME=/home/user'));
  const own = buildExecProcess(
    CONFIG,
    { args: ['ls'], env: [], terminal: true, user: 'other', workingDir: '/x' },
    HOST,
    (user) => {
      assert.equal(user, 'other');
      return ROOT;
    },
  );
  assert.deepEqual([own.cwd, own.user.uid, own.terminal], ['/x', 0, true]);
  assert.ok(own.env.includes('TERM=xterm'));
});

test('of two values of a name the last one is the only one', () => {
  const config = { ...CONFIG, env: ['A=1', 'B=2', 'FO=kept'] };
  const { env } = buildExecProcess(
    config,
    { args: ['ls'], env: ['A=3', 'C=4', 'C=5', 'FOO'], terminal: false },
    HOST,
    () => ROOT,
  );
  const own = env.filter((entry) => /^(A|B|C|FO)/.test(entry));
  assert.deepEqual(own, ['A=3', 'B=2', 'FO=kept', 'C=5', 'FOO']);
});

test('open files are limited as systemd does, never above what the server may', () => {
  const limits = (hard: string): string =>
    `Max cpu time unlimited unlimited seconds\nMax open files 1024 ${hard} files\n`;
  assert.deepEqual(defaultRlimits(limits('1048576')), [{ type: 'NOFILE', soft: 1024n, hard: 524_288n }]);
  assert.deepEqual(defaultRlimits(limits('4096')), [{ type: 'NOFILE', soft: 1024n, hard: 4096n }]);
  assert.deepEqual(defaultRlimits(limits('512')), [{ type: 'NOFILE', soft: 512n, hard: 512n }]);
  assert.deepEqual(defaultRlimits('nothing of the kind'), [{ type: 'NOFILE', soft: 1024n, hard: 524_288n }]);
});

test('this host masks only what it has', () => {
  const facts = readHostFacts();
  assert.ok(facts.maskedPaths.length > 0);
  for (const folder of facts.maskedFolders) assert.ok(facts.maskedPaths.includes(folder));
});
