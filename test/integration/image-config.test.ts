/** What an image says about its containers, as a container finds it: the rules are Docker's. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { ImageConfig, ImportHeader, ImportImageRequest } from '../../proto/gen/mydocker/v1/images.ts';
import type { RawEntry } from '../fixtures/raw-tar.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, busyboxAnd, importEntries, refused, untilLogged } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

/** Imports an image for the time of a step. */
async function withImage(
  changes: readonly string[],
  step: () => Promise<void>,
  entries: readonly RawEntry[] = [],
): Promise<void> {
  await importEntries(host, 'said', entries, changes);
  await step();
  await host.ok(['rmi', 'said']);
}

const run = (...args: readonly string[]): Promise<string> => host.ok(['run', '--rm', ...args]);

test('entrypoint and command, the image’s and the user’s', async () => {
  await withImage(['ENTRYPOINT ["echo", "e"]', 'CMD ["c", "d"]'], async () => {
    assert.equal(await run('said'), 'e c d');
    assert.equal(await run('said', 'mine'), 'e mine');
    assert.equal(await run('said', ''), 'e ');
    // The image's command was written for the image's entrypoint.
    assert.equal(await run('--entrypoint', 'echo', 'said'), '');
    assert.equal(await run('--entrypoint', 'echo', 'said', 'mine'), 'mine');
    assert.equal(await run('--entrypoint', '', 'said', 'echo', 'plain'), 'plain');
    await refused(host, ['run', '--rm', '--entrypoint', '', 'said'], /no command was given/);
    const parts = async (...words: string[]): Promise<string> => {
      const id = await host.ok(['create', ...words]);
      const text = await host.ok(['inspect', '-f', '{{json .Config.Entrypoint}} {{json .Config.Cmd}}', id]);
      await host.ok(['rm', id]);
      return text;
    };
    assert.equal(await parts('--entrypoint', 'echo', 'said', 'mine'), '["echo"] ["mine"]');
    assert.equal(await parts('--entrypoint', '', 'said', 'echo', 'plain'), 'null ["echo","plain"]');
  });
  await withImage(['ENTRYPOINT echo shell $0', 'CMD ["c"]'], async () => {
    assert.equal(await run('said'), 'shell c');
  });
  await withImage(['CMD echo only a command'], async () => {
    assert.equal(await run('said'), 'only a command');
    assert.equal(await run('said', 'echo', 'other'), 'other');
  });
  await withImage([], async () => {
    await refused(host, ['run', '--rm', 'said'], /no command was given and the image has none/);
  });
});

test('environment: the image’s in its order, the user’s over it', async () => {
  await withImage(['ENV B=1 A=2', 'ENV B=3 EMPTY= PATH=/bin:/usr/bin:/own'], async () => {
    const lines = (await run('-e', 'A=mine', '-e', 'C=new', '-e', 'EMPTY', 'said', 'env')).split('\n');
    const shown = lines.filter((line) => !/^(HOSTNAME|HOME|SHLVL|PWD)=/.test(line));
    assert.deepEqual(shown, ['B=3', 'A=mine', 'PATH=/bin:/usr/bin:/own', 'C=new']);
    assert.equal(await run('-e', 'PATH=/bin', 'said', 'sh', '-c', 'echo $PATH $EMPTY'), '/bin');
  });
});

test('working directory: made where missing, relative and climbing ones stay inside', async () => {
  for (const [said, is] of [
    ['/a/b', '/a/b'],
    ['a/b', '/a/b'],
    ['/a/../../c', '/c'],
    ['/tmp/', '/tmp'],
  ] as const)
    await withImage([`WORKDIR ${said}`], async () => {
      assert.equal(await run('said', 'pwd'), is);
      assert.equal(await run('-w', '/usr', 'said', 'pwd'), '/usr');
    });
  await withImage(['WORKDIR /etc/passwd'], async () => {
    await refused(host, ['run', '--rm', 'said', 'pwd'], /cannot start container .*ENOTDIR/);
  });
});

