/** `run`: what a shell that calls it sees. @vm */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type Host, startHost } from '../harness/host.ts';
import { assertClean, refused, tryInside, until } from './ground.ts';

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertClean(host));
after(() => host.dispose());

test('run passes exit statuses through', async () => {
  for (const status of [0, 3, 125, 126, 127, 255]) {
    assert.equal((await tryInside(host, `exit ${status}`)).code, status);
  }
});

test('run says 128 and the signal when a signal ended the process', async () => {
  // The first process of a namespace is only ended from within by a fault of its own.
  assert.equal((await tryInside(host, 'sh -c "kill -9 \\$\\$"; exit $?')).code, 137);
  assert.equal((await tryInside(host, 'sh -c "kill -TERM \\$\\$"; exit $?')).code, 143);
  const killed = host.cli(['run', '--rm', '--name', 'victim', 'busybox', 'sleep', '1000']);
  // A kill in the middle of a start ends the start instead.
  await until(
    () => host.ok(['ps', '-r']),
    (list) => /victim +busybox +running/.test(list),
  );
  await host.ok(['kill', 'victim']);
  const { code, stdout, stderr } = await killed;
  assert.deepEqual([code, stdout, stderr], [137, '', '']);
});

test('run keeps standard output and standard error apart', async () => {
  const result = await tryInside(host, 'echo out; echo err >&2; printf "no newline"');
  assert.deepEqual(result, { code: 0, stdout: 'out\nno newline', stderr: 'err\n' });
});

test('run passes bytes through as they are, a lot of them too', async () => {
  const every = await host.cli(['run', '--rm', 'busybox', 'printf', '\\000\\001\\377\\r\\n\\033[0m']);
  assert.equal(every.stdout, Buffer.from([0, 1, 0xff, 13, 10, 27, 91, 48, 109]).toString());
  const { code, stdout } = await tryInside(host, 'seq 1 200000');
  assert.equal(code, 0);
  assert.equal(stdout, `${Array.from({ length: 200_000 }, (_, index) => index + 1).join('\n')}\n`);
});

test('run hands arguments over as they are', async () => {
  const words = ['', ' ', '*', '$HOME', '"', "'", '\\', '--', '-x', 'a\nb', 'ünï'];
  const { stdout } = await host.cli([
    'run',
    '--rm',
    'busybox',
    'sh',
    '-c',
    'printf "[%s]" "$@"',
    'sh',
    ...words,
  ]);
  assert.equal(stdout, words.map((word) => `[${word}]`).join(''));
});

test('run without -i has an empty standard input', async () => {
  const { stdout } = await host.cli(['run', '--rm', 'busybox', 'cat'], { stdin: 'not for it\n' });
  assert.equal(stdout, '');
  assert.equal(await host.ok(['run', '--rm', 'busybox', 'readlink', '/proc/self/fd/0']), '/dev/null');
});

test('run -i hands standard input over, and its end', async () => {
  assert.equal(await host.ok(['run', '--rm', '-i', 'busybox', 'cat'], { stdin: 'x\n' }), 'x');
  assert.equal(await host.ok(['run', '--rm', '-i', 'busybox', 'wc', '-c'], { stdin: '' }), '0');
  const large = Buffer.alloc(5 << 20, 'a');
  assert.equal(
    await host.ok(['run', '--rm', '-i', 'busybox', 'wc', '-c'], { stdin: large }),
    String(5 << 20),
  );
  // A process that does not read is no reason to wait.
  assert.equal((await host.cli(['run', '--rm', '-i', 'busybox', 'true'], { stdin: large })).code, 0);
});

test('run goes on writing after its input has ended', async () => {
  const script = 'cat; sleep 0.2; echo after; echo error >&2; exit 4';
  const { code, stdout, stderr } = await host.cli(['run', '--rm', '-i', 'busybox', 'sh', '-c', script], {
    stdin: 'before\n',
  });
  assert.deepEqual([code, stdout, stderr], [4, 'before\nafter\n', 'error\n']);
});

test('run -d prints 64 hex digits and goes on', async () => {
  const id = await host.ok(['run', '-d', '--name', 'background', 'busybox', 'sleep', '1000']);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.match(await host.ok(['ps']), new RegExp(`^${id.slice(0, 12)} +background +busybox +running `, 'm'));
  await host.ok(['rm', '-f', 'background']);
});

