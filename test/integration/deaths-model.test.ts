/**
 * Eight clients at random: each has containers of its own, whose states a small model foretells exactly, and
 * all quarrel over a few that everybody has. Between the rounds the rules must hold, also behind the death of
 * the server.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { SLOWNESS } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import {
  api,
  checkClean,
  checkRules,
  codeOf,
  create,
  dispose,
  FOREVER,
  list,
  statusOf,
} from './deaths-ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => checkClean(host));
after(() => dispose(host));

const CLIENTS = 8;
const ROUNDS = 4;
const OPERATIONS = 25;
/** The whole of it; a slow machine does fewer operations, not fewer checks. */
const ROUND_MS = 4000 * SLOWNESS;

type Status = 'created' | 'running' | 'paused' | 'stopped' | 'gone';

/** What is asked, for a container of this name. */
const ASK = {
  create: (name) => create(host, FOREVER, { name }),
  start: (container) => api(host).tasks.startTask({ container }),
  kill: (container) => api(host).tasks.killTask({ container, signal: 'KILL' }),
  stop: (container) => api(host).tasks.stopTask({ container, timeoutMs: 0 }),
  restart: (container) => api(host).tasks.restartTask({ container, timeoutMs: 0 }),
  remove: (container) => api(host).containers.removeContainer({ container }),
  'remove -f': (container) => api(host).containers.removeContainer({ container, force: true }),
  exec: (container) => api(host).tasks.execTask({ container, process: { args: ['true'] } }),
  wait: (container) => api(host).tasks.waitTask({ container }),
  pause: (container) => api(host).tasks.pauseTask({ container }),
  unpause: (container) => api(host).tasks.resumeTask({ container }),
  look: (container) => api(host).containers.getContainer({ container }),
  rename: (container) => api(host).containers.renameContainer({ container, newName: `${container}-x` }),
} as const satisfies Record<string, (name: string) => Promise<unknown>>;

type Operation = keyof typeof ASK;

/** Status afterwards, or the code of the refusal. A container that is gone is NOT_FOUND for all but create. */
const MODEL: Record<Operation, Partial<Record<Status, Status | string>>> = {
  create: {
    gone: 'created',
    created: 'ALREADY_EXISTS',
    running: 'ALREADY_EXISTS',
    paused: 'ALREADY_EXISTS',
    stopped: 'ALREADY_EXISTS',
  },
  start: {
    created: 'running',
    stopped: 'running',
    running: 'FAILED_PRECONDITION',
    paused: 'FAILED_PRECONDITION',
  },
  kill: {
    running: 'stopped',
    paused: 'stopped',
    created: 'FAILED_PRECONDITION',
    stopped: 'FAILED_PRECONDITION',
  },
  stop: { running: 'stopped', paused: 'stopped', created: 'created', stopped: 'stopped' },
  restart: { running: 'running', paused: 'running', created: 'running', stopped: 'running' },
  remove: { created: 'gone', stopped: 'gone', running: 'FAILED_PRECONDITION', paused: 'FAILED_PRECONDITION' },
  'remove -f': { created: 'gone', stopped: 'gone', running: 'gone', paused: 'gone' },
  pause: {
    running: 'paused',
    paused: 'FAILED_PRECONDITION',
    created: 'FAILED_PRECONDITION',
    stopped: 'FAILED_PRECONDITION',
  },
  unpause: {
    paused: 'running',
    running: 'FAILED_PRECONDITION',
    created: 'FAILED_PRECONDITION',
    stopped: 'FAILED_PRECONDITION',
  },
  exec: {
    running: 'running',
    paused: 'FAILED_PRECONDITION',
    created: 'FAILED_PRECONDITION',
    stopped: 'FAILED_PRECONDITION',
  },
  // Of one that runs this would not end.
  wait: { created: 'created', stopped: 'stopped' },
  look: { created: 'created', stopped: 'stopped', running: 'running', paused: 'paused' },
  rename: { created: 'created', stopped: 'stopped', running: 'running', paused: 'paused' },
};

const OPERATION_NAMES = Object.keys(ASK) as Operation[];
const STATUSES: readonly string[] = ['created', 'running', 'paused', 'stopped', 'gone'];

