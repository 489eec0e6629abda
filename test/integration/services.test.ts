/** Services as their images want to run: loaded from an archive, as their user, by their entrypoint, on a volume. */
import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { servicesArchive } from '../fixtures/services-image.ts';
import { type Host, startHost } from '../harness/host.ts';
import { HOST_NEXT_DOOR, makeTopology, NEIGHBOUR_ADDRESS, type Topology } from '../harness/topology.ts';
import { assertClean, until } from './ground.ts';

let topology: Topology;
let host: Host;
before(async () => {
  topology = await makeTopology();
  host = await startHost();
  const told = await host.ok(['load', '-i', servicesArchive()], { timeoutMs: 300_000 });
  assert.match(told, /nginx:test[\s\S]*mariadb:test/);
  host.remember();
});
afterEach(() => assertClean(host));
after(async () => {
  await host.dispose();
  await topology.dispose();
});

interface Inspected {
  readonly exit: { readonly exitStatus: number; readonly signal: number };
  readonly config: { readonly mounts: readonly { readonly volume: { readonly name: string } }[] };
}

const inspected = async (name: string): Promise<Inspected> =>
  (JSON.parse(await host.ok(['inspect', '--format', 'api', name])) as [Inspected])[0];

/** A request over the container's own loopback, or the socket that the service listens on. */
const GET = `exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3`;
const get = (): Promise<string> => host.ok(['exec', 'web', 'bash', '-c', GET]);

test('nginx answers, stops by its own signal, and its pages stay', async () => {
  await host.ok(['run', '-d', '--name', 'web', '-p', '80:8080', 'nginx:test']);
  await until(
    () => host.cli(['exec', 'web', 'bash', '-c', GET]),
    ({ stdout }) => stdout.includes('hello from nginx'),
  );
  assert.match(await host.ok(['ps']), / 80->8080 /);
  // Another host reads its pages, and stands in its log.
  const script = `fetch('http://${HOST_NEXT_DOOR}/').then((r) => r.text()).then((text) => process.stdout.write(text))`;
  assert.match(topology.neighbour.run(process.execPath, '-e', script).output, /hello from nginx/);
  assert.match(await host.ok(['logs', 'web']), new RegExp(`^${NEIGHBOUR_ADDRESS} .*GET / `, 'm'));
  // Nobody of it is root, and what the image says of privileges counts for nothing.
  const facts = await host.ok([
    'exec',
    'web',
    'sh',
    '-c',
    'id -un; grep -h -E "^(Uid|CapEff|CapBnd)" /proc/[0-9]*/status | sort | uniq',
  ]);
  assert.deepEqual(facts.split('\n'), [
    'www-data',
    'CapBnd:\t00000000a80425fb',
    'CapEff:\t0000000000000000',
    'Uid:\t33\t33\t33\t33',
  ]);
  await host.ok(['exec', 'web', 'sh', '-c', 'echo mine >/srv/www/index.html']);
  assert.match(await get(), /^HTTP\/1\.1 200 OK[\s\S]*mine/);
  await host.ok(['stop', '-t', '60', 'web']);
  assert.deepEqual((await inspected('web')).exit.exitStatus, 0);
  assert.match((await host.cli(['logs', 'web'])).stderr, /signal 3 \(SIGQUIT\) received[\s\S]*exit/);
  await host.ok(['start', 'web']);
  await until(
    () => host.cli(['exec', 'web', 'bash', '-c', GET]),
    ({ stdout }) => stdout.includes('mine'),
  );
  const [mount] = (await inspected('web')).config.mounts;
  const data = join(host.root, 'volumes', mount?.volume.name ?? '', 'data');
  assert.deepEqual([statSync(data).uid, readdirSync(data)], [33, ['index.html']]);
  await host.ok(['rm', '-f', '-v', 'web']);
});

const sql = (statement: string): Promise<string> =>
  host.ok(['exec', 'db', 'mariadb', '--socket=/tmp/mysqld.sock', '-N', '-e', statement]);

test('MariaDB keeps its tables over stop, start and a server that is killed', async () => {
  await host.ok(['run', '-d', '--name', 'db', '-m', '512m', 'mariadb:test']);
  const ready = (): Promise<unknown> =>
    until(
      () => host.cli(['exec', 'db', 'mariadb-admin', '--socket=/tmp/mysqld.sock', 'ping']),
      ({ code }) => code === 0,
      60_000,
    );
  await ready();
  assert.equal(await host.ok(['exec', 'db', 'sh', '-c', 'id -un; pwd']), 'mysql\n/var/lib/mysql');
  await sql('create database shop; create table shop.t (id int primary key, name text) engine=innodb');
  await sql("insert into shop.t values (1, 'one'), (2, 'two')");
  assert.equal(await sql('select name from shop.t order by id'), 'one\ntwo');
  await host.ok(['stop', '-t', '30', 'db']);
  assert.equal((await inspected('db')).exit.exitStatus, 0);
  assert.match((await host.cli(['logs', 'db'])).stderr, /Shutdown complete/);
  await host.kill9();
  await host.start();
  await host.ok(['start', 'db']);
  await ready();
  await sql("insert into shop.t values (3, 'three')");
  assert.equal(await sql('select count(*) from shop.t'), '3');
  // A crash of the database is the database's to mend, from what the volume has.
  await host.ok(['kill', 'db']);
  await host.ok(['wait', 'db']);
  await host.ok(['start', 'db']);
  await ready();
  assert.equal(await sql('select name from shop.t where id = 3'), 'three');
  await host.ok(['rm', '-f', '-v', 'db']);
});