test('run without --rm keeps the container, run --rm does not', async () => {
  assert.equal((await host.cli(['run', '--name', 'kept', 'busybox', 'sh', '-c', 'exit 3'])).code, 3);
  assert.match(await host.ok(['ps']), /kept +busybox +stopped \(3\)/);
  await host.ok(['rm', 'kept']);
  assert.equal((await host.cli(['run', '--rm', '--name', 'gone', 'busybox', 'sh', '-c', 'exit 3'])).code, 3);
  assert.doesNotMatch(await host.ok(['ps']), /gone/);
  // The name is free at once.
  await host.ok(['run', '--rm', '--name', 'gone', 'busybox', 'true']);
  const id = await host.ok(['run', '-d', '--rm', 'busybox', 'true']);
  await until(
    () => host.ok(['ps', '-q', '--no-trunc']),
    (ids) => !ids.includes(id),
  );
});

test('run tells by its exit status why a program did not run', async () => {
  const command = (...words: string[]): string[] => ['run', '--rm', 'busybox', ...words];
  await refused(host, command('no-such-program'), /cannot start container .*"no-such-program": ENOENT/, 127);
  await refused(host, command('/no/such'), /"\/no\/such": ENOENT/, 127);
  await refused(host, command('/etc/passwd/x'), /ENOENT|ENOTDIR/, 127);
  await refused(host, command('/etc'), /"\/etc": EACCES/, 126);
  await refused(host, command('/etc/passwd'), /"\/etc\/passwd": EACCES \(it is not executable/, 126);
  assert.doesNotMatch(await host.ok(['ps']), /busybox/);
});

test('run refuses what cannot be, with a hint', async () => {
  await refused(
    host,
    ['run', 'nosuch', 'true'],
    /no such image here: nosuch; pulling it\n.*cannot pull image nosuch/,
  );
  await refused(host, ['run', 'UPPER', 'true'], /invalid image reference "?UPPER/);
  await refused(
    host,
    ['run', '--nme', 'x', 'busybox', 'true'],
    /unknown option --nme\nhint: did you mean --name/,
  );
  await refused(host, ['run', '--name', 'a/b', 'busybox', 'true'], /invalid container name[\s\S]*hint/);
  await refused(host, ['run'], /no image given|too few/);
  await refused(host, ['run', 'busybox'], /no command was given and the image has none\nhint: /);
  await refused(host, ['run', 'busybox', ''], /the command is an empty word/, 127);
  await refused(host, ['run', '-u', 'nobody2', 'busybox', 'true'], /cannot find user "?nobody2"?[\s\S]*hint/);
  await refused(host, ['run', '-m', '1k', 'busybox', 'true'], /memory limit[\s\S]*6 MiB/);
  await refused(host, ['run', '-m', '12x', 'busybox', 'true'], /invalid size "12x"/);
  await refused(host, ['run', '-v', '/a:/b:/c:/d', 'busybox', 'true'], /invalid volume/);
  await refused(host, ['run', '-v', 'n:/b', 'busybox', 'true'], /invalid volume name n: it must be/);
  await refused(
    host,
    ['run', '--network', 'lan', 'busybox', 'true'],
    /cannot find network lan: no such network\nhint: mydocker networks/,
  );
  await refused(host, ['run', '-e', '=x', 'busybox', 'true'], /its name is empty/);
  await refused(host, ['run', '-d', '-a', 'stdin', 'busybox', 'true'], /exclude each other/);
  await refused(host, ['run', '-it', 'busybox', 'true'], /not a TTY/);
  await refused(host, ['runn', 'busybox', 'true'], /unknown command[\s\S]*did you mean/);
  for (const name of (await host.ok(['ps', '-q'])).split('\n').filter(Boolean)) await host.ok(['rm', name]);
});

test('run takes options in every spelling of its ancestors', async () => {
  const words = ['-name', 'styles', '-rm', '-e=A=1', '-eB=2', '--env=C=3', '-cpushare', '512', '-mem', '64m'];
  assert.equal(await host.ok(['run', ...words, '-net', 'none', 'busybox', 'sh', '-c', 'echo $A$B$C']), '123');
  // Options end at the image: what follows is the command's.
  assert.equal(await host.ok(['run', '--rm', 'busybox', 'echo', '--rm', '-d']), '--rm -d');
});

test('two that want a name: one has it, and says so', async () => {
  await host.ok(['create', '--name', 'taken', 'busybox', 'true']);
  await refused(host, ['run', '--name', 'taken', 'busybox', 'true'], /taken[\s\S]*(exists|in use)/);
  const tries = await Promise.all(
    Array.from({ length: 6 }, () => host.cli(['create', '--name', 'wanted', 'busybox', 'true'])),
  );
  assert.equal(tries.filter(({ code }) => code === 0).length, 1);
  await host.ok(['rm', 'taken', 'wanted']);
});
