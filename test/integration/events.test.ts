/** `events`: what is told of a container's life, in which order and in which words. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

/** What was told since then, as a template shows it. */
async function told(since: number, format: string, ...filters: string[]): Promise<string[]> {
  const range = ['--since', String(since / 1000), '--until', String((Date.now() + 1) / 1000)];
  const text = await host.ok(['events', ...range, '--format', format, ...filters.flatMap((f) => ['-f', f])]);
  return text.split('\n').filter(Boolean);
}

test('a container’s life, each step in its place', async () => {
  const began = Date.now();
  const id = await host.ok(['run', '-d', '--name', 'life', '-l', 'a=b', 'busybox', 'sleep', '1000']);
  assert.equal((await host.cli(['exec', 'life', 'sh', '-c', 'exit 3'])).code, 3);
  await host.ok(['kill', '-s', 'USR1', 'life']);
  await host.ok(['rename', 'life', 'other']);
  await host.ok(['restart', '-t', '0', 'other']);
  await host.ok(['stop', '-t', '0', 'other']);
  await host.ok(['rm', 'other']);
  assert.deepEqual(await told(began, '{{.Action}}', `container=${id}`), [
    ...[
      'create',
      'start',
      'exec_create: sh -c exit 3',
      'exec_start: sh -c exit 3',
      'exec_die',
      'kill',
      'rename',
    ],
    ...['kill', 'kill', 'die', 'stop', 'start', 'restart', 'kill', 'kill', 'die', 'stop', 'destroy'],
  ]);
  const all = await told(
    began,
    '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.From}} {{.Actor.Attributes.exitCode}} {{.Actor.Attributes.signal}}',
    `container=${id}`,
  );
  assert.equal(all[4], 'container exec_die life busybox 3 <no value>');
  assert.equal(all[5], 'container kill life busybox <no value> 10');
  assert.match(all[8] ?? '', /^container kill other busybox <no value> 9$/);
  assert.match(all[9] ?? '', /^container die other busybox 137 /);
  const [renamed] = await told(
    began,
    '{{.Actor.Attributes.oldName}} {{.Actor.Attributes.name}}',
    `container=${id}`,
    'event=rename',
  );
  assert.equal(renamed, '/life other');
  const [exec] = await told(began, 'json', 'event=exec_die', `container=${id}`);
  const { Actor, status, timeNano } = JSON.parse(exec ?? '');
  assert.deepEqual([Actor.ID, status, Actor.Attributes.exitCode], [id, 'exec_die', '3']);
  assert.match(Actor.Attributes.execID, /^[0-9a-f]{16}$/);
  assert.ok(timeNano > began * 1e6);
});

test('the usual line has Docker’s form', async () => {
  const began = Date.now();
  const id = await host.ok([
    'run',
    '-d',
    '--rm',
    '--name',
    'line',
    '-l',
    'a=b',
    'busybox',
    'sh',
    '-c',
    'exit 7',
  ]);
  await host.cli(['wait', id]);
  const range = ['--since', String(began / 1000), '--until', String((Date.now() + 1) / 1000)];
  const text = await host.ok(['events', ...range, '-f', 'event=die', '-f', 'type=container']);
  assert.match(
    text,
    new RegExp(
      `^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}Z container die ${id} \\((?:a=b, )?exitCode=7, image=busybox, name=line\\)$`,
    ),
  );
});

test('networks tell who comes and goes, also where a start fails', async () => {
  const began = Date.now();
  const id = await host.ok(['run', '-d', '--name', 'net', 'busybox', 'sleep', '1000']);
  await host.ok(['rm', '-f', 'net']);
  await refused(host, ['run', '--rm', '--name', 'none', 'busybox', 'nosuch'], /nosuch/, 127);
  await host.ok(['run', '--rm', '--network', 'none', 'busybox', 'true']);
  const [first, second, ...failed] = await told(
    began,
    '{{.Action}} {{.Actor.Attributes.container}} {{.Actor.Attributes.type}}',
    'type=network',
  );
  assert.deepEqual([first, second], [`connect ${id} bridge`, `disconnect ${id} bridge`]);
  assert.deepEqual(
    failed.map((line) => line.split(' ')[0]),
    ['connect', 'disconnect'],
  );
});

test('attach, detach, resize and a killed process that wanted too much memory', async () => {
  const began = Date.now();
  const id = await host.ok(['create', '-it', '--name', 'term', 'busybox', 'sh']);
  const terminal = host.terminal(['start', '-ai', 'term']);
  await terminal.waitFor(/# /);
  terminal.resize(33, 99);
  await until(
    () => told(began, '{{.Action}} {{.Actor.Attributes.height}}x{{.Actor.Attributes.width}}', 'event=resize'),
    (lines) => lines.includes('resize 33x99'),
  );
  terminal.type('\x10\x11');
  await terminal.exit();
  await host.ok(['rm', '-f', 'term']);
  const actions = (await told(began, '{{.Action}}', `container=${id}`)).filter(
    (action) => action !== 'resize',
  );
  assert.deepEqual(actions, ['create', 'task_create', 'attach', 'start', 'detach', 'kill', 'die', 'destroy']);
  await host.cli([
    'run',
    '--name',
    'hungry',
    '-m',
    '8m',
    'busybox',
    'sh',
    '-c',
    'x=aaaa; while :; do x=$x$x; done',
  ]);
  assert.deepEqual(await told(began, '{{.Action}}', 'container=hungry', 'event=oom', 'event=die'), [
    'oom',
    'die',
  ]);
  await host.ok(['rm', 'hungry']);
});

test('conditions', async () => {
  const began = Date.now();
  for (const name of ['e1', 'e2'])
    await host.ok(['create', '--name', name, '-l', `n=${name}`, 'busybox', 'true']);
  await host.ok(['tag', 'busybox', 'evt:1']);
  const actions = (...filters: string[]): Promise<string[]> =>
    told(began, '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}', ...filters);
  assert.deepEqual(await actions('container=e1'), ['container create e1']);
  assert.deepEqual(await actions('container=e1', 'container=e2'), [
    'container create e1',
    'container create e2',
  ]);
  assert.deepEqual(await actions('label=n=e2'), ['container create e2']);
  assert.deepEqual(await actions('type=image', 'event=tag'), ['image tag evt:1']);
  assert.equal((await actions('image=busybox', 'type=container')).length, 2);
  assert.deepEqual(await actions('type=network'), []);
  await host.ok(['rm', 'e1', 'e2']);
  assert.deepEqual(await actions('event=destroy'), ['container destroy e1', 'container destroy e2']);
  await host.ok(['rmi', 'evt:1']);
  await refused(host, ['events', '-f', 'event=explode'], /invalid event "explode"/);
  await refused(host, ['events', '--format', '{{.Action'], /invalid template/);
});
