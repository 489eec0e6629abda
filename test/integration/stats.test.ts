/** stats: what containers use is what they use, in tables, JSON and over the API; limits that are hit show. @vm */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { TaskStats } from '../../proto/gen/mydocker/v1/tasks.ts';
import { type Host, startHost } from '../harness/host.ts';
import { api } from './deaths-ground.ts';
import { assertClean, outputOf, refused, until, WITH_PROBE } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

/** One round of everything that runs, or of these. */
async function round(...containers: string[]): Promise<TaskStats[]> {
  const found: TaskStats[] = [];
  for await (const { stats } of api(host).tasks.watchTaskStats({ containers, once: true }))
    found.push(...stats);
  return found;
}

/** Until a container's numbers are so. */
const untilStats = async (name: string, isIt: (stats: TaskStats) => boolean): Promise<TaskStats> => {
  const [stats] = await until(
    () => round(name),
    ([first]) => first !== undefined && isIt(first),
  );
  return stats ?? assert.fail('no stats');
};

const BUSY = 'while :; do :; done';

test('memory, CPU, processes and what throttles them', async () => {
  const options = ['-m', '64m', '--cpus', '0.3', '--pids-limit', '20', ...WITH_PROBE];
  await host.ok([
    'run',
    '-d',
    '--name',
    'web',
    ...options,
    'busybox',
    'sh',
    '-c',
    `/probe hold 20 & ${BUSY}`,
  ]);
  const { cpu, memory, pidsCurrent, pidsLimit, pressure } = await untilStats(
    'web',
    (stats) => (stats.memory?.usageBytes ?? 0n) > 20n << 20n && (stats.cpu?.throttledPeriods ?? 0n) > 2n,
  );
  assert.deepEqual([pidsCurrent, pidsLimit], [2n, 20n]);
  assert.equal(memory?.limitBytes, 64n << 20n);
  assert.ok(memory.anonymousBytes > 20n << 20n && memory.usageBytes < 40n << 20n);
  assert.ok(memory.usageBytes <= memory.chargedBytes && memory.chargedBytes <= memory.limitBytes);
  assert.ok(cpu !== undefined && cpu.usageNs > 0n && cpu.userNs + cpu.systemNs === cpu.usageNs);
  assert.ok(cpu.throttledNs > 0n && cpu.periods >= cpu.throttledPeriods);
  if (pressure !== undefined) assert.ok((pressure.cpu?.someTotalUs ?? 0n) > 0n);
  // Of a CPU, in percent, which the second round knows; the quota is the most.
  const percents: number[] = [];
  for await (const { stats } of api(host).tasks.watchTaskStats({ containers: ['web'], intervalMs: 500 })) {
    percents.push(stats[0]?.cpu?.percent ?? -1);
    if (percents.length === 3) break;
  }
  assert.equal(percents[0], 0);
  assert.ok(
    percents.slice(1).every((percent) => percent > 0 && percent < 60),
    percents.join(' '),
  );
  const line = await host.ok(['stats', '--no-stream', 'web']);
  assert.match(line, /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS\n/);
  assert.match(line, /\n[0-9a-f]{12} +web +\d+\.\d\d% +2\d(\.\d+)?MiB \/ 64MiB +3\d\.\d\d% /);
  assert.match(
    await host.ok(['stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}} {{.Throttled}}', 'web']),
    /^web 2 \d+\.\d\d%$/,
  );
  // Paused it uses nothing.
  await host.ok(['pause', 'web']);
  assert.match(await host.ok(['stats', '--no-stream', '--format', '{{.CPUPerc}}', 'web']), /^0\.00%$/);
  await host.ok(['rm', '-f', 'web']);
});

test('cache is not use; block I/O and traffic are counted', async () => {
  // Again and again: a machine short of memory may have dropped what was written, and a packet may be lost. What
  // is read twice counts as used, as with Docker.
  const script = `gateway=$(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')
    while :; do
      dd if=/dev/zero of=/file bs=1M count=8 2>/dev/null
      for i in 1 2 3 4 5 6 7 8; do ping -c 1 -s 1000 -W 1 "$gateway" >/dev/null; sleep 0.5; done
    done`;
  await host.ok(['run', '-d', '--name', 'web', 'busybox', 'sh', '-c', script]);
  const { memory, interfaces } = await untilStats(
    'web',
    // The kernel adds up what each processor has counted every two seconds.
    ({ interfaces: [eth0], memory }) =>
      (eth0?.rxBytes ?? 0n) > 3000n &&
      (memory?.cacheBytes ?? 0n) >= 8n << 20n &&
      (memory?.usageBytes ?? 0n) < 4n << 20n,
  );
  assert.deepEqual(
    interfaces.map(({ interfaceName }) => interfaceName),
    ['eth0'],
  );
  assert.ok((interfaces[0]?.txPackets ?? 0n) >= 3n);
  assert.equal(memory?.limitBytes, 0n);
  await host.ok(['rm', '-f', 'web']);
});

test('which containers: those that run, those that are named, all', async () => {
  await host.ok(['run', '-d', '--name', 'c1', '--net', 'host', 'busybox', 'sleep', '1000']);
  await host.ok(['create', '--name', 'c2', 'busybox', 'true']);
  const names = async (...args: string[]): Promise<string> =>
    (await host.ok(['stats', '--no-stream', '--format', '{{.Name}}', ...args])).split('\n').sort().join(' ');
  assert.equal(await names(), 'c1');
  assert.equal(await names('--all'), 'c1 c2');
  assert.equal(await names('c2'), 'c2');
  assert.match(
    await host.ok(['stats', '--no-stream', 'c2']),
    /c2 +0\.00% +0B \/ 0B +0\.00% +0B \/ 0B +0B \/ 0B +0\n?$/,
  );
  assert.deepEqual((await round())[0]?.interfaces, []);
  await refused(host, ['stats', '--no-stream', 'nothing'], /no such container/);
  const json = JSON.parse(await host.ok(['stats', '--no-stream', '--format', 'json', 'c1']));
  assert.deepEqual([json.Name, json.CPUPerc], ['c1', '0.00%']);
  // One that starts later is seen by who watches all; who leaves ends the watch.
  const watching = host.spawn(['stats', '--format', '{{.Name}}']);
  const seen = outputOf(watching);
  await until(seen, (text) => text.includes('c1'));
  await host.ok(['run', '-d', '--name', 'c3', 'busybox', 'sleep', '1000']);
  await until(seen, (text) => text.includes('c3'));
  watching.kill('SIGTERM');
  await host.ok(['rm', '-f', 'c1', 'c2', 'c3']);
});
