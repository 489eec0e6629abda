/** `system df` against du, `image prune`, `container prune`, `system prune`, `history`, formats. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { DiskUsageKind, type GetDiskUsageResponse } from '../../proto/gen/mydocker/v1/system.ts';
import { SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { importEntries, refused, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
beforeEach(async () => {
  await host.ok(['container', 'prune', '-f']);
  await host.ok(['image', 'prune', '-f']);
});
after(() => host.dispose());

/** Bytes that du finds, files of several names once. */
function du(paths: readonly string[], more: readonly string[] = []): bigint {
  if (paths.length === 0) return 0n;
  const text = execFileSync('du', ['-sc', '-B1', ...more, ...paths], { encoding: 'utf8' });
  return BigInt(/(\d+)\ttotal\n$/.exec(text)?.[1] ?? '-1');
}

const below = (folder: string, pattern: RegExp): string[] =>
  readdirSync(join(host.root, folder))
    .filter((name) => pattern.test(name))
    .map((name) => join(host.root, folder, name));

const byKind = (
  answer: GetDiskUsageResponse,
  kind: DiskUsageKind,
): GetDiskUsageResponse['usages'][number] => {
  const usage = answer.usages.find((candidate) => candidate.kind === kind);
  assert.ok(usage !== undefined);
  return usage;
};

/** Everything of mydocker's that du counts, and what the server tells; taken while nothing is under way. */
async function compare(): Promise<GetDiskUsageResponse> {
  await until(
    () => below('layers', /^\.(?:tmp|rm)-/).length + below('containers', /^\./).length,
    (left) => left === 0,
  );
  // Blocks of what was just written are counted once they are given out.
  execFileSync('sync', ['-f', host.root]);
  const answer = await host.api.system.getDiskUsage({ objects: true });
  const sizes = (kind: DiskUsageKind): bigint => byKind(answer, kind).sizeBytes;
  assert.equal(sizes(DiskUsageKind.IMAGES), du(below('layers', /^\d+$/)), 'layers');
  assert.equal(sizes(DiskUsageKind.BLOBS), du(below('blobs/sha256', /^[0-9a-f]{64}$/)), 'blobs');
  const containers = below('containers', /^[0-9a-f]{64}$/);
  const logs = du(containers.map((folder) => join(folder, 'logs')));
  assert.equal(sizes(DiskUsageKind.LOGS), logs, 'logs');
  assert.equal(sizes(DiskUsageKind.CONTAINERS), du(containers) - logs, 'containers');
  assert.equal(sizes(DiskUsageKind.VOLUMES), du(below('volumes', /^[0-9a-f]{64}$/)), 'volumes');
  // The store writes a checkpoint now and then by itself.
  await until(
    async () => [
      byKind(await host.api.system.getDiskUsage({}), DiskUsageKind.METADATA).sizeBytes,
      du(below('', /^meta/)),
    ],
    ([told, found]) => told === found,
  );
  return answer;
}

