/** `ps`: columns, order, filters. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused, until } from './ground.ts';

let host: Host;
const ids: Record<string, string> = {};
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
after(() => host.dispose());

const names = async (...args: string[]): Promise<string> => {
  const lines = (await host.ok(['ps', ...args])).split('\n').slice(1);
  return lines.map((line) => line.split(/ {2,}/)[1]).join(' ');
};

describe('with nothing', () => {
  afterEach(() => assertClean(host));
  test('ps prints its heading alone', async () => {
    assert.match(
      await host.ok(['ps']),
      /^CONTAINER ID +NAME +IMAGE +STATUS +DRIVER +PID +COMMAND +IPS +PORTS +CREATED$/,
    );
    assert.equal(await host.ok(['ps', '-q']), '');
  });
});

describe('with some', () => {
  before(async () => {
    const make = async (name: string, ...words: string[]): Promise<void> => {
      ids[name] = await host.ok(words);
    };
    await host.ok(['tag', 'busybox', 'other:1']);
    await make('one', 'create', '--name', 'one', '--label', 'tier=web', 'busybox', 'true');
    await make(
      'two',
      'run',
      '-d',
      '--name',
      'two',
      '-l',
      'tier=db',
      '-l',
      'big',
      '-v',
      '/tmp:/data',
      'busybox',
      'sleep',
      '1000',
    );
    await make('three', 'run', '-d', '--name', 'three', 'other:1', 'sh', '-c', 'exit 3');
    await make('four', 'run', '-d', '--name', 'four', '--network', 'host', 'busybox', 'sleep', '1000');
    await host.ok(['wait', 'three']);
  });
  after(async () => {
    await host.ok(['rm', '-f', 'one', 'two', 'three', 'four']);
    await host.ok(['rmi', 'other:1']);
    await assertClean(host);
  });

  test('ps lists all of them, the newest first', async () => {
    assert.equal(await names(), 'four three two one');
    assert.equal(await names('-a'), 'four three two one');
    assert.equal(await names('-r'), 'four two');
    assert.equal(await names('-n', '2'), 'four three');
    assert.equal(await names('-l'), 'four');
  });

  test('ps shows what each is doing', async () => {
    const list = await host.ok(['ps']);
    const time = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d';
    const row = (name: string, image: string, rest: string): RegExp =>
      new RegExp(`^${ids[name]?.slice(0, 12)} +${name} +${image} +${rest} +${time}$`, 'm');
    assert.match(list, row('one', 'busybox', 'created +overlay +0 +\\[true\\] +10\\.20\\.\\d+\\.2'));
    assert.match(
      list,
      row('two', 'busybox', 'running +overlay +[1-9]\\d* +\\[sleep 1000\\] +10\\.20\\.\\d+\\.3'),
    );
    assert.match(
      list,
      row('three', 'other:1', 'stopped \\(3\\) +overlay +0 +\\[sh -c exit 3\\] +10\\.20\\.\\d+\\.4'),
    );
  });

  test('ps -q prints ids, --no-trunc in full', async () => {
    assert.equal(await host.ok(['ps', '-q', '-n', '1']), ids['four']?.slice(0, 12));
    assert.equal(await host.ok(['ps', '-q', '--no-trunc', '-n', '1']), ids['four']);
  });

  test('filters', async () => {
    const filtered = (...filters: string[]): Promise<string> => names(...filters.flatMap((f) => ['-f', f]));
    assert.equal(await filtered('name=o'), 'four two one');
    assert.equal(await filtered('name=two', 'name=three'), 'three two');
    assert.equal(await filtered(`id=${ids['one']?.slice(0, 10)}`), 'one');
    assert.equal(await filtered('status=running'), 'four two');
    assert.equal(await filtered('status=exited', 'status=created'), 'three one');
    assert.equal(await filtered('status=running', 'name=four'), 'four');
    assert.equal(await filtered('label=tier'), 'two one');
    assert.equal(await filtered('label=tier=db'), 'two');
    assert.equal(await filtered('label!=tier'), 'four three');
    assert.equal(await filtered('exited=3'), 'three');
    assert.equal(await filtered('network=host'), 'four');
    assert.equal(await filtered('volume=/data'), 'two');
    assert.equal(await filtered('before=three'), 'two one');
    assert.equal(await filtered('since=three'), 'four');
    assert.match(await filtered('ancestor=other:1'), /three/);
    assert.equal(await filtered('name=^t'), 'three two');
    assert.equal(await filtered('name=^/two$'), 'two');
    assert.equal(await filtered('name=e$'), 'three one');
    assert.equal(await filtered('status=dead'), '');
    assert.equal(await filtered('health=none', 'name=two'), 'two');
    await refused(host, ['ps', '-f', 'colour=red'], /unknown filter "colour"\nhint: known: id/);
    await refused(host, ['ps', '-f', 'status=happy'], /invalid status "happy"\nhint: one of created/);
    await refused(host, ['ps', '-f', 'name'], /not KEY=VALUE/);
    await refused(host, ['ps', '-f', 'before=nosuch'], /no such container/);
    await refused(host, ['ps', 'one'], /too many arguments/);
  });

  test('templates and JSON have Docker’s fields in Docker’s words', async () => {
    const shown = (format: string, name: string): Promise<string> =>
      host.ok(['ps', '--format', format, '-f', `name=^${name}$`]);
    assert.equal(await shown('{{.Names}} {{.State}} {{.Command}}', 'two'), 'two running "sleep 1000"');
    assert.match(
      await shown('{{.Status}}', 'two'),
      /^Up (?:Less than a second|\d+ seconds?|About a minute)$/,
    );
    assert.match(
      await shown('{{.Status}}|{{.RunningFor}}', 'three'),
      /^Exited \(3\) (?:Less than a|\d+) seconds? ago\|.* ago$/,
    );
    assert.equal(await shown('{{.Status}} {{.State}} {{.Label "tier"}}', 'one'), 'Created created web');
    assert.match(await shown('{{.CreatedAt}}', 'one'), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \S+$/);
    const object = JSON.parse(await shown('json', 'two'));
    assert.deepEqual(
      [object.ID, object.Names, object.Labels],
      [ids['two']?.slice(0, 12), 'two', 'big=,tier=db'],
    );
    assert.equal(JSON.parse(await shown('{{json .}}', 'two')).Names, 'two');
    assert.equal(await shown('table {{.Names}}\\t{{.Image}}', 'three'), 'NAMES   IMAGE\nthree   other:1');
    await refused(host, ['ps', '--format', '{{.Nosuch}}'], /no field \.Nosuch\nhint: known: \.ID, \.Names/);
  });

  test('a shim that is stopped is told, and waited for by nobody', async () => {
    const [{ run }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'two']));
    process.kill(run.shimPid, 'SIGSTOP');
    try {
      const began = Date.now();
      assert.match(await host.ok(['ps']), / two +busybox +running \(not responding\) /);
      assert.match(
        await host.ok(['ps', '--format', '{{.Names}} {{.Status}}']),
        /^two Up .*\(not responding\)$/m,
      );
      assert.equal(await host.ok(['inspect', '-f', '{{.Mydocker.NotResponding}}', 'two']), 'true');
      assert.ok(Date.now() - began < 5000);
    } finally {
      process.kill(run.shimPid, 'SIGCONT');
    }
    await until(
      () => host.ok(['ps', '-f', 'name=two']),
      (text) => !text.includes('not responding'),
    );
  });

  test('the pid is that of the process on the host', async () => {
    const [{ run }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'two']));
    assert.match(await host.ok(['ps', '-f', 'name=two']), new RegExp(` ${run.pid} `));
    assert.ok(process.kill(run.pid, 0));
  });

  test('a list of many comes whole and in pages', async () => {
    const made = await Promise.all(
      Array.from({ length: 250 }, () =>
        host.api.containers.createContainer({
          config: { rootfs: { $case: 'image', value: 'busybox' }, command: { values: ['true'] } },
        }),
      ),
    );
    const sizes: number[] = [];
    for await (const page of host.api.containers.listContainers({})) sizes.push(page.containers.length);
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      254,
    );
    assert.ok(
      sizes.every((size) => size <= 100),
      sizes.join(),
    );
    await Promise.all(made.map(({ id }) => host.api.containers.removeContainer({ container: id })));
    await until(
      () => host.ok(['ps', '-q']),
      (text) => text.split('\n').length === 4,
    );
  });
});
