/**
 * Clients die and calls are cancelled at any moment: the server and the shims are left as they were, and the
 * containers do not notice.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { AttachTaskRequest, AttachTaskResponse } from '../../proto/gen/mydocker/v1/tasks.ts';
import { TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import { exitCode } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import {
  api,
  checkClean,
  checkRules,
  codeOf,
  create,
  descriptorsOf,
  dispose,
  FOREVER,
  kill,
  list,
  look,
  pidsTitled,
  remove,
  run,
  serverDescriptors,
  settles,
  shimOf,
  statusOf,
} from './deaths-ground.ts';
import { until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

/** Same for each run of the tests. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

async function execCount(container: string): Promise<number> {
  return (await api(host).tasks.getTask({ container })).task?.execs.length ?? 0;
}

const COMMANDS = [
  ['attach', 'web'],
  ['logs', '-f', 'web'],
  ['exec', 'web', 'sleep', '0.05'],
  ['exec', '-i', 'web', 'cat'],
  ['run', '--rm', 'busybox', 'sleep', '0.05'],
  ['run', '--rm', '-i', 'busybox', 'cat'],
  ['wait', 'web'],
  ['events'],
];

/** One client of each kind, killed at some moment; what it left running comes to its end. */
async function killClients(chance: () => number): Promise<void> {
  await Promise.all(
    COMMANDS.map(async (args) => {
      const client = host.spawn(args);
      await sleep(60 + chance() * 200);
      client.kill('SIGKILL');
      await exitCode(client);
    }),
  );
  await until(
    async () => (await list(host)).filter(({ name, status }) => name !== 'web' && status === 'running'),
    (running) => running.length === 0,
  );
  await until(
    () => execCount('web'),
    (execs) => execs === 0,
  );
  // Created by a client that was killed before it could start them.
  for (const { id, name } of await list(host)) if (name !== 'web') await remove(host, id).catch(codeOf);
}

test('clients killed at any moment leave no descriptor and no process', async () => {
  const id = await run(host, 'while :; do echo tick; usleep 20000; done', { name: 'web', stdin: true });
  const chance = random(1);
  // What is opened once and stays (a watch, the zygote) is there after the first round.
  await killClients(chance);
  await sleep(300);
  const server = await serverDescriptors(host);
  const shim = descriptorsOf(await shimOf(host, id));
  for (let round = 0; round < 3; round++) await killClients(chance);
  await settles(host.serverPid, server);
  await settles(await shimOf(host, id), shim);
  assert.equal(await statusOf(host, 'web'), 'running');
  assert.equal(await host.ok(['exec', 'web', 'echo', 'fine']), 'fine');
  await checkRules(host);
});

test('a terminal that is torn away: run -it and exec -it', async () => {
  await run(host, FOREVER, { name: 'web' });
  const before = await serverDescriptors(host);
  for (const args of [
    ['exec', '-it', 'web', 'sh'],
    ['run', '--rm', '-it', '--name', 'shell', 'busybox', 'sh'],
  ]) {
    const terminal = host.terminal(args);
    await terminal.waitFor(/# /);
    terminal.kill();
    await terminal.exit();
  }
  // A container outlives its clients, an additional process that was somebody's terminal does not.
  await until(
    () => execCount('web'),
    (execs) => execs === 0,
  );
  assert.equal(await statusOf(host, 'shell'), 'running');
  await remove(host, 'shell');
  await settles(host.serverPid, before);
  await checkRules(host);
});

/** Attaches to a container over the API. */
function attach(container: string): ClientDuplexStream<AttachTaskRequest, AttachTaskResponse> {
  const call = api(host).tasks.attachTask();
  call.on('error', () => undefined);
  call.on('data', () => undefined);
  const open = { container, stdin: true, stdout: true, stderr: true };
  call.write({
    frame: {
      $case: 'open',
      value: { ...OPEN, ...open },
    },
  });
  return call;
}

const OPEN = {
  requestId: '',
  runId: '',
  exec: undefined,
  start: false,
  replay: 0,
  terminalSize: undefined,
  killOnDisconnect: false,
} as const;

test('attached calls that are cancelled at random, 200 of them', async () => {
  const id = await run(host, 'cat', { stdin: true });
  const server = await serverDescriptors(host);
  const shim = descriptorsOf(await shimOf(host, id));
  const chance = random(2);
  for (let round = 0; round < 10; round++) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const call = attach(id);
        await sleep(chance() * 30);
        call.write({ frame: { $case: 'stdin', value: Buffer.from('x\n') } });
        call.cancel();
      }),
    );
  }
  await settles(host.serverPid, server);
  await settles(await shimOf(host, id), shim);
  assert.equal(await statusOf(host, id), 'running');
  await kill(host, id);
});

