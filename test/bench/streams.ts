/** The bench's lines about terminals and streams: what a key costs on its way in and out, and how wide the way is. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AttachOpen, type AttachTaskResponse, LogFormat } from '../../proto/gen/mydocker/v1/tasks.ts';
import { exitCode, PROJECT } from '../harness/cli.ts';
import type { Line, Promised } from './document.ts';
import { effort, type Field, resultOf } from './lines.ts';
import { type Contender, measure, type Result, timeEach } from './measure.ts';
import type { Own } from './own.ts';
import { quiet } from './peers.ts';

const ECHO = ['sh', '-c', 'stty raw -echo; echo ready; exec cat'];
const PIECE_BYTES = 256 << 10;
/** Of lines.c: it writes whole pieces. */
const WRITE_BYTES = 4_000;
/** Until a terminal that is just connected has done everything that it does once. */
const CALM_MS = 300;

/** Somebody's running container, and how to be on a terminal or a pipe in it. */
interface Place {
  readonly name: string;
  readonly exec: (flags: string) => readonly string[];
  readonly leave: () => Promise<unknown>;
}

async function places({ own, peers, runtimes }: Field): Promise<Place[]> {
  const found: Place[] = [];
  for (const { name, startInNetwork, forget, execIn } of peers) {
    if (startInNetwork === undefined || forget === undefined || execIn === undefined) continue;
    await startInNetwork('streams');
    found.push({
      name: `${name} exec`,
      exec: (flags) => execIn('streams', flags),
      leave: () => forget(['streams']),
    });
  }
  for (const { name, prepareSleepers, startSleeper, execIn, remove } of runtimes) {
    const [id = ''] = prepareSleepers(1);
    await startSleeper(id);
    found.push({ name: `${name} exec`, exec: (flags) => execIn(id, flags), leave: () => remove(id) });
  }
  if (own !== undefined) {
    const id = await own.startDetached(['sleep', '100000']);
    const exec = (flags: string): readonly string[] => own.commandLine(['exec', flags, id]);
    found.push({ name: 'mydocker exec', exec, leave: () => own.remove(id) });
  }
  return found;
}

/** Types one byte after the other on a terminal, each when the one before has come back. */
function keystrokes(name: string, command: readonly string[]): Contender {
  return {
    name,
    sample: async (count) => {
      const args = ['24', '80', ...command];
      const child = spawn(join(PROJECT, 'build/test/pty'), args, {
        stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
      });
      const { stdin, stdout } = child;
      if (stdin === null || stdout === null) throw new Error('the terminal has no pipes');
      for (let text = ''; !text.includes('ready'); ) text += String((await once(stdout, 'data'))[0]);
      await sleep(CALM_MS);
      const samples = await timeEach(count, async () => {
        const shown = once(stdout, 'data');
        stdin.write('x');
        await shown;
      });
      child.kill('SIGKILL');
      await exitCode(child);
      return samples;
    },
  };
}

/** A key on its way to a program and back to the screen. */
export async function measureKeystrokes(field: Field): Promise<Line> {
  const standing = await places(field);
  const terminals = standing.map(({ name, exec }) => keystrokes(name, [...exec('-it'), ...ECHO]));
  const results = await measure(
    [keystrokes('a terminal alone', ECHO), ...terminals],
    effort(field, 5, 200, 20),
  );
  for (const { leave } of standing) await leave();
  const [alone, own] = [results[0], resultOf(results, 'mydocker exec')];
  const limit = { text: 'ms more than a terminal alone', limit: 1, sense: 'at most' } as const;
  return {
    id: 'keystroke',
    title: 'A key and its echo on a terminal',
    what:
      'One byte typed on a pseudo terminal until it is shown there, written back by `cat` behind raw mode; for the ' +
      'others that cat runs in a container and their client on the terminal.',
    unit: 'ms',
    moreIsBetter: false,
    results,
    promises:
      alone === undefined || own === undefined ? [] : [{ ...limit, measured: own.median - alone.median }],
  };
}

