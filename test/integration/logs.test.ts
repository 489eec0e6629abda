/** `logs`: everything that a container wrote, and nothing else. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { LogFormat, OutputStream } from '../../proto/gen/mydocker/v1/tasks.ts';
import { exitCode } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, outputOf, refused, until, untilLogged } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

const run = async (name: string, script: string): Promise<void> => {
  await host.ok(['run', '-d', '--name', name, 'busybox', 'sh', '-c', script]);
};

test('logs prints both streams, apart and in order, the unfinished line too', async () => {
  await run('both', 'echo one; echo two >&2; sleep 0.1; echo three; printf "no newline"');
  await host.ok(['wait', 'both']);
  const { code, stdout, stderr } = await host.cli(['logs', 'both']);
  assert.deepEqual([code, stdout, stderr], [0, 'one\nthree\nno newline', 'two\n']);
  await host.ok(['rm', 'both']);
  await refused(host, ['logs', 'both'], /no such container/);
});

test('logs of one that never ran is empty', async () => {
  await host.ok(['create', '--name', 'new', 'busybox', 'true']);
  assert.equal(await host.ok(['logs', 'new']), '');
  assert.equal(await host.ok(['logs', '-f', 'new']), '');
  await host.ok(['rm', 'new']);
});

test('logs keeps bytes and long lines as they are', async () => {
  await run(
    'bytes',
    "printf 'a\\000b\\377\\r\\n\\033[31m'; yes x | tr -d '\\n' | head -c 100000; echo; echo end",
  );
  await host.ok(['wait', 'bytes']);
  const expected = Buffer.concat([
    Buffer.from([97, 0, 98, 0xff, 13, 10]),
    Buffer.from('\x1b[31m'),
  ]).toString();
  const { stdout } = await host.cli(['logs', 'bytes']);
  assert.ok(stdout === `${expected}${'x'.repeat(100_000)}\nend\n`, JSON.stringify(stdout.slice(0, 50)));
  const stamped = await host.ok(['logs', '-t', '-n', '2', 'bytes']);
  const [long = '', last = ''] = stamped.split('\n');
  // No pattern: it would try each of the many places where the run of letters could begin.
  assert.ok(long.endsWith('x'.repeat(100_000)) && /^\S+Z \S+$/.test(long), JSON.stringify(long.slice(0, 80)));
  assert.match(last, /^\S+Z end$/);
  await host.ok(['rm', 'bytes']);
});

test('logs --tail counts lines', async () => {
  await run('tail', 'seq 1 5000; printf last');
  await host.ok(['wait', 'tail']);
  const tail = async (n: string): Promise<string> => (await host.cli(['logs', '-n', n, 'tail'])).stdout;
  assert.equal(await tail('3'), '4999\n5000\nlast');
  assert.equal(await tail('0'), '');
  assert.equal((await tail('2000')).split('\n').length, 2000);
  assert.equal((await tail('99999')).split('\n').length, 5001);
  assert.equal(await tail('all'), await tail('-1'));
  await refused(host, ['logs', '--tail', 'x', 'tail'], /invalid value "x"/);
  await host.ok(['rm', 'tail']);
});

test('logs -t puts the time before each line, --since and --until cut', async () => {
  await run('times', 'echo early; sleep 1.2; echo late');
  await host.ok(['wait', 'times']);
  const lines = (await host.ok(['logs', '-t', 'times'])).split('\n');
  const times = lines.map(
    (line) => /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (early|late)$/.exec(line)?.[1] ?? '',
  );
  assert.ok(
    times.every((time) => Math.abs(Date.parse(time) - Date.now()) < 60_000),
    lines.join(),
  );
  const middle = new Date((Date.parse(times[0] ?? '') + Date.parse(times[1] ?? '')) / 2).toISOString();
  assert.equal(await host.ok(['logs', '--since', middle, 'times']), 'late');
  assert.equal(await host.ok(['logs', '--until', middle, 'times']), 'early');
  assert.equal(await host.ok(['logs', '--since', '1h', 'times']), 'early\nlate');
  assert.equal(await host.ok(['logs', '--since', String(Date.now() / 1000 + 60), 'times']), '');
  await refused(host, ['logs', '--since', 'yesterday', 'times'], /invalid time "yesterday"[\s\S]*hint/);
  await host.ok(['rm', 'times']);
});

test('logs -f shows what comes and ends with the container', async () => {
  await run('follow', 'for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.1; done; echo err >&2');
  const { code, stdout, stderr } = await host.cli(['logs', '-f', 'follow']);
  assert.equal(code, 0);
  assert.equal(stdout, [1, 2, 3, 4, 5, 6, 7, 8].map((i) => `line ${i}\n`).join(''));
  assert.equal(stderr, 'err\n');
  assert.equal(await host.ok(['logs', '-f', '-n', '1', 'follow']), '');
  assert.equal(await host.ok(['logs', '-f', '-n', '2', 'follow']), 'line 8');
  await host.ok(['rm', 'follow']);
});

test('logs -f of a container that goes with its end has all of it', async () => {
  const script = 'sleep 0.3; seq 1 20000; echo end >&2';
  await host.ok(['run', '-d', '--rm', '--name', 'gone', 'busybox', 'sh', '-c', script]);
  const followers = ['-f', '-ft'].map((options) => host.cli(['logs', options, 'gone']));
  const [raw, stamped] = await Promise.all(followers);
  assert.equal(raw?.stdout, Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join(''));
  assert.equal(raw?.stderr, 'end\n');
  assert.equal(stamped?.stdout.split('\n').length, 20_001);
  await until(
    () => host.ok(['ps', '-q']),
    (ids) => ids === '',
  );
});

test('a reader who reads nothing does not keep a container that goes with its end', async () => {
  await host.ok(['run', '-d', '--rm', '--name', 'gone', 'busybox', 'sh', '-c', 'yes | head -c 50000000']);
  const reader = host.spawn(['logs', '-f', 'gone']);
  await until(
    () => host.ok(['ps', '-q']),
    (ids) => ids === '',
  );
  reader.kill('SIGKILL');
});

test('logs -f --until ends then', async () => {
  await run('ticks', 'while :; do echo tick; sleep 0.05; done');
  const begin = Date.now();
  const end = new Date(begin + 1000).toISOString();
  const text = await host.ok(['logs', '-f', '--details', '--until', end, 'ticks']);
  assert.ok(Date.now() - begin >= 1000);
  assert.match(text, /^(tick\n)+tick$/);
  await host.ok(['rm', '-f', 'ticks']);
});

test('logs -f ends with a removal, and a follower that goes disturbs nobody', async () => {
  await run('short', 'while :; do echo tick; sleep 0.05; done');
  const leaver = host.spawn(['logs', '-f', 'short']);
  leaver.stdout?.resume();
  const followers = [0, 1].map(() => host.spawn(['logs', '-f', '--tail', '0', 'short']));
  const texts = followers.map((follower) => outputOf(follower));
  await until(
    () => texts.map((text) => text()),
    (all) => all.every((text) => text !== ''),
  );
  leaver.kill('SIGKILL');
  await host.ok(['rm', '-f', 'short']);
  for (const follower of followers) assert.equal(await exitCode(follower), 0);
  for (const text of texts) assert.match(text(), /^(tick\n)+$/);
});

test('the log goes on over runs and over a new server', async () => {
  await host.ok(['create', '--name', 'runs', 'busybox', 'sh', '-c', 'echo begin; sleep 1000']);
  await host.ok(['start', 'runs']);
  await untilLogged(host, 'runs', /begin/);
  await host.restart();
  await host.ok(['restart', '-t', '0', 'runs']);
  await until(
    () => host.ok(['logs', 'runs']),
    (text) => text === 'begin\nbegin',
  );
  await host.ok(['rm', '-f', 'runs']);
});

test('the API tells the last run from those before it, and follows it alone', async () => {
  await host.ok(['run', '-d', '--name', 'runs', 'busybox', 'sh', '-c', 'echo begin; sleep 1000']);
  await untilLogged(host, 'runs', /begin/);
  const idOf = async (): Promise<string> =>
    (await host.api.tasks.getTask({ container: 'runs' })).task?.run?.runId ?? '';
  const first = await idOf();
  await host.ok(['restart', '-t', '0', 'runs']);
  await untilLogged(host, 'runs', /begin\nbegin/);
  const runId = await idOf();
  const logOf = async (id: string, follow = false, begun = (): void => undefined): Promise<string> => {
    const pieces: Uint8Array[] = [];
    const request = { container: 'runs', runId: id, follow, format: LogFormat.RAW };
    for await (const { frame } of host.api.tasks.readTaskLogs(request))
      if (frame?.$case === 'stdout') {
        pieces.push(frame.value);
        begun();
      }
    return Buffer.concat(pieces).toString();
  };
  assert.equal(await logOf(runId), 'begin\n');
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const followed = logOf(runId, true, resolve);
  await begun;
  await host.ok(['restart', '-t', '0', 'runs']);
  assert.equal(await followed, 'begin\n');
  await assert.rejects(logOf(first), /is not its last one/);
  await host.ok(['rm', '-f', 'runs']);
});

test('an additional process writes to whoever asked for it, not to the log', async () => {
  await run('main', 'echo main; sleep 1000');
  await untilLogged(host, 'main', /main/);
  assert.equal(await host.ok(['exec', 'main', 'echo', 'exec']), 'exec');
  assert.equal(await host.ok(['logs', 'main']), 'main');
  await host.ok(['rm', '-f', 'main']);
});

test('the API gives entries with stream, time and the parts of long lines', async () => {
  await run(
    'entries',
    'echo out; sleep 0.1; echo err >&2; sleep 0.1; yes y | tr -d "\\n" | head -c 300000; echo',
  );
  await host.ok(['wait', 'entries']);
  const entries = [];
  for await (const { frame } of host.api.tasks.readTaskLogs({
    container: 'entries',
    format: LogFormat.ENTRIES,
  })) {
    if (frame?.$case === 'entries') entries.push(...frame.value.entries);
  }
  const [out, err, ...long] = entries;
  assert.deepEqual([out?.stream, Buffer.from(out?.data ?? []).toString()], [OutputStream.STDOUT, 'out\n']);
  assert.deepEqual([err?.stream, Buffer.from(err?.data ?? []).toString()], [OutputStream.STDERR, 'err\n']);
  assert.ok(Buffer.concat(long.map(({ data }) => data)).toString() === `${'y'.repeat(300_000)}\n`);
  const parts = long.map(({ data, partial }) => `${data.length}${partial ? '…' : ''}`);
  assert.match(parts.join(' '), /^(\d+… )+\d+$/);
  const only = [];
  const request = { container: 'entries', format: LogFormat.RAW, streams: [OutputStream.STDERR] };
  for await (const { frame } of host.api.tasks.readTaskLogs(request)) only.push(frame?.$case);
  assert.deepEqual(only, ['stderr']);
  await host.ok(['rm', 'entries']);
});