test('user: names and groups of the image, for run and exec alike', async () => {
  const forms: readonly (readonly [said: string, id: string])[] = [
    ['user', 'uid=1000(user) gid=1000(user) groups=50(staff),1000(user)'],
    ['user:www-data', 'uid=1000(user) gid=33(www-data) groups=33(www-data)'],
    ['1000', 'uid=1000(user) gid=1000(user) groups=50(staff),1000(user)'],
    ['1', 'uid=1(daemon) gid=1(daemon) groups=1(daemon)'],
    ['1:2', 'uid=1(daemon) gid=2 groups=2'],
    ['2147483647:2147483647', 'uid=2147483647 gid=2147483647 groups=2147483647'],
  ];
  await host.ok(['run', '-d', '--name', 'box', 'busybox', 'sleep', '1000']);
  for (const [said, id] of forms) {
    await withImage([`USER ${said}`], async () => assert.equal(await run('said', 'id'), id));
    assert.equal(await run('-u', said, 'busybox', 'id'), id);
    assert.equal(await host.ok(['exec', '-u', said, 'box', 'id']), id);
  }
  for (const bad of [
    ':2',
    '0x1',
    '01',
    '-1',
    '1:',
    'user:',
    ' 1',
    '1:2:3',
    '4294967296',
    '2147483648',
    '1e3',
  ]) {
    await refused(host, ['run', '--rm', '-u', bad, 'busybox', 'id'], /invalid user/);
    await refused(host, ['exec', '-u', bad, 'box', 'id'], /invalid user/);
    await withImage([`USER ["${bad}"]`], () =>
      refused(host, ['run', '--rm', 'said', 'id'], /invalid user/).then(),
    );
  }
  for (const missing of ['ghost', 'user:ghosts']) {
    await refused(host, ['run', '--rm', '-u', missing, 'busybox', 'id'], /cannot find (user|group) "?ghost/);
    await refused(host, ['exec', '-u', missing, 'box', 'id'], /cannot find (user|group) "?ghost/);
  }
  await host.ok(['rm', '-f', 'box']);
});

test('a user in 65,536 groups has them all, one in more is refused', async () => {
  const groups = (count: number): RawEntry => ({
    name: 'etc/group',
    data: Array.from({ length: count }, (_, i) => `g${i}:x:${10_000 + i}:user\n`).join(''),
  });
  const count = ['awk', '/^Groups/ { print NF - 1 }', '/proc/self/status'];
  const most = 65_535;
  await withImage(['USER user'], async () => {
    assert.equal(await run('said', ...count), String(most + 1));
    await host.ok(['run', '-d', '--name', 'box', '-u', '0', 'said', 'sleep', '1000']);
    assert.equal(await host.ok(['exec', '-u', 'user', 'box', ...count]), String(most + 1));
    await host.ok(['rm', '-f', 'box']);
  }, [groups(most)]);
  await withImage(['USER user'], async () => {
    await refused(
      host,
      ['run', '--rm', 'said', ...count],
      /cannot use user user: it is in more than 65536 groups/,
    );
    assert.equal(await run('-u', 'user:g7', 'said', ...count), '1');
  }, [groups(most + 1)]);
});

test('stop signal', async () => {
  const trap = `trap 'echo quit; exit 7' QUIT; trap 'echo usr1; exit 8' USR1; echo ready; while :; do sleep 0.1; done`;
  for (const [said, options, status] of [
    ['SIGQUIT', [], 7],
    ['3', [], 7],
    ['SIGQUIT', ['--stop-signal', 'USR1'], 8],
  ] as const)
    await withImage([`STOPSIGNAL ${said}`], async () => {
      await host.ok(['run', '-d', '--name', 'box', ...options, 'said', 'sh', '-c', `${trap}`]);
      await untilLogged(host, 'box', /ready/);
      await host.ok(['stop', '-t', '20', 'box']);
      assert.equal(await host.ok(['wait', 'box']), String(status));
      await host.ok(['rm', 'box']);
    });
  await withImage(['STOPSIGNAL SIGNOTHING'], async () => {
    const { stderr, code } = await host.cli(['run', '--rm', 'said', 'true']);
    assert.equal(code, 0);
    assert.match(stderr, /stop signal "?SIGNOTHING"? is unknown; SIGTERM is used/);
  });
});

interface Shown {
  readonly config: {
    readonly labels: Readonly<Record<string, string>>;
    readonly network: {
      readonly exposedPorts: readonly { containerPort: number; count: number; protocol: string }[];
    };
    readonly healthCheck?: { readonly args: readonly string[]; readonly intervalMs: number };
  };
}

const inspected = async (name: string): Promise<Shown> =>
  (JSON.parse(await host.ok(['inspect', '--format', 'api', name])) as [Shown])[0];

test('labels and ports are told', async () => {
  await withImage(['LABEL a=image b=image', 'EXPOSE 80 53/udp'], async () => {
    await host.ok(['create', '--name', 'box', '-l', 'b=mine', '-l', 'c=mine', 'said', 'true']);
    const { config } = await inspected('box');
    assert.deepEqual(config.labels, { a: 'image', b: 'mine', c: 'mine' });
    assert.deepEqual(
      config.network.exposedPorts.map(({ containerPort }) => containerPort),
      [80, 53],
    );
    assert.match(await host.ok(['ps']), / 80\/tcp, 53\/udp /);
    await host.ok(['rm', 'box']);
  });
});

test('a health check is kept and told, and an image’s is inherited', async () => {
  const archive = await busyboxAnd([]);
  const check = { disabled: false, args: ['true'], intervalMs: 1000, timeoutMs: 0, retries: 2 };
  const healthCheck = { ...check, startPeriodMs: 0, startIntervalMs: 0 };
  const { call, response } = host.api.images.importImage();
  const header = { config: ImageConfig.create({ healthCheck }), reference: 'said' };
  call.write(ImportImageRequest.create({ frame: { $case: 'header', value: ImportHeader.create(header) } }));
  call.end(ImportImageRequest.create({ frame: { $case: 'chunk', value: archive } }));
  await response;
  await host.ok(['create', '--name', 'box', 'said', 'true']);
  const { config } = await inspected('box');
  assert.deepEqual(config.healthCheck?.args, ['true']);
  assert.equal(config.healthCheck?.intervalMs, 1000);
  await host.ok(['rm', 'box']);
  await host.ok(['rmi', 'said']);
});