/** Runs a command in a container with its streams on one call. @returns the bytes that came out. */
async function overApi(
  own: Own,
  container: string,
  args: readonly string[],
  inputBytes: number,
): Promise<number> {
  const call = own.api.tasks.attachTask();
  const exec = { args: [...args], openStdin: inputBytes > 0 };
  const open = { container, exec, stdin: inputBytes > 0, stdout: true, stderr: true };
  call.write({ frame: { $case: 'open', value: AttachOpen.fromPartial(open) } });
  let bytes = 0;
  call.on('data', ({ frame }: AttachTaskResponse) => {
    if (frame?.$case === 'stdout') bytes += frame.value.length;
  });
  const ended = once(call, 'end');
  const piece = Buffer.alloc(PIECE_BYTES, 'x');
  for (let sent = 0; sent < inputBytes; sent += PIECE_BYTES) {
    if (!call.write({ frame: { $case: 'stdin', value: piece } })) await once(call, 'drain');
  }
  if (inputBytes > 0) call.write({ frame: { $case: 'closeStdin', value: {} } });
  await ended;
  return bytes;
}

async function readLog(own: Own, container: string): Promise<number> {
  let bytes = 0;
  for await (const { frame } of own.api.tasks.readTaskLogs({ container, format: LogFormat.RAW }))
    if (frame?.$case === 'stdout') bytes += frame.value.length;
  return bytes;
}

/** A rate in MB/s; what does not carry all of it is not in the race. */
function rate(name: string, bytes: number, carry: () => Promise<number>): Contender {
  return {
    name,
    sample: async (count) => {
      const times = await timeEach(count, async () => {
        const carried = await carry();
        if (carried !== bytes) throw new Error(`${carried} bytes came of ${bytes}`);
      });
      return times.map((ms) => bytes / 1e6 / (ms / 1000));
    },
  };
}

/** How many bytes go through. */
export async function measureStreams(field: Field): Promise<Line> {
  const { own } = field;
  const pieces = Math.max(16, Math.round(800 * field.scale));
  const bytes = pieces * PIECE_BYTES;
  const standing = (await places(field)).filter(({ name }) => !/^(runc|crun) /.test(name));
  const contenders = standing.map(({ name, exec }) =>
    rate(`${name} -i cat`, bytes, async () => {
      const [program = '', ...args] = exec('-i');
      const words = [program, ...args, 'cat'].join(' ');
      await quiet('sh', ['-c', `head -c ${bytes} /dev/zero | ${words} | cmp -n ${bytes} - /dev/zero`]);
      return bytes;
    }),
  );
  const mine: string[] = [];
  if (own !== undefined) {
    const sleeper = await own.startDetached(['sleep', '100000']);
    const writer = await own.startDetached(['lines', String(bytes)]);
    await own.api.tasks.waitTask({ container: writer });
    mine.push(sleeper, writer);
    const written = Math.ceil(bytes / WRITE_BYTES) * WRITE_BYTES;
    contenders.push(
      rate('mydocker API, cat, each way', bytes, () => overApi(own, sleeper, ['cat'], bytes)),
      rate('mydocker API, output', bytes, () =>
        overApi(own, sleeper, ['dd', 'if=/dev/zero', 'bs=256k', `count=${pieces}`], 0),
      ),
      rate('mydocker API, logs', written, () => readLog(own, writer)),
    );
  }
  const results = await measure(contenders, effort(field, 5, 1, 1));
  for (const id of mine) await own?.remove(id);
  for (const { leave } of standing) await leave();
  return {
    id: 'streams',
    title: `${Math.round(bytes / 1e6)} MB through a container`,
    what:
      '`exec -i cat` of each client between two pipes; and over the API of mydocker on an open connection: as much ' +
      'out as in, output alone, and a log of lines of 100 bytes.',
    unit: 'MB/s',
    moreIsBetter: true,
    results,
    why:
      'What dominates: the JavaScript of both ends on two processors. While bytes go both ways the client, grpc-js in ' +
      'this program, computes for nine tenths of the time and the server for four tenths; of a log the server for all ' +
      'of it, since it takes the time stamps out; the shims for next to none. What was tried, and stayed: windows of 8 ' +
      'MiB, pieces of 256 KiB, memory that is used again, input and output that run 1 MiB ahead.',
    promises: [
      ...atLeast(results, 'mydocker API, cat, each way', 150),
      ...atLeast(results, 'mydocker API, output', 400),
      ...atLeast(results, 'mydocker API, logs', 400),
    ],
  };
}

function atLeast(results: readonly Result[], name: string, limit: number): Promised[] {
  const result = resultOf(results, name);
  return result === undefined
    ? []
    : [{ text: `${name}, MB/s`, measured: result.median, limit, sense: 'at least' }];
}
