/**
 * What a process writes reaches the log and every client, byte by byte, whatever they do; what a client types
 * reaches the process; and how the process ended is told.
 */
import assert from 'node:assert/strict';
import { createHash, randomFillSync } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AttachConnection } from '../../server/task/attach-connection.ts';
import { logSerials } from '../../server/task/log-file.ts';
import { readExitFile } from '../../server/task/run-files.ts';
import { REQUEST } from '../../server/task/shim-protocol.ts';
import {
  collect,
  IS_SANITIZED,
  type Launched,
  type RunChoice,
  ShimGround,
  USER,
  until,
} from './shim-ground.ts';

const SIGTERM = 15;
const SIGKILL = 9;
/** What a file of the container holds: any bytes, lines of any length. */
const DATA_BYTES = (IS_SANITIZED ? 5 : 50) << 20;
const data = randomFillSync(Buffer.allocUnsafe(DATA_BYTES));
const digest = (bytes: Buffer): string =>
  `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;

let ground: ShimGround;
before(async () => {
  ground = await ShimGround.make();
  writeFileSync(join(ground.rootfs, 'data'), data);
});
afterEach(async () => {
  ground.removeRuns();
  await ground.assertNothingLeft();
});
after(() => ground.dispose());

const sh = (script: string, choice: RunChoice = {}): RunChoice => ({
  ...choice,
  config: { args: ['sh', '-c', script], ...choice.config },
});

/** A container whose clients are attached before its process runs. */
async function startWith(
  choice: RunChoice,
  clients: readonly Parameters<ShimGround['attach']>[1][],
): Promise<Launched & { clients: AttachConnection[] }> {
  const launched = ground.launch(choice);
  launched.connection.commit(false);
  await launched.connection.created;
  const attached: AttachConnection[] = [];
  for (const options of clients) attached.push(await ground.attach(launched, options));
  launched.connection.commit(true);
  await launched.connection.started;
  return { ...launched, clients: attached };
}

/** @returns exit status and signal. */
async function endOf({ connection }: Pick<Launched, 'connection'>): Promise<[number, number]> {
  const { exitStatus, signal } = await connection.exited;
  connection.close();
  return [exitStatus, signal];
}

/** Reads a while, sleeps a while: the shim's socket is full most of the time. */
async function collectSlowly(attached: AttachConnection): Promise<Buffer> {
  const parts: Buffer[] = [];
  let sinceSleep = Number.POSITIVE_INFINITY;
  for await (const { data: part } of attached.output()) {
    parts.push(Buffer.from(part));
    sinceSleep += part.length;
    if (sinceSleep < DATA_BYTES / 8) continue;
    sinceSleep = 0;
    await sleep(50);
  }
  return Buffer.concat(parts);
}

for (const code of [0, 1, 42, 255]) {
  test(`an exit status of ${code} is told and recorded`, async () => {
    const container = ground.start(sh(`exit ${code}`));
    assert.deepEqual(await endOf(container), [code, 0]);
    const record = readExitFile(container.runFolder);
    assert.deepEqual([record?.exitStatus, record?.signal], [code, 0]);
  });
}

test('a process that a signal ends has 128 + its number', async () => {
  const container = ground.start({ config: { args: ['sleep', '1000'] } });
  await container.connection.started;
  const { connection, stdio } = await ground.exec(container, { args: ['sleep', '1000'] });
  await connection.started;
  await connection.request(REQUEST.signal, SIGTERM);
  assert.deepEqual(await endOf({ connection }), [143, SIGTERM]);
  stdio.close();
  await container.connection.request(REQUEST.signal, SIGKILL);
  assert.deepEqual(await endOf(container), [137, SIGKILL]);
  assert.equal(readExitFile(container.runFolder)?.signal, SIGKILL);
});

test('a signal can be handled', async () => {
  const container = await startWith(sh('trap "exit 7" TERM; echo ready; while :; do sleep 0.01; done'), [{}]);
  for await (const { data: part } of container.clients[0]?.output() ?? []) {
    assert.equal(part.toString(), 'ready\n');
    await container.connection.request(REQUEST.signal, SIGTERM);
    break;
  }
  assert.deepEqual(await endOf(container), [7, 0]);
});

test('stdout and stderr are kept apart and logged line by line', async () => {
  const script = 'echo out; sleep 0.05; echo err >&2; sleep 0.05; printf "no end"';
  const launched = ground.launch(sh(script));
  launched.connection.commit(true);
  assert.deepEqual(await endOf(launched), [0, 0]);
  const log = readFileSync(join(launched.logsFolder, '00000001.log'), 'utf8');
  const lines = log.split('\n');
  assert.equal(lines.pop(), '');
  assert.deepEqual(
    lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /, '')),
    ['stdout F out', 'stderr F err', 'stdout P no end'],
  );
  const times = lines.map((line) => Date.parse(line.slice(0, 23).concat('Z')));
  assert.deepEqual(times, times.toSorted());
  assert.ok(times.every((time) => Math.abs(time - Date.now()) < 60_000));
  const record = readExitFile(launched.runFolder);
  assert.deepEqual([record?.logSerial, record?.logOffset], [1, log.length]);
});

test('the environment is exactly the one of the container', async () => {
  const { stdout } = await ground.shell('env', { config: { env: ['A=1', 'B=x y\nz'] } });
  const names = stdout.split('\n').filter((line) => !/^(_|SHLVL|PWD|OLDPWD)=/.test(line));
  assert.deepEqual(names.sort(), [
    '',
    'A=1',
    'B=x y',
    'HOME=/root',
    'HOSTNAME=web',
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'z',
  ]);
});

test('stdin arrives, and ends when a client says so', async () => {
  const config = { args: ['cat'], openStdin: true };
  const container = await startWith({ config }, [{ stdin: true }, { stdin: true }]);
  const [one, two] = container.clients;
  assert.ok(one !== undefined && two !== undefined);
  const output = collect(two.output());
  const input = data.subarray(0, 3_000_000);
  await one.write(input);
  await one.write(Buffer.from('end'));
  one.closeStdin();
  assert.deepEqual(await endOf(container), [0, 0]);
  assert.equal(digest((await output).stdout), digest(Buffer.concat([input, Buffer.from('end')])));
  one.close();
});

test('stdin ends with the control connection too, and with a client that asked for it', async () => {
  const config = { args: ['cat'], openStdin: true };
  const first = await startWith({ config }, []);
  await first.connection.request(REQUEST.closeStdin);
  assert.deepEqual(await endOf(first), [0, 0]);
  const second = await startWith({ config }, [{ stdin: true }, { stdin: true, stdinOnce: true }]);
  second.clients[0]?.close();
  await sleep(20);
  await second.connection.request(REQUEST.status);
  second.clients[1]?.close();
  assert.deepEqual(await endOf(second), [0, 0]);
});

test('a terminal has its size, is the controlling one, is resized and passes ^C on', async () => {
  const script = 'tty; stty size; trap "stty size" WINCH; echo x >/dev/tty; while :; do sleep 0.01; done';
  const container = await startWith(sh(script, { config: { terminal: true } }), [{ stdin: true }]);
  const [client] = container.clients;
  assert.ok(client !== undefined);
  let text = '';
  const reading = (async (): Promise<void> => {
    for await (const { stream, data: part } of client.output()) {
      assert.equal(stream, 'stdout');
      text += part.toString();
    }
  })();
  await until(() => text.includes('x\r\n'), text);
  assert.match(text, /^\/dev\/console\r\n24 80\r\nx\r\n|^\/dev\/pts\/0\r\n24 80\r\nx\r\n/);
  await container.connection.request(REQUEST.resize, 50, 132);
  await until(() => text.includes('50 132\r\n'), text);
  await client.write(Buffer.from('\x03'));
  assert.deepEqual(await endOf(container), [130, 0]);
  await reading;
  assert.match(text, /\^C/);
});

test('a terminal of an additional process works for a user', async () => {
  const container = ground.start({ config: { args: ['sleep', '1000'] } });
  await container.connection.started;
  const { connection, stdio } = await ground.exec(container, {
    args: ['sh', '-c', 'tty; id -u; read line; echo "got $line"; sleep 1000'],
    terminal: true,
    credentials: USER,
  });
  let text = '';
  const reading = (async (): Promise<void> => {
    for await (const { data: part } of stdio.output()) text += part.toString();
  })();
  await until(() => text.includes('1000\r\n'), text);
  await stdio.write(Buffer.from('word\n'));
  await until(() => text.includes('got word\r\n'), text);
  await stdio.write(Buffer.from('\x03'));
  assert.deepEqual(await endOf({ connection }), [130, 2]);
  await reading;
  await container.connection.request(REQUEST.signal, SIGKILL);
  await endOf(container);
});

test('resize without a terminal is refused', async () => {
  const container = ground.start({ config: { args: ['sleep', '1000'] } });
  await container.connection.started;
  await assert.rejects(container.connection.request(REQUEST.resize, 1, 1), { reason: 'ENOTTY' });
  await container.connection.request(REQUEST.signal, SIGKILL);
  await endOf(container);
});

test('clients that read and clients that sleep get all of it; the process waits for none', async () => {
  const container = await startWith({ config: { args: ['cat', '/data'] } }, [{}, {}, { stderr: false }]);
  const [fast, slow, still] = container.clients;
  assert.ok(fast !== undefined && slow !== undefined && still !== undefined);
  const fastRead = collect(fast.output());
  const slowRead = collectSlowly(slow);
  assert.deepEqual(await endOf(container), [0, 0]);
  // One that did not read anything until the shim was gone.
  const stillRead = collect(still.output());
  assert.equal(digest((await fastRead).stdout), digest(data));
  assert.equal(digest(await slowRead), digest(data));
  assert.equal(digest((await stillRead).stdout), digest(data));
});

test('a client that comes late gets what was before, then what comes, without a gap', async () => {
  const script = 'head -c 100000 /data; echo half >&2; read x; tail -c 100000 /data';
  const container = await startWith(sh(script, { config: { openStdin: true } }), []);
  const log = join(container.logsFolder, '00000001.log');
  await until(() => readFileSync(log, 'latin1').includes('half'), 'no output');
  const client = await ground.attach(container, { stdin: true });
  const output = collect(client.output());
  await client.write(Buffer.from('go on\n'));
  assert.deepEqual(await endOf(container), [0, 0]);
  const wanted = Buffer.concat([data.subarray(0, 100_000), data.subarray(-100_000)]);
  assert.equal(digest((await output).stdout), digest(wanted));
  assert.equal((await output).stderr.toString(), 'half\n');
});

test('the log goes on in the next file, and the oldest go', async () => {
  const choice = { logMaxBytes: 200_000n, logMaxFiles: 3 };
  const container = await startWith({ config: { args: ['head', '-c', '3000000', '/data'] }, ...choice }, [
    {},
  ]);
  const [client] = container.clients;
  assert.ok(client !== undefined);
  const output = collect(client.output());
  assert.deepEqual(await endOf(container), [0, 0]);
  const { stdout } = await output;
  // What was rotated away while the client slept is gone; what it has is in order.
  assert.ok(stdout.length <= 3_000_000);
  const serials = logSerials(container.logsFolder);
  const last = serials.at(-1) ?? 0;
  assert.ok(last > 10, `only ${last} files`);
  assert.deepEqual(serials, [last - 3, last - 2, last - 1, last]);
  for (const serial of serials.slice(0, -1)) {
    const { size } = statSync(join(container.logsFolder, `${String(serial).padStart(8, '0')}.log`));
    // A file ends after the read that filled it.
    assert.ok(size >= 200_000 && size < 200_000 + 2 * 65_536, `file ${serial} has ${size} bytes`);
  }
  assert.equal(readExitFile(container.runFolder)?.logSerial, last);
});

test('a log file that was moved away is made anew when asked', async () => {
  const script = 'echo one; read x; echo two';
  const container = await startWith(sh(script, { config: { openStdin: true } }), [{ stdin: true }]);
  const log = join(container.logsFolder, '00000001.log');
  await until(() => readFileSync(log, 'utf8').includes('one'), 'no output');
  renameSync(log, `${log}.moved`);
  await container.connection.request(REQUEST.reopenLog);
  await container.clients[0]?.write(Buffer.from('\n'));
  assert.deepEqual(await endOf(container), [0, 0]);
  assert.match(readFileSync(log, 'utf8'), /^\S+ stdout F two\n$/);
  container.clients[0]?.close();
});

test('output that nobody reads makes an additional process wait, and nothing is lost', async () => {
  const container = ground.start({ config: { args: ['sleep', '1000'] } });
  await container.connection.started;
  const { connection, stdio, runFolder } = await ground.exec(container, { args: ['cat', '/data'] });
  await connection.started;
  await sleep(100);
  assert.ok(!existsSync(join(runFolder, 'exit')), 'it did not wait');
  assert.equal(digest(await collectSlowly(stdio)), digest(data));
  assert.deepEqual(await endOf({ connection }), [0, 0]);
  await container.connection.request(REQUEST.signal, SIGKILL);
  await endOf(container);
});

test('an additional process whose input nobody reads loses no output', async () => {
  const container = ground.start({ config: { args: ['sleep', '1000'] } });
  await container.connection.started;
  const wanted = data.subarray(0, 3_000_000);
  const { connection, stdio } = await ground.exec(container, {
    args: ['head', '-c', '3000000', '/data'],
    openStdin: true,
  });
  let writing = true;
  const writes = (async (): Promise<void> => {
    while (writing) {
      await stdio.write(data.subarray(0, 65_536));
      await sleep(1);
    }
  })();
  const parts: Buffer[] = [];
  for await (const { data: part } of stdio.output()) {
    parts.push(Buffer.from(part));
    await sleep(2);
  }
  writing = false;
  assert.equal(digest(Buffer.concat(parts)), digest(wanted));
  assert.deepEqual(await endOf({ connection }), [0, 0]);
  await writes;
  await container.connection.request(REQUEST.signal, SIGKILL);
  await endOf(container);
});

test('a descendant that holds the output open delays no end', async () => {
  const container = ground.start({ config: { args: ['sleep', '1000'] } });
  await container.connection.started;
  const { connection, stdio } = await ground.exec(container, {
    args: ['sh', '-c', 'setsid sleep 1000 & echo told; exit 5'],
  });
  const output = collect(stdio.output());
  const before = Date.now();
  assert.deepEqual(await endOf({ connection }), [5, 0]);
  assert.ok(Date.now() - before < 1000);
  assert.equal((await output).stdout.toString(), 'told\n');
  await container.connection.request(REQUEST.signal, SIGKILL);
  await endOf(container);
});

test('a process may close its output and go on', async () => {
  const container = ground.start(sh('exec >&- 2>&-; sleep 0.1; exit 3'));
  assert.deepEqual(await endOf(container), [3, 0]);
});

test('output of a moment before the end is in the log and with the client', async () => {
  for (let i = 0; i < 10; i++) {
    const { stdout, stderr, code } = await ground.shell(`echo last ${i}; echo word >&2; exit 1`);
    assert.deepEqual([stdout, stderr, code], [`last ${i}\n`, 'word\n', 1]);
  }
  assert.equal(readdirSync(join(ground.folder, 'logs')).length, 10);
});