/** Refusals that somebody may meet who quarrels; a fault of the server's is none of them. */
const QUARREL = /^(NOT_FOUND|ALREADY_EXISTS|FAILED_PRECONDITION|ABORTED)$/;

function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

class Client {
  readonly #number: number;
  readonly #chance: () => number;
  readonly #own = new Map<string, Status>();
  readonly #log: string[] = [];
  done = 0;

  constructor(number: number, seed: number) {
    this.#number = number;
    this.#chance = random(seed + number * 7919);
    for (const name of [`c${number}-a`, `c${number}-b`]) this.#own.set(name, 'gone');
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#chance() * list.length)] as T;
  }

  async act(until: number): Promise<void> {
    for (let count = 0; count < OPERATIONS && Date.now() < until; count++) {
      if (this.#chance() < 0.4) await this.#quarrel();
      else await this.#actOnOwn();
      this.done++;
    }
  }

  /** On a container that others use at the same time: anything may be refused, nothing may go wrong. */
  async #quarrel(): Promise<void> {
    const operation = this.#pick(OPERATION_NAMES.filter((o) => o !== 'wait' && o !== 'rename'));
    const name = this.#pick(['shared-a', 'shared-b', 'shared-c']);
    try {
      await ASK[operation](name);
    } catch (error) {
      assert.match(codeOf(error), QUARREL, `${operation} ${name}: ${error}`);
    }
  }

  async #actOnOwn(): Promise<void> {
    const [name, status] = this.#pick([...this.#own]);
    const operation = this.#pick(
      OPERATION_NAMES.filter((o) => MODEL[o][status] !== undefined || (status === 'gone' && o !== 'create')),
    );
    const foretold =
      status === 'gone' && operation !== 'create' ? 'NOT_FOUND' : (MODEL[operation][status] ?? '');
    this.#log.push(`${operation} ${name} (${status}): ${foretold}`);
    const refusal = await ASK[operation](name).then(
      () => undefined,
      (error: unknown) => `${codeOf(error)}: ${error}`,
    );
    const told = `client ${this.#number}:\n  ${this.#log.slice(-8).join('\n  ')}\n  ${refusal}`;
    if (!STATUSES.includes(foretold)) {
      assert.ok(refusal?.startsWith(`${foretold}:`), told);
      return;
    }
    assert.equal(refusal, undefined, told);
    const renamed = operation === 'rename' ? `${name}-x`.slice(-40) : name;
    // A signal was sent; the end is to come.
    if (operation === 'kill') await ASK.wait(name);
    this.#own.delete(name);
    this.#own.set(renamed, foretold as Status);
    if (renamed.length > 30) await this.#shorten(renamed, foretold as Status);
  }

  async #shorten(name: string, status: Status): Promise<void> {
    const newName = name.replaceAll('-x', '');
    await api(host).containers.renameContainer({ container: name, newName });
    this.#own.delete(name);
    this.#own.set(newName, status);
  }

  /** The server and the model agree. */
  async compare(): Promise<void> {
    for (const [name, status] of this.#own)
      assert.equal(await statusOf(host, name), status, `${name}\n  ${this.#log.slice(-8).join('\n  ')}`);
  }
}

test('eight clients at random agree with the model', async (t) => {
  const seed = Number(process.env['MYDOCKER_TEST_SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`MYDOCKER_TEST_SEED=${seed}`);
  const clients = Array.from({ length: CLIENTS }, (_, number) => new Client(number, seed));
  for (let round = 0; round < ROUNDS; round++) {
    const until = Date.now() + ROUND_MS;
    await Promise.all(clients.map((client) => client.act(until)));
    await checkRules(host);
    for (const client of clients) await client.compare();
    if (round % 2 === 0) await host.kill9();
    else assert.equal(await host.stop(), 0);
    await host.start();
    await checkRules(host);
    for (const client of clients) await client.compare();
  }
  const done = clients.reduce((sum, client) => sum + client.done, 0);
  t.diagnostic(`${done} operations, ${(await list(host)).length} containers at the end`);
  assert.doesNotMatch(host.log, /"level":"(error|fatal)"/);
});
