/** Limits that take a device, swap or huge pages to be hit: each by a program that wants more than it may have. @vm */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { deviceNumbers } from '../../server/cgroup/device-numbers.ts';
import { type Host, startHost } from '../harness/host.ts';
import { cgroupMounts } from '../harness/leaks.ts';
import { assertClean, cgroupFile, IS_V2, inside, until, WITH_PROBE } from './ground.ts';

/** A machine that nobody else uses: what is the whole machine's may be changed. */
const IS_OURS = process.env['MYDOCKER_TEST_MACHINE'] === 'virtual';

let host: Host;
/** A disk of our own: a file behind a loop device. */
let disk = '';
/** A disk that keeps nothing and takes 5 ms for each request, one at a time: the same however slow the processor is. */
const SLOW_DISK = 'queue_mode=2 irqmode=2 completion_nsec=5000000 hw_queue_depth=1 submit_queues=1'.split(
  ' ',
);
before(async () => {
  if (IS_OURS) {
    spawnSync('modprobe', ['-a', 'loop', 'bfq']);
    spawnSync('modprobe', ['null_blk', ...SLOW_DISK]);
  }
  host = await startHost({ images: ['busybox'] });
  const file = join(host.folder, 'tmp/disk');
  writeFileSync(file, '');
  truncateSync(file, 64 << 20);
  disk = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
  rmSync(file);
});
afterEach(() => assertClean(host));
after(async () => {
  if (disk !== '') execFileSync('losetup', ['--detach', disk]);
  await host.dispose();
});

/** Seconds that a command takes inside, as the container tells them. */
const timed = async (command: string, options: readonly string[]): Promise<number> => {
  const now = "$(cut -d ' ' -f 1 /proc/uptime)";
  const told = await inside(host, `a=${now}; ${command} 2>/dev/null || exit; echo $a ${now}`, options);
  const [begin = 0, end = 0] = told.split(' ').map(Number);
  return end - begin;
};

test('rates of a device: bytes and operations, read and written', async () => {
  const read = (size: string, count: number): string =>
    `dd if=${disk} of=/dev/null bs=${size} count=${count} iflag=direct`;
  const write = (size: string, count: number): string =>
    `dd if=/dev/zero of=${disk} bs=${size} count=${count} oflag=direct`;
  const limited = (option: string, rate: string, command: string): Promise<number> =>
    timed(command, ['--device', disk, option, `${disk}:${rate}`]);
  const seconds = await Promise.all([
    limited('--device-read-bps', '1m', read('64k', 32)),
    limited('--device-write-bps', '1m', write('64k', 32)),
    limited('--device-read-iops', '20', read('4k', 40)),
    limited('--device-write-iops', '20', write('4k', 40)),
  ]);
  // Two by the book; the kernel lets the first go at once.
  for (const [index, each] of seconds.entries()) assert.ok(each > 1.5, `${index}: ${each} s`);
  assert.ok((await timed(read('64k', 32), ['--device', disk])) < 1);
});

test('weights divide a device that two want', async (t) => {
  const busy = IS_OURS ? '/dev/nullb0' : disk;
  const queue = `/sys/block/${basename(busy)}/queue`;
  try {
    writeFileSync(`${queue}/scheduler`, 'bfq');
  } catch {
    return t.diagnostic('this kernel has no scheduler that knows weights');
  }
  // It waits so long (ms) for the next read of who comes first; where processors are busy its own 8 are over before.
  writeFileSync(`${queue}/iosched/slice_idle`, '100');
  const read = `while :; do dd if=${busy} of=/dev/null bs=64k iflag=direct 2>/dev/null; done`;
  const usual = ['--device', busy, 'busybox', 'sh', '-c', read];
  const weight = ['--blkio-weight', '1000'];
  await host.ok(['run', '-d', '--name', 'much', ...weight, ...usual]);
  const less = ['--blkio-weight-device', `${busy}:100`];
  await host.ok(['run', '-d', '--name', 'little', ...weight, ...less, ...usual]);
  // Other devices have lines, too.
  const line = new RegExp(`^${deviceNumbers(statSync(busy).rdev).join(':')} (?:Read |rbytes=)(\\d+)`, 'm');
  const bytes = async (name: string): Promise<number> => {
    const text = await cgroupFile(host, name, 'blkio.bfq.io_service_bytes', 'io.stat');
    return Number(line.exec(text)?.[1] ?? 0);
  };
  const [much, little] = [await bytes('much'), await bytes('little')];
  // 10 by the book, where nothing else wants the processor.
  await until(
    async () => [(await bytes('much')) - much, (await bytes('little')) - little] as const,
    ([more, less]) => more > 16 << 20 && more > 1.5 * less,
  );
  // The device's own weight goes, and the group's is there again.
  await host.ok(['update', '--blkio-weight-device', `${busy}:0`, 'little']);
  assert.doesNotMatch(await cgroupFile(host, 'little', 'blkio.bfq.weight_device', 'io.bfq.weight'), / 100$/m);
  await host.ok(['rm', '-f', 'much', 'little']);
  writeFileSync(`${queue}/scheduler`, 'none');
});

