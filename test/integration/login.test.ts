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

test('a token server may give a token to keep instead of the password', async () => {
  const { mock, host } = ground;
  const bearer = `Bearer realm="http://${mock.address}/token",service="s"`;
  mock.on(/^\/v2\//, (request, response, count) =>
    request.headers.authorization === 'Bearer good'
      ? request.url === '/v2/' && answer(200)(request, response, count)
      : answer(401, { 'www-authenticate': bearer })(request, response, count),
  );
  let refresh = 'a\\r\\nx: y';
  const basic = `Basic ${Buffer.from('user:right').toString('base64')}`;
  mock.on(/^\/token/, (request, response, count) => {
    const form = new URLSearchParams(request.body);
    const isKnown = request.method === 'POST' && form.get('refresh_token') === refresh;
    const isIn = request.headers.authorization === basic || isKnown;
    const body = request.url.includes('offline_token=true')
      ? `"token":"good","refresh_token":"${refresh}"`
      : '"access_token":"good"';
    return answer(isIn ? 200 : 401, {}, `{${body}}`)(request, response, count);
  });
  assert.match((await login('right', mock.address)).stderr, /has a refresh token that is none/);
  refresh = 'to-be-kept';
  assert.match((await login('right', mock.address)).stderr, /a token instead of the password is kept in/);
  const kept = file()['auths'] as Record<string, unknown>;
  const auth = Buffer.from('user:').toString('base64');
  assert.deepEqual(kept[mock.address], { auth, identitytoken: refresh });
  mock.seen.length = 0;
  await ground.host.ok(['pull', '-q', ground.name]);
  const asked = mock.seen.filter(({ url }) => url.startsWith('/token'));
  assert.deepEqual(
    asked.map(({ method, body }) => [method, Object.fromEntries(new URLSearchParams(body))]),
    [
      [
        'POST',
        {
          ...{ grant_type: 'refresh_token', client_id: 'mydocker', refresh_token: refresh },
          ...{ service: 's', scope: 'repository:app:pull' },
        },
      ],
    ],
  );
  // A login asks anew, and does not take a token that an earlier one got.
  assert.match((await login('wrong', mock.address)).stderr, /it refuses the credentials/);
  await host.ok(['logout', mock.address]);
  await ground.prune();
  // With a program that keeps secrets it is told apart by its name.
  const bin = join(host.folder, 'store');
  mkdirSync(bin);
  const script = `#!/bin/sh
case $1 in
store) cat >${bin}/kept ;;
get) cat ${bin}/kept ;;
esac
`;
  writeFileSync(join(bin, 'docker-credential-all'), script, { mode: 0o755 });
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ credsStore: 'all' }));
  const env = { PATH: `${bin}:${process.env['PATH']}` };
  await host.ok(['login', '-u', 'user', '--password-stdin', mock.address], { env, stdin: 'right' });
  assert.deepEqual(JSON.parse(readFileSync(join(bin, 'kept'), 'utf8')), {
    ...{ ServerURL: mock.address, Username: '<token>', Secret: refresh },
  });
  await host.ok(['pull', '-q', ground.name], { env });
  // What it says is taken within limits.
  writeFileSync(join(bin, 'docker-credential-all'), '#!/bin/sh\nyes', { mode: 0o755 });
  assert.match(
    (await host.cli(['pull', ground.name], { env })).stderr,
    /docker-credential-all failed with status/,
  );
  writeFileSync(join(folder, 'config.json'), '{}');
  assert.doesNotMatch(host.log, /to-be-kept/);
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
