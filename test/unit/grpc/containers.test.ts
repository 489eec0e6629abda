/** ContainersService and SystemService over a real connection, errors and their details included. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { type ContainerConfig, NetworkMode } from '../../../proto/gen/mydocker/v1/config.ts';
import { TaskStatus } from '../../../proto/gen/mydocker/v1/types.ts';
import { addImage } from '../ops/engine-here.ts';
import { rawCall, refusalOf, type Served, serveHere } from './serve-here.ts';

let served: Served;

before(async () => {
  served = await serveHere();
  await addImage(served.here.engine, 'docker.io/library/box:latest', { command: ['sh'], env: ['A=1'] });
});

after(() => served[Symbol.asyncDispose]());

type Fields = Partial<ContainerConfig>;

const BOX = { $case: 'image', value: 'box' } as const;
const create = (name: string, config: object = {}): Promise<{ id: string; name: string; rev: bigint }> =>
  served.api.containers.createContainer({ name, config: { rootfs: BOX, ...config } as Fields });
const refused = (config: object): ReturnType<typeof refusalOf> => refusalOf(create('', config));

test('a container is created, shown, renamed and removed', async () => {
  const { api } = served;
  const { id, name, rev } = await create('web', {
    command: { values: ['sleep', '9'] },
    env: ['B=2'],
    mounts: [{ destination: '/data', readOnly: true, source: { $case: 'bind', value: { source: '/srv' } } }],
    resources: { memoryLimitBytes: 64n << 20n, pidsMax: -1n, cpusetCpus: '' },
    network: { mode: NetworkMode.HOST },
    labels: { a: 'b' },
    stopSignal: 'INT',
    stdinOnce: true,
    openStdin: true,
  });
  assert.deepEqual([name, rev], ['web', 1n]);
  const { container } = await api.containers.getContainer({ container: id.slice(0, 8) });
  assert.equal(container?.status, TaskStatus.CREATED);
  assert.equal(container?.run, undefined);
  assert.deepEqual(container?.config?.rootfs, BOX);
  assert.deepEqual(container?.config?.args, ['sleep', '9']);
  assert.deepEqual(container?.config?.env.slice(1), ['A=1', 'B=2']);
  assert.equal(container?.config?.stopSignal, 'SIGINT');
  assert.equal(container?.config?.stdinOnce, true);
  assert.equal(container?.config?.network?.mode, NetworkMode.HOST);
  assert.equal(container?.config?.resources?.memoryLimitBytes, 64n << 20n);
  assert.equal(container?.config?.resources?.pidsMax, undefined);
  assert.equal(container?.paths?.lowerDirs.length, 1);
  assert.equal((await api.containers.renameContainer({ container: 'web', newName: 'web2' })).rev, 2n);
  assert.equal((await api.containers.removeContainer({ container: 'web2' })).id, id);
  const gone = await refusalOf(api.containers.getContainer({ container: id }));
  assert.deepEqual([gone.code, gone.reason], [status.NOT_FOUND, 'CONTAINER_NOT_FOUND']);
});

test('what is shown can be given to another create', async () => {
  const { api } = served;
  const { id } = await create('first', {
    command: { values: ['x', 'y'] },
    entrypoint: { values: ['e'] },
    readOnlyRootfs: true,
  });
  const { container } = await api.containers.getContainer({ container: id });
  const second = await create('second', { ...container?.config, imageId: '', args: [] });
  const again = await api.containers.getContainer({ container: second.id });
  // The image's variables stand before the client's, so that only their order may differ.
  const sorted = (config: ContainerConfig | undefined): object => ({
    ...config,
    env: [...(config?.env ?? [])].sort(),
  });
  assert.deepEqual(sorted(again.container?.config), sorted(container?.config));
  await Promise.all([id, second.id].map((c) => api.containers.removeContainer({ container: c })));
});

test('a list of 500 comes in pages of 100, and soon', async () => {
  const { api, here } = served;
  const { id } = await create('pattern');
  const pattern = here.engine.store.containers.get(id);
  assert.ok(pattern !== undefined);
  const hex = (i: number): string => i.toString(16).padStart(4, '0').padStart(64, 'f');
  await Promise.all(
    Array.from({ length: 499 }, (_, i) =>
      here.engine.store.containers.put(
        { ...pattern, id: hex(i), name: `many-${i}`, rev: 0n },
        { sync: false },
      ),
    ),
  );
  const list = async (): Promise<number[]> =>
    (await Array.fromAsync(api.containers.listContainers({}))).map(({ containers }) => containers.length);
  assert.deepEqual(await list(), [100, 100, 100, 100, 100]);
  const times: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    const began = performance.now();
    await list();
    times.push(performance.now() - began);
  }
  // The promise is 15 ms; the rest is for machines that do other things too.
  assert.ok(Math.min(...times) < 50, `${Math.min(...times)} ms`);
  const filtered = await Array.fromAsync(api.containers.listContainers({ names: ['many-49'], limit: 3 }));
  assert.equal(filtered[0]?.containers.length, 3);
  assert.deepEqual(
    await Array.fromAsync(api.containers.listContainers({ statuses: [TaskStatus.PAUSED] })),
    [],
  );
  await Promise.all(
    [id, ...Array.from({ length: 499 }, (_, i) => hex(i))].map((c) =>
      here.engine.store.containers.delete(c, { sync: false }),
    ),
  );
});

test('large items make short pages', async () => {
  const { api } = served;
  const args = ['x', ...Array.from({ length: 8 }, () => 'y'.repeat(100_000))];
  const names = ['big1', 'big2', 'big3'];
  for (const name of names) await create(name, { command: { values: args } });
  const pages = await Array.fromAsync(api.containers.listContainers({ names: ['big'] }));
  assert.deepEqual(
    pages.map(({ containers }) => containers.length),
    [1, 1, 1],
  );
  for (const container of names) await api.containers.removeContainer({ container });
});

test('an error has code, sentence, reason, facts and a hint', async () => {
  await create('taken');
  const taken = await refusalOf(create('taken'));
  assert.deepEqual([taken.code, taken.reason], [status.ALREADY_EXISTS, 'NAME_IN_USE']);
  assert.match(
    taken.message,
    /^cannot create container taken: the name is in use by container [0-9a-f]{12}$/,
  );
  assert.equal(taken.metadata['name'], 'taken');
  assert.match(taken.hint, /choose another name/);
  const stale = await refusalOf(
    served.api.containers.removeContainer({ container: 'taken', expectedRev: 9n }),
  );
  assert.deepEqual([stale.code, stale.reason], [status.ABORTED, 'REV_MISMATCH']);
  await served.api.containers.removeContainer({ container: 'taken' });
});

test('options that this version lacks are refused by name', async () => {
  const cases: [field: string, config: object][] = [
    ['config.security.cap_add', { security: { privileged: true, capAdd: ['ALL'] } }],
    [
      'config.network.attachments.options',
      { network: { attachments: [{ network: 'default', options: { a: 'b' } }] } },
    ],
    [
      'config.mounts.bind.idmap',
      { mounts: [{ destination: '/x', source: { $case: 'bind', value: { source: '/y', idmap: true } } }] },
    ],
    ['config.namespaces.user', { namespaces: { user: { mode: 1 } } }],
    ['config.security.masked_paths', { security: { maskedPaths: { values: [] } } }],
  ];
  for (const [field, config] of cases) {
    const { code, reason, metadata } = await refused(config);
    assert.deepEqual(
      [code, reason, metadata['field']],
      [status.UNIMPLEMENTED, 'OPTION_UNIMPLEMENTED', field],
    );
  }
  const own = await refused({ args: ['x'] });
  assert.deepEqual([own.code, own.reason], [status.INVALID_ARGUMENT, 'FIELD_OF_SERVER']);
});

test('ways to say what is so anyway are no options', async () => {
  const { id } = await create('plain', {
    restartPolicy: { mode: 1 },
    namespaces: { pid: { mode: 1 }, ipc: {}, user: { mode: 2 } },
    healthCheck: { disabled: true },
    security: {},
    log: {},
    storageDriver: 'overlay',
  });
  await served.api.containers.removeContainer({ container: id });
});

test('a repeated request is answered once, another one with its id refused', async () => {
  const request = { requestId: 'r-1', name: 'once', config: { rootfs: BOX } };
  const [one, two] = await Promise.all([1, 2].map(() => served.api.containers.createContainer(request)));
  assert.deepEqual(two, one);
  assert.deepEqual(await served.api.containers.createContainer(request), one);
  const reused = await refusalOf(served.api.containers.createContainer({ ...request, name: 'other' }));
  assert.deepEqual([reused.code, reused.reason], [status.ALREADY_EXISTS, 'REQUEST_ID_REUSED']);
  await served.api.containers.removeContainer({ container: 'once' });
});

test('calls and services that are not there answer UNIMPLEMENTED', async () => {
  const lacking = await refusalOf(Array.fromAsync(served.api.containers.exportContainer({ container: 'x' })));
  assert.deepEqual([lacking.code, lacking.reason], [status.UNIMPLEMENTED, 'RPC_UNIMPLEMENTED']);
  assert.match(lacking.hint, /later version/);
  const stream = await refusalOf(Array.fromAsync(served.api.images.saveImages({ images: ['x'] })));
  assert.equal(stream.reason, 'RPC_UNIMPLEMENTED');
  const { call, response } = served.api.containers.copyToContainer();
  call.end();
  assert.equal((await refusalOf(response)).reason, 'RPC_UNIMPLEMENTED');
  await assert.rejects(rawCall(served.address, '/mydocker.v1.Nothing/Nope', Buffer.alloc(0)), {
    code: status.UNIMPLEMENTED,
  });
});

test('bytes that are no message are refused as an argument', async () => {
  const path = '/mydocker.v1.ContainersService/GetContainer';
  const malformed = await refusalOf(rawCall(served.address, path, Buffer.from([0x0a, 0xff])));
  assert.deepEqual([malformed.code, malformed.reason], [status.INVALID_ARGUMENT, 'REQUEST_MALFORMED']);
});

test('a message above the limit is refused, the connection goes on', async () => {
  const path = '/mydocker.v1.SystemService/Ping';
  await assert.rejects(rawCall(served.address, path, Buffer.alloc((16 << 20) + 1)), {
    code: status.RESOURCE_EXHAUSTED,
  });
  const payload = Buffer.from('still here');
  assert.deepEqual(Buffer.from((await served.api.system.ping({ payload })).payload), payload);
});

test('odd names come back in the error, whatever characters they have', async () => {
  for (const text of ['\ud83d', `${'x'.repeat(127)}\u{1f600}`, '%', 'a\nb', '\u202e', 'ü'.repeat(5000)]) {
    const { code, message } = await refusalOf(served.api.containers.getContainer({ container: text }));
    assert.equal(code, status.NOT_FOUND);
    assert.ok(message.length <= 1024);
  }
});

test('versions and the state of the host are told', async () => {
  const version = await served.api.system.getVersion({});
  assert.deepEqual([version.version, version.apiVersion], ['0.0.0-test', 'v1']);
  const { server, host, counts } = await served.api.system.getInfo({});
  assert.equal(server?.instance, served.here.engine.instance);
  assert.deepEqual(server?.listenAddresses, [served.address]);
  assert.ok((host?.cpuCount ?? 0) > 0 && (host?.memoryBytes ?? 0n) > 0n);
  assert.equal(counts?.images, 1);
});