test('real-time is shared out', async (t) => {
  const made = await host.cli([
    'run',
    '-d',
    '--name',
    'rt',
    '--cpu-rt-runtime',
    '50000',
    'busybox',
    'sh',
    '-c',
    BUSY,
  ]);
  if (made.code !== 0) {
    assert.match(made.stderr, /cannot set cpu real-time limit: /);
    return t.diagnostic('this kernel shares out no real-time');
  }
  await host.ok(['run', '-d', '--name', 'none', 'busybox', 'sh', '-c', BUSY]);
  const pidOf = async (name: string): Promise<string> =>
    await host.ok(['inspect', '-f', '{{.State.Pid}}', name]);
  const fifo = async (name: string): Promise<number | null> =>
    spawnSync('chrt', ['-f', '-p', '10', await pidOf(name)]).status;
  assert.notEqual(await fifo('none'), 0);
  await host.ok(['rm', '-f', 'none']);
  assert.equal(await fifo('rt'), 0);
  const used = async (): Promise<number> => Number(await cgroupFile(host, 'rt', 'cpuacct.usage', '')) / 1e9;
  const [before, begin] = [await used(), Date.now()];
  await sleep(1500);
  const share = ((await used()) - before) / ((Date.now() - begin) / 1000);
  // 0.05 by the book.
  assert.ok(share > 0 && share < 0.3, `${share}`);
  await host.ok(['rm', '-f', 'rt']);
});

test('swap that is limited, and swap that is not', {
  skip: !IS_OURS && 'swap is the whole machine’s',
}, async () => {
  const file = join(host.folder, 'tmp/swap');
  execFileSync('dd', ['if=/dev/zero', `of=${file}`, 'bs=1M', 'count=128'], { stdio: 'ignore' });
  execFileSync('mkswap', [file], { stdio: 'ignore' });
  execFileSync('swapon', [file]);
  try {
    const eat = (mb: number, swap: string): Promise<string> =>
      inside(host, `/probe eat ${mb} >/dev/null; echo $?`, [
        '-m',
        '32m',
        '--memory-swap',
        swap,
        ...WITH_PROBE,
      ]);
    assert.equal(await eat(48, '64m'), '0');
    assert.equal(await eat(80, '64m'), '137');
    assert.equal(await eat(48, '32m'), '137');
    assert.equal(await eat(80, '-1'), '0');
  } finally {
    execFileSync('swapoff', [file]);
    rmSync(file);
  }
});

test('huge pages', { skip: !IS_OURS && 'huge pages are the whole machine’s' }, async () => {
  const count = '/proc/sys/vm/nr_hugepages';
  writeFileSync(count, '16');
  try {
    const eat = (mb: number, ...options: string[]): Promise<string> =>
      inside(host, `/probe huge ${mb} >/dev/null; echo $?`, [...options, ...WITH_PROBE]);
    assert.equal(await eat(8), '0');
    assert.equal(await eat(4, '--hugepages-limit', '2MB:4m'), '0');
    // SIGBUS.
    assert.equal(await eat(8, '--hugepages-limit', '2MB:4m'), '135');
  } finally {
    writeFileSync(count, '0');
  }
});

test('buffers of TCP take no more memory of the kernel than they may', { skip: IS_V2 }, async () => {
  // The receiver never reads; the sender has far more than the buffers of both hold without a limit.
  const script = `nc -l -p 9 -e sleep 1000 &
    while :; do dd if=/dev/zero bs=64k count=200 | nc 127.0.0.1 9; done 2>/dev/null`;
  const limit = 256 << 10;
  const options = ['--network', 'none', '--kernel-memory-tcp-limit', '256k'];
  await host.ok(['run', '-d', '--name', 'web', ...options, 'busybox', 'sh', '-c', script]);
  const most = async (): Promise<number> =>
    Number(await cgroupFile(host, 'web', 'memory.kmem.tcp.max_usage_in_bytes', ''));
  await until(most, (bytes) => bytes > 0.7 * limit);
  // What is on its way already is let through.
  const bytes = await most();
  assert.ok(bytes < 2 * limit, `${bytes}`);
  await host.ok(['rm', '-f', 'web']);
});