test('system df is what du finds: shared layers once, links once, sparse files, deep trees', async () => {
  const empty = await compare();
  assert.deepEqual(
    [byKind(empty, DiskUsageKind.IMAGES).count, byKind(empty, DiskUsageKind.IMAGES).activeCount],
    [1, 0],
  );
  const data = Buffer.alloc(300_000, 'x');
  await importEntries(host, 'df:1', [
    { name: 'big', data },
    { name: 'link', type: '1', link: 'big' },
  ]);
  await host.ok(['tag', 'df:1', 'df:2']);
  const script = [
    'dd if=/dev/zero of=/large bs=1M count=3; ln /large /link; ln -s /large /symlink',
    'dd if=/dev/zero of=/sparse bs=1 count=1 seek=100000000; mkfifo /fifo',
    'i=0; while [ $i -lt 300 ]; do mkdir d; cd d; echo $i > f; i=$((i+1)); done',
    'echo out; echo err >&2',
  ].join('; ');
  await host.ok(['run', '--name', 'done', 'df:1', 'sh', '-c', script]);
  await host.ok(['run', '-d', '--name', 'runs', 'busybox', 'sh', '-c', 'echo x > /x; exec sleep 1000']);
  await host.ok(['create', '--name', 'new', 'busybox', 'true']);
  const full = await compare();
  const images = byKind(full, DiskUsageKind.IMAGES);
  assert.deepEqual([images.count, images.activeCount, images.reclaimableBytes], [2, 2, 0n]);
  const containers = byKind(full, DiskUsageKind.CONTAINERS);
  assert.deepEqual([containers.count, containers.activeCount], [3, 1]);
  const ofContainer = (name: string): bigint =>
    full.objects.find((object) => object.kind === DiskUsageKind.CONTAINERS && object.name === name)
      ?.sizeBytes ?? 0n;
  assert.equal(containers.reclaimableBytes, ofContainer('done') + ofContainer('new'));
  assert.ok(ofContainer('done') > 3n << 20n && ofContainer('done') < 6n << 20n);

  const { container } = await host.api.containers.getContainer({ container: 'done', size: true });
  assert.equal(container?.size?.writableBytes, ofContainer('done'));
  assert.equal(
    (container?.size?.rootfsBytes ?? 0n) - ofContainer('done'),
    images.sizeBytes - byKind(empty, DiskUsageKind.IMAGES).sizeBytes,
  );
  assert.ok((container?.size?.logBytes ?? 0n) > 0n);
  assert.match(await host.ok(['ps', '-s', '-f', 'name=done']), / SIZE\n.* [\d.]+ MB \(virtual [\d.]+ MB\)$/);
  assert.match(await host.ok(['ps', '--format', '{{.Size}}', '-f', 'name=done']), /^[\d.]+ MB \(virtual/);

  // What prunes free is what was told to be reclaimable.
  await host.ok(['rm', '-f', 'runs']);
  const idle = await compare();
  const all = byKind(idle, DiskUsageKind.CONTAINERS).sizeBytes + byKind(idle, DiskUsageKind.LOGS).sizeBytes;
  const pruned = await host.api.containers.pruneContainers({});
  assert.deepEqual([pruned.removed.length, pruned.reclaimedBytes], [2, all]);
  const after = await compare();
  assert.equal(byKind(after, DiskUsageKind.CONTAINERS).sizeBytes, 0n);
  const before = byKind(after, DiskUsageKind.IMAGES);
  assert.equal(before.reclaimableBytes, before.sizeBytes);
  await host.ok(['rmi', '-f', 'df:1', 'df:2']);
  assert.ok(byKind(await compare(), DiskUsageKind.IMAGES).sizeBytes < before.sizeBytes - 300_000n);
});

test('the table, its details and its formats', async () => {
  await host.ok(['create', '--name', 'web', 'busybox', 'true']);
  const table = await host.ok(['system', 'df']);
  assert.match(table, /^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE\nImages +1 +1 +[\d.]+ MB +0 B \(0%\)\n/);
  assert.match(table, /\nContainers +1 +0 +[\d.]+ kB +[\d.]+ kB \(100%\)\nLogs +1 +0 /);
  const verbose = await host.ok(['system', 'df', '-v']);
  assert.match(verbose, /\nbusybox +latest +[0-9a-f]{12} +[\d.]+ MB +0 B +[\d.]+ MB +yes\n/);
  assert.match(verbose, /\n[0-9a-f]{12} +web +[\d.]+ kB +[\d.]+ kB +no\n/);
  const lines = (await host.ok(['system', 'df', '--format', 'json']))
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map((line) => line.Type),
    ['Images', 'Blobs', 'Containers', 'Logs', 'Volumes', 'Downloads', 'Metadata'],
  );
  assert.match(
    await host.ok(['system', 'df', '--format', '{{.Type}}={{.SizeBytes}}']),
    /^Images=\d+\nBlobs=/,
  );
});

