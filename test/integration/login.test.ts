/** `login` and `logout`: asked of the registry, kept in Docker's form, taken by `pull`. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { TestRegistry } from '../fixtures/registry.ts';
import { answer, type PullGround, startPullGround } from './pull-ground.ts';

const SERVER = 'localhost:5001';

let ground: PullGround;
let registry: TestRegistry;
let folder: string;
let name: string;
before(async () => {
  ground = await startPullGround();
  const login = { name: 'user', password: 'pass:word' };
  registry = new TestRegistry(join(ground.host.folder, 'closed'), { port: 5001, login });
  await registry.start();
  name = await registry.put(ground.image, 'closed:1');
  folder = join(ground.host.folder, 'login');
  mkdirSync(folder);
  // Also for what runs on a terminal.
  process.env['DOCKER_CONFIG'] = folder;
  ground.host.remember();
});
afterEach(() => ground.clean());
after(async () => {
  await registry?.stop();
  await ground?.dispose();
});

const file = (): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<string, unknown>;
const login = (password: string, server = SERVER): ReturnType<PullGround['host']['cli']> =>
  ground.host.cli(['login', '-u', 'user', '--password-stdin', server], { stdin: `${password}\n` });

test('right ones are kept for the owner alone, beside what stands there, and forgotten', async () => {
  const { host } = ground;
  writeFileSync(
    join(folder, 'config.json'),
    '{"auths":{"other.example":{"auth":"eDp5"}},"detachKeys":"ctrl-x"}',
  );
  assert.equal((await login('pass:word')).stdout, 'Login Succeeded\n');
  const auth = Buffer.from('user:pass:word').toString('base64');
  const others = { 'other.example': { auth: 'eDp5' } };
  assert.deepEqual(file(), { auths: { ...others, [SERVER]: { auth } }, detachKeys: 'ctrl-x' });
  assert.equal(statSync(join(folder, 'config.json')).mode & 0o777, 0o600);
  assert.equal(await host.ok(['pull', '-q', name]), name);
  assert.equal(await host.ok(['logout', `http://${SERVER}/v2/`]), `Removing login credentials for ${SERVER}`);
  assert.deepEqual(file(), { auths: others, detachKeys: 'ctrl-x' });
  assert.equal(await host.ok(['logout', SERVER]), `Not logged in to ${SERVER}`);
  await ground.fails(/it wants credentials.*\nhint: mydocker login localhost:5001/, name);
  assert.doesNotMatch(host.log, /pass:word/);
});

test('wrong ones are not kept', async () => {
  const before = file();
  const { code, stderr } = await login('wrong');
  assert.equal(code, 125);
  assert.match(stderr, /cannot ask registry localhost:5001: it refuses the credentials/);
  assert.match((await login('x', 'localhost:5999')).stderr, /nobody answers/);
  assert.match((await login('x', 'not a host')).stderr, /is no name of a registry/);
  assert.match((await login('')).stderr, /must not be empty/);
  ground.mock.on(/^\/v2\/$/, answer(404));
  assert.match((await login('x', ground.mock.address)).stderr, /what answers is no registry/);
  assert.deepEqual(file(), before);
});

test('a token server is asked', async () => {
  const { mock } = ground;
  const bearer = `Bearer realm="http://${mock.address}/token",service="s"`;
  mock.on(/^\/v2\/$/, (request, response, count) =>
    answer(request.headers.authorization === 'Bearer good' ? 200 : 401, { 'www-authenticate': bearer })(
      request,
      response,
      count,
    ),
  );
  const basic = `Basic ${Buffer.from('user:right').toString('base64')}`;
  mock.on(/^\/token/, (request, response, count) =>
    answer(request.headers.authorization === basic ? 200 : 401, {}, '{"token":"good"}')(
      request,
      response,
      count,
    ),
  );
  assert.match((await login('wrong', mock.address)).stderr, /it refuses the credentials/);
  assert.equal((await login('right', mock.address)).stdout, 'Login Succeeded\n');
  await ground.host.ok(['logout', mock.address]);
});

test('on a terminal the password is asked for and does not show', async () => {
  const terminal = ground.host.terminal(['login', SERVER]);
  await terminal.waitFor(/Username: /);
  terminal.type('user\r');
  await terminal.waitFor(/Password: /);
  terminal.type('pass:word\r');
  assert.equal(await terminal.exit(), 0);
  assert.match(terminal.output(), /Login Succeeded/);
  assert.doesNotMatch(terminal.output(), /pass:word/);
  await ground.host.ok(['logout', SERVER]);
});

test('a helper keeps them where the configuration names one', async () => {
  const { host } = ground;
  const bin = join(ground.host.folder, 'bin');
  mkdirSync(bin);
  const kept = join(bin, 'kept');
  const script = `#!/bin/sh
case $1 in
store) cat >${kept} ;;
get) read -r server; [ "$server" = ${SERVER} ] && [ -e ${kept} ] && cat ${kept} || { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) rm -f ${kept} ;;
esac
`;
  writeFileSync(join(bin, 'docker-credential-test'), script, { mode: 0o755 });
  const env = { PATH: `${bin}:${process.env['PATH']}` };
  const config = JSON.stringify({ credHelpers: { [SERVER]: 'test' } });
  writeFileSync(join(folder, 'config.json'), config);
  const args = ['login', '-u', 'user', '--password-stdin', SERVER];
  assert.equal(await host.ok(args, { env, stdin: 'pass:word' }), 'Login Succeeded');
  assert.equal(readFileSync(join(folder, 'config.json'), 'utf8'), config);
  assert.equal(await host.ok(['pull', '-q', name], { env }), name);
  await host.ok(['logout', SERVER], { env });
  await ground.prune();
  assert.match((await host.cli(['pull', name], { env })).stderr, /it wants credentials/);
  // Without it nobody else is asked.
  assert.match(
    (await host.cli(['pull', name])).stderr,
    /docker-credential-test for credentials: it is not installed/,
  );
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ credsStore: '../../bin/sh' }));
  assert.match((await host.cli(['pull', name])).stderr, /is no name of a credential helper/);
});