test('where the kernel is not to kill, a process waits until it may have more', { skip: IS_V2 }, async () => {
  const options = ['-m', '16m', '--oom-kill-disable', ...WITH_PROBE];
  await host.ok(['run', '-d', '--name', 'waits', ...options, 'busybox', '/probe', 'eat', '32']);
  await until(
    () => cgroupFile(host, 'waits', 'memory.oom_control', ''),
    (text) => /^under_oom 1$/m.test(text),
  );
  assert.equal(await host.ok(['inspect', '-f', '{{.State.Status}}', 'waits']), 'running');
  await host.ok(['update', '-m', '64m', 'waits']);
  assert.equal(await host.ok(['wait', 'waits']), '0');
  await host.ok(['rm', 'waits']);
});

test('a group above limits all that is below it', async () => {
  const parent = `${host.cgroupParent}-above/inner`;
  const options = ['--cgroup-parent', parent, ...WITH_PROBE];
  await host.ok(['run', '-d', '--name', 'first', ...options, 'busybox', 'sleep', '1000']);
  const limit = IS_V2 ? 'memory.max' : 'memory.limit_in_bytes';
  const mount = cgroupMounts().find((path) => existsSync(join(path, parent, limit)));
  writeFileSync(join(mount ?? '', parent, limit), '48m');
  const eat = '/probe eat 80 >/dev/null; echo $?';
  assert.equal(await inside(host, eat, options), '137');
  assert.equal(await inside(host, eat, WITH_PROBE), '0');
  if (IS_V2) await reservation(join(mount ?? '', parent), options);
  await firstToGo(options);
  await host.ok(['rm', '-f', 'first']);
});

/** By its score the smaller of two has to go. */
async function firstToGo(options: readonly string[]): Promise<void> {
  const hold = ['--oom-score-adj', '1000', ...options, 'busybox', '/probe', 'hold', '16'];
  await host.ok(['run', '-d', '--name', 'goes', ...hold]);
  await until(
    () => cgroupFile(host, 'goes', 'memory.usage_in_bytes', 'memory.current'),
    (bytes) => Number(bytes) > 16 << 20,
  );
  assert.equal(await inside(host, '/probe eat 40 >/dev/null; echo $?', options), '0');
  assert.equal(await host.ok(['wait', 'goes']), '137');
  assert.equal(await host.ok(['inspect', '-f', '{{.State.OOMKilled}}', 'goes']), 'true');
  await host.ok(['rm', 'goes']);
}

/** What is reserved is taken away last, also where it is a group further up, or the machine, that has no more. */
async function reservation(above: string, options: readonly string[]): Promise<void> {
  writeFileSync(join(dirname(above), 'memory.max'), '48m');
  writeFileSync(join(above, 'memory.max'), 'max');
  const fill = 'dd if=/dev/zero of=/file bs=1M count=12 conv=fsync 2>/dev/null; sleep 1000';
  await host.ok(['run', '-d', '--name', 'lost', ...options, 'busybox', 'sh', '-c', fill]);
  const more = ['--memory-reservation', '24m', ...options];
  await host.ok(['run', '-d', '--name', 'kept', ...more, 'busybox', 'sh', '-c', fill]);
  const cached = async (name: string): Promise<number> =>
    Number(/^file (\d+)$/m.exec(await cgroupFile(host, name, '', 'memory.stat'))?.[1]);
  for (const name of ['lost', 'kept'])
    await until(
      () => cached(name),
      (bytes) => bytes > 11 << 20,
    );
  await inside(host, 'dd if=/dev/zero of=/file bs=1M count=100 conv=fsync 2>/dev/null', options);
  const [kept, lost] = [await cached('kept'), await cached('lost')];
  assert.ok(kept > 11 << 20 && lost < 6 << 20, `${kept} ${lost}`);
  const reserved = (): string => readFileSync(join(above, 'memory.low'), 'utf8').trim();
  assert.equal(reserved(), String(24 << 20));
  await host.ok(['update', '--memory-reservation', '16m', 'kept']);
  assert.equal(reserved(), String(16 << 20));
  await host.ok(['rm', '-f', 'kept', 'lost']);
  assert.equal(reserved(), '0');
}

const BUSY = 'while :; do :; done';