test('a measurement makes nobody wait', async () => {
  await host.ok(['run', '--name', 'many', 'busybox', 'sh', '-c', 'seq 1 20000 | xargs touch']);
  const measured = host.api.system.getDiskUsage({});
  const times: number[] = [];
  let over = false;
  const done = measured.finally(() => {
    over = true;
  });
  while (!over) {
    const began = performance.now();
    await host.api.system.ping({});
    times.push(performance.now() - began);
  }
  await done;
  times.sort((a, b) => a - b);
  // The tail depends on who else uses the machine.
  const median = times[times.length >> 1] ?? 0;
  assert.ok(times.length >= 5 && median < 20 * SLOWNESS, `${times.length} pings, median ${median} ms`);
});

test('image prune takes images without a name, with -a all that nothing uses', async () => {
  const old = await importEntries(host, 'p:1', [{ name: 'v', data: '1' }], ['LABEL keep=no']);
  const renamed = await importEntries(host, 'p:1', [{ name: 'v', data: '2' }]);
  await importEntries(host, 'p:2', [{ name: 'v', data: '3' }], ['LABEL keep=yes']);
  await importEntries(host, 'p:3', [{ name: 'v', data: '4' }]);
  await host.ok(['create', '--name', 'user', 'p:3', 'true']);
  await refused(host, ['image', 'prune'], /standard input is no terminal\nhint: -f/);
  const one = await host.ok(['image', 'prune', '-f']);
  assert.match(one, new RegExp(`^Deleted Images:\ndeleted: ${old}\n\nTotal reclaimed space: [\\d.]+ MB$`));
  assert.equal(await host.ok(['image', 'prune', '-f']), 'Total reclaimed space: 0 B');
  const none = await host.ok(['image', 'prune', '-af', '--filter', 'until=1h']);
  assert.equal(none, 'Total reclaimed space: 0 B');
  const some = await host.ok(['image', 'prune', '-af', '--filter', 'label!=keep', '--filter', 'until=0s']);
  assert.match(some, new RegExp(`deleted: ${renamed}`));
  const left = (await host.ok(['images', '--format', '{{.Repository}}:{{.Tag}}'])).split('\n').sort();
  assert.deepEqual(left, ['p:2', 'p:3']);
  await host.ok(['container', 'prune', '-f']);
  assert.match(await host.ok(['system', 'prune', '-a', '-f']), /untagged: .*p:3/);
  assert.equal(await host.ok(['images', '-q']), '');
  await host.importFixture('busybox');
  await refused(host, ['image', 'prune', '-f', '--filter', 'nosuch=1'], /unknown filter/);
});

test('volumes are measured, and pruned when no container has them', async () => {
  await importEntries(
    host,
    'vol',
    [
      { name: 'data/', type: '5' },
      { name: 'data/f', data: 'x' },
    ],
    ['VOLUME /data'],
  );
  for (const name of ['one', 'two'])
    await host.ok(['run', '--name', name, 'vol', 'dd', 'if=/dev/zero', 'of=/data/big', 'bs=1M', 'count=2']);
  const used = byKind(await compare(), DiskUsageKind.VOLUMES);
  assert.deepEqual([used.count, used.activeCount, used.reclaimableBytes], [2, 2, 0n]);
  assert.ok(used.sizeBytes > 4n << 20n);
  assert.match(
    await host.ok(['system', 'df', '-v']),
    /\nVOLUME +SIZE +IN USE\n[0-9a-f]{64} +[\d.]+ MB +yes\n/,
  );
  await host.ok(['rm', 'one']);
  const half = byKind(await compare(), DiskUsageKind.VOLUMES);
  assert.deepEqual([half.count, half.activeCount], [2, 1]);
  const pruned = await host.api.system.pruneSystem({ volumes: true });
  assert.deepEqual([pruned.containers.length, pruned.volumes.length], [1, 2]);
  assert.ok(pruned.reclaimedBytes > used.sizeBytes);
  assert.equal(byKind(await compare(), DiskUsageKind.VOLUMES).count, 0);
  await host.ok(['rmi', 'vol']);
});