test('starts that are cancelled at random: all or nothing', async () => {
  const server = await serverDescriptors(host);
  const chance = random(3);
  for (let round = 0; round < 4; round++) {
    const ids = await Promise.all(Array.from({ length: 10 }, () => create(host, FOREVER)));
    await Promise.all(
      ids.map((container) =>
        api(host)
          .tasks.startTask({ container }, { deadline: Date.now() + chance() * 60 })
          .catch((error: unknown) => assert.match(codeOf(error), /DEADLINE_EXCEEDED|CANCELLED/)),
      ),
    );
    await until(
      async () => (await list(host)).map(({ status }) => status),
      (statuses) => !statuses.includes('starting'),
    );
    await checkRules(host);
    // One that did not start starts now.
    for (const { id, status } of await list(host))
      if (status === 'created') await api(host).tasks.startTask({ container: id });
    await Promise.all(ids.map((id) => remove(host, id)));
  }
  await settles(host.serverPid, server);
});

test('additional processes whose start is cancelled at random', async () => {
  const id = await run(host, FOREVER);
  const server = await serverDescriptors(host);
  const chance = random(4);
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      Array.from({ length: 10 }, () =>
        api(host)
          .tasks.execTask(
            { container: id, process: { args: ['sleep', '0.05'] } },
            { deadline: Date.now() + chance() * 60 },
          )
          .catch((error: unknown) => assert.match(codeOf(error), /DEADLINE_EXCEEDED|CANCELLED/)),
      ),
    );
  }
  await until(
    () => execCount(id),
    (execs) => execs === 0,
  );
  await settles(host.serverPid, server);
  await checkRules(host);
});

test('100 starts at once, some cancelled, some killed', async () => {
  const server = await serverDescriptors(host);
  const chance = random(5);
  const ids = await Promise.all(Array.from({ length: 100 }, () => create(host, FOREVER)));
  await Promise.all(
    ids.map(async (container) => {
      const fate = chance();
      const options = fate < 0.2 ? { deadline: Date.now() + chance() * 1500 } : {};
      const starting = api(host).tasks.startTask({ container }, options).catch(codeOf);
      if (fate > 0.8) {
        await sleep(chance() * 1500);
        await kill(host, container).catch(codeOf);
      }
      const outcome = await starting;
      if (typeof outcome === 'string')
        assert.match(outcome, /^(DEADLINE_EXCEEDED|CANCELLED|FAILED_PRECONDITION|ABORTED)$/);
    }),
  );
  await until(
    async () => (await list(host)).map(({ status }) => status),
    (statuses) => !statuses.includes('starting'),
  );
  await checkRules(host);
  for (const id of ids) {
    // One that was cancelled at the last moment may just be ending.
    const consistent = async (): Promise<boolean> => {
      const { status, run: last } = (await look(host, id)) ?? {};
      return (last?.pid ?? 0) > 0 === (status === TaskStatus.RUNNING);
    };
    await until(consistent, (is) => is);
  }
  await Promise.all(ids.map((id) => remove(host, id)));
  await settles(host.serverPid, server);
  assert.deepEqual(pidsTitled(host, 'mydocker-shim'), []);
});
