/**
 * What the integration tests share beside the host: shell scripts inside containers, images out of raw archive
 * entries, and a canary on the host that nothing inside a container may touch.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import {
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { EventAction } from '../../proto/gen/mydocker/v1/events.ts';
import { fixtureTar } from '../fixtures/images.ts';
import { END, type RawEntry, rawTar } from '../fixtures/raw-tar.ts';
import { PROJECT, type RunResult, SLOWNESS } from '../harness/cli.ts';
import type { Host } from '../harness/host.ts';
import { cgroupMounts, listProcesses } from '../harness/leaks.ts';

/** A program that asks the kernel what no shell can ask; mounted into containers. */
export const PROBE: string = join(PROJECT, 'build/test/probe');

/** Options that put the probe at `/probe`. */
export const WITH_PROBE: readonly string[] = ['-v', `${PROBE}:/probe:ro`];

/** Runs a shell script in a new container that goes afterwards. @returns what it printed, the last newline cut. */
export function inside(
  host: Host,
  script: string,
  options: readonly string[] = [],
  image = 'busybox',
): Promise<string> {
  return host.ok(['run', '--rm', ...options, image, 'sh', '-c', script]);
}

/** The same, where any exit status is a result. */
export function tryInside(
  host: Host,
  script: string,
  options: readonly string[] = [],
  image = 'busybox',
): Promise<RunResult> {
  return host.cli(['run', '--rm', ...options, image, 'sh', '-c', script]);
}

/** Whether one hierarchy has all controllers. */
export const IS_V2: boolean = cgroupMounts().length === 1;

/** A file of a container's control group, under its name on v1 or on v2; without the last newline. */
export async function cgroupFile(host: Host, container: string, v1: string, v2: string): Promise<string> {
  const [{ run }] = JSON.parse(await host.ok(['inspect', '--format', 'api', container]));
  for (const mount of cgroupMounts()) {
    for (const name of [v1, v2]) {
      const path = join(mount, run.cgroupPath, name);
      if (name !== '' && existsSync(path)) return readFileSync(path, 'utf8').trim();
    }
  }
  return assert.fail(`no ${v1} or ${v2}`);
}

/**
 * What runs after each test: nothing may be left. Where something is, it goes now, so that the tests that follow are
 * judged by themselves.
 */
export async function assertClean(host: Host): Promise<void> {
  try {
    await host.assertClean();
  } catch (error) {
    host.killClients();
    for (const id of (await host.ok(['ps', '-q'])).split('\n').filter(Boolean))
      await host.cli(['rm', '-f', id]);
    throw error;
  }
}

/** assertClean without the networks that nobody uses; what a failed test left of its own goes in the end. */
export async function assertCleanNetworks(host: Host): Promise<void> {
  await host.cli(['network', 'prune', '-f']);
  try {
    await assertClean(host);
  } finally {
    await host.cli(['network', 'prune', '-f']);
  }
}