test('a prune asks on a terminal', async () => {
  await host.ok(['create', '--name', 'asked', 'busybox', 'true']);
  for (const [answer, code] of [
    ['n', 125],
    ['', 125],
    ['y', 0],
  ] as const) {
    const terminal = host.terminal(['container', 'prune']);
    await terminal.waitFor(/\[y\/N\] /);
    terminal.type(`${answer}\r`);
    assert.equal(await terminal.exit(), code);
    assert.equal((await host.ok(['ps', '-q', '-f', 'name=asked'])) === '', code === 0);
  }
});

test('container prune spares what runs, is too young, or has another label', async () => {
  await host.ok(['run', '-d', '--name', 'runs', 'busybox', 'sleep', '1000']);
  await host.ok(['create', '--name', 'labelled', '-l', 'keep=1', 'busybox', 'true']);
  await host.ok(['create', '--name', 'plain', 'busybox', 'true']);
  await host.ok(['container', 'prune', '-f', '--filter', 'until=1h']);
  await host.ok(['container', 'prune', '-f', '--filter', 'label!=keep']);
  assert.deepEqual((await host.ok(['ps', '--format', '{{.Name}}'])).split('\n').sort(), ['labelled', 'runs']);
  await host.ok(['rm', '-f', 'runs']);
});

test('history: the steps, newest first, with and without ornaments', async () => {
  await host.ok(['tag', 'busybox', 'told:1']);
  const table = await host.ok(['history', 'told:1']);
  assert.match(
    table,
    /^IMAGE +CREATED +CREATED BY +SIZE +COMMENT\n[0-9a-f]{12} +\d+ \w+ ago +[\d.]+ MB +imported/,
  );
  const exact = await host.ok(['image', 'history', '--human=false', '--no-trunc', 'told:1']);
  assert.match(
    exact,
    /\nsha256:[0-9a-f]{64} +\d{4}-\d\d-\d\dT[\d:.]+Z +\d{5,} +imported sha256:[0-9a-f]{64}/,
  );
  assert.match(await host.ok(['history', '-q', 'busybox']), /^[0-9a-f]{12}$/);
  assert.match(await host.ok(['history', '--format', '{{.Comment}}', 'busybox']), /^imported sha256:/);
  await refused(host, ['history', 'nosuch'], /no such image/);
  await host.ok(['rmi', 'told:1']);
});

test('images and ps take formats, digests and conditions', async () => {
  await importEntries(host, 'f:1', [{ name: 'f', data: 'f' }], ['LABEL a=b']);
  assert.equal(await host.ok(['images', '--format', '{{.Tag}} {{.Label "a"}}', 'f']), '1 b');
  assert.match(
    await host.ok(['images', '--digests']),
    /^IMAGE ID +REPO +TAG +DIGEST +COUNTS +CREATED +SIZE\n/,
  );
  assert.match(
    await host.ok(['images', '--format', 'table {{.Repository}}\t{{.Containers}}']),
    /^REPO +COUNTS\nf +0\nbusybox +0$/,
  );
  assert.equal(JSON.parse(await host.ok(['images', '--format', 'json', 'f'])).Tag, '1');
  assert.equal(await host.ok(['images', '-q', '-f', 'until=1h']), '');
  assert.equal((await host.ok(['images', '-aq', '-f', 'dangling=false'])).split('\n').length, 2);
  assert.equal(await host.ok(['images', '-q', '-f', 'label=a=c']), '');
  await host.ok(['create', '--name', 'web', '-l', 'x=y', 'f:1', 'true']);
  assert.equal(await host.ok(['ps', '--format', '{{.Name}} {{.State}} {{.Label "x"}}']), 'web created y');
  assert.equal(await host.ok(['inspect', '-f', '{{.Name}} {{.State.Status}}', 'web']), '/web created');
  assert.equal(await host.ok(['image', 'inspect', '--format', '{{index .Config.Labels "a"}}', 'f:1']), 'b');
  await refused(host, ['images', '--format', '{{.Nosuch}}'], /no field \.Nosuch\nhint: known: \.ID/);
  await host.ok(['rm', 'web']);
  await host.ok(['rmi', 'f:1']);
});