/** The client must refuse with this status and say so on standard error alone. */
export async function refused(
  host: Host,
  args: readonly string[],
  message: RegExp,
  code = 125,
): Promise<RunResult> {
  const result = await host.cli(args);
  const told = `mydocker ${args.join(' ')}: ${result.code}\n${result.stderr}`;
  assert.equal(result.code, code, told);
  assert.match(result.stderr, message, told);
  assert.doesNotMatch(result.stderr, /\n\s+at |internal|undefined|\[object/, told);
  assert.equal(result.stdout, '', told);
  return result;
}

/** Waits until a question has this answer. @throws AssertionError with the last answer after `timeoutMs`. */
export async function until<T>(
  ask: () => Promise<T> | T,
  isIt: (answer: T) => boolean,
  timeoutMs = 60_000,
): Promise<T> {
  const end = Date.now() + timeoutMs * SLOWNESS;
  for (;;) {
    const answer = await ask();
    if (isIt(answer)) return answer;
    if (Date.now() > end) assert.fail(`not so after ${timeoutMs} ms; last: ${inspect(answer, { depth: 8 })}`);
    await sleep(20);
  }
}

/** What a client has printed so far. Asked for right after its start. */
export function outputOf(child: ChildProcess): () => string {
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
}

/** Waits until a process with this command line is there. */
export function untilRuns(command: string): Promise<unknown> {
  return until(listProcesses, (all) => all.some((process) => process.command === command));
}

/** Waits until so many clients were attached to a container since it was created, its own `run` among them. */
export function untilAttached(host: Host, container: string, count: number): Promise<unknown> {
  return until(
    async () => {
      const start = { $case: 'afterSeq', value: 0n } as const;
      const request = { start, noFollow: true, containers: [container], actions: [EventAction.ATTACH] };
      let seen = 0;
      for await (const { events } of host.api.events.subscribeEvents(request)) seen += events.length;
      return seen;
    },
    (seen) => seen >= count,
  );
}

/** Waits until a container's log matches. */
export function untilLogged(host: Host, container: string, pattern: RegExp): Promise<string> {
  return until(
    () => host.ok(['logs', container]),
    (text) => pattern.test(text),
  );
}

const isZero = (block: Buffer): boolean => block.every((byte) => byte === 0);

/** The busybox archive, without its end, and entries behind it that win over what is there. */
export async function busyboxAnd(entries: readonly (RawEntry | Buffer)[]): Promise<Buffer> {
  const tar = readFileSync(await fixtureTar('busybox'));
  let end = tar.length;
  while (end >= 512 && isZero(tar.subarray(end - 512, end))) end -= 512;
  return rawTar([tar.subarray(0, end), ...entries], END);
}

/**
 * Imports busybox with more entries.
 * @param changes - instructions as in a Dockerfile.
 * @returns the image's id.
 */
export async function importEntries(
  host: Host,
  reference: string,
  entries: readonly (RawEntry | Buffer)[],
  changes: readonly string[] = [],
): Promise<string> {
  const options = changes.flatMap((change) => ['-c', change]);
  return await host.ok(['import', ...options, '-', reference], { stdin: await busyboxAnd(entries) });
}

/** Files on the host beside the server's folders. */
export interface Canary {
  readonly path: string;
  /** @throws AssertionError when a byte, a mode, an owner, a link or a time of any file is another one now. */
  assertUntouched(): void;
}

/** Makes a canary: `f` of user 1234 with 0600, the folder `d` with `d/inner`. */
export function makeCanary(folder: string): Canary {
  const path = join(folder, 'canary');
  mkdirSync(join(path, 'd'), { recursive: true });
  writeFileSync(join(path, 'f'), 'ORIG', { mode: 0o600 });
  chownSync(join(path, 'f'), 1234, 1234);
  writeFileSync(join(path, 'd/inner'), 'ORIG');
  const before = describeTree(path);
  return { path, assertUntouched: () => assert.deepEqual(describeTree(path), before) };
}

function describeTree(path: string): string[] {
  const { mode, uid, gid, nlink, ino, size, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
  const kind = Number(mode) & 0o170000;
  const facts = [mode.toString(8), uid, gid, nlink, ino, size, mtimeNs, ctimeNs].join(' ');
  const content =
    kind === 0o100000 ? readFileSync(path, 'utf8') : kind === 0o120000 ? readlinkSync(path) : '';
  const below =
    kind === 0o040000
      ? readdirSync(path)
          .sort()
          .flatMap((name) => describeTree(join(path, name)))
      : [];
  return [`${path} ${facts} ${content}`, ...below];
}

/** Names of all that is kept of images. */
export const imageContent = (host: Host): string[] =>
  ['layers', 'blobs/sha256', 'ingest', 'downloads'].flatMap((folder) => readdirSync(join(host.root, folder)));

/** Waits until nothing of any image is left. */
export const untilNoImages = (host: Host): Promise<string[]> =>
  until(
    () => imageContent(host),
    (names) => names.join() === 'init-1',
  );
