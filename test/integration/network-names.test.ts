/** Names that containers know each other by, and who asks the rest of the world on their behalf. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { after, afterEach, before, test } from 'node:test';
import { exitCode } from '../harness/cli.ts';
import { type Host, startHost } from '../harness/host.ts';
import { INTERNET_ADDRESS, makeTopology, type Topology } from '../harness/topology.ts';
import { assertCleanNetworks, inside, until } from './ground.ts';

/** Answers every question about a name with a dot with 192.0.2.99, and tells each. */
const UPSTREAM = `
  const answer = (m) => {
    let end = 12; const labels = [];
    while (m[end] !== 0) { labels.push(m.toString('latin1', end + 1, end + 1 + m[end])); end += 1 + m[end]; }
    console.log(labels.join('.'));
    const head = Buffer.from(m.subarray(0, end + 5));
    head.writeUInt16BE(0x8180, 2); head.writeUInt16BE(0, 10);
    if (labels.length < 2) head.writeUInt16BE(0x8183, 2);
    if (labels.length < 2 || m.readUInt16BE(end + 1) !== 1) return head;
    head.writeUInt16BE(1, 6);
    return Buffer.concat([head, Buffer.from('c00c00010001000000050004c0000263', 'hex')]);
  };
  const udp = require('node:dgram').createSocket('udp4').bind(53, '${INTERNET_ADDRESS}');
  udp.on('message', (m, from) => udp.send(answer(m), from.port, from.address));
  require('node:net').createServer((s) => s.on('error', () => {}).on('data', (m) => {
    const a = answer(m.subarray(2)); const l = Buffer.alloc(2); l.writeUInt16BE(a.length); s.end(Buffer.concat([l, a])); })).listen(53);
  udp.on('listening', () => console.log('ready'));`;

let topology: Topology;
let host: Host;
let upstream: ChildProcess;
let asked = '';
before(async () => {
  topology = await makeTopology();
  upstream = spawn('nsenter', ['-t', String(topology.internet.pid), '-n', process.execPath, '-e', UPSTREAM]);
  upstream.stdout?.setEncoding('utf8').on('data', (text: string) => {
    asked += text;
  });
  await until(
    () => asked,
    (text) => text.includes('ready'),
  );
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertCleanNetworks(host));
after(async () => {
  try {
    await host.dispose();
  } finally {
    upstream.kill('SIGKILL');
    await exitCode(upstream);
    await topology.dispose();
  }
});

const DNS = ['--dns', INTERNET_ADDRESS];
const FOREVER = ['busybox', 'sleep', '1000'];
const within = (name: string, script: string): Promise<string> => host.ok(['exec', name, 'sh', '-c', script]);
/** The addresses that a name has, as a program's resolver sees them. */
const look = (name: string): string =>
  `nslookup ${name} 2>&1 | sed -n '3,$s/^Address.*: //p' | sort | tr '\\n' ' '`;
const addressIn = async (container: string, network: string): Promise<string> => {
  const [{ endpoints }] = JSON.parse(await host.ok(['inspect', '--format', 'api', container]));
  const place = endpoints.find((one: { network: string }) => one.network === network);
  return place.ipv4Address.split('/')[0];
};

test('neighbours find each other by name, alias and id while they run, before and after the server does', async () => {
  await host.ok(['network', 'create', '--ipv6', 'a']);
  await host.ok(['network', 'create', 'b']);
  const pair = ['--network-alias', 'pair'];
  await host.ok(['run', '-d', '--name', 'web', ...DNS, '--network', 'a', ...pair, ...FOREVER]);
  const id = await host.ok([
    'run',
    '-d',
    '--name',
    'DB',
    '--network',
    'a',
    '--network-alias',
    'store',
    ...pair,
    ...FOREVER,
  ]);
  await host.ok(['run', '-d', '--name', 'far', ...DNS, '--network', 'b', ...FOREVER]);
  const db = await addressIn('DB', 'a');
  const [{ endpoints }] = JSON.parse(await host.ok(['inspect', '--format', 'api', 'DB']));
  const db6 = endpoints[0].ipv6Address.split('/')[0];
  for (const name of ['db', 'store', id.slice(0, 12)])
    assert.equal((await within('web', look(name))).trim(), [db, db6].sort().join(' '), name);
  // A name of two is an answer with both.
  assert.equal((await within('web', look('pair'))).split(' ').filter(Boolean).length, 4);
  assert.match(await within('web', `ping -c 1 -W 2 db`), /1 packets received/);
  assert.match(await within('web', `nslookup ${db}`), /DB/);
  // Not of another network, until one stands there too.
  assert.equal(await within('web', `${look('far')}; true`), '');
  await host.ok(['network', 'connect', '--alias', 'near', 'b', 'web']);
  assert.equal((await within('web', look('far'))).trim(), await addressIn('far', 'b'));
  assert.equal((await within('far', look('near'))).trim(), await addressIn('web', 'b'));
  await host.ok(['network', 'disconnect', 'b', 'web']);
  assert.equal(await within('far', `${look('near')}; true`), '');
  await host.kill9();
  await host.start();
  assert.equal((await within('web', look('store'))).trim(), [db, db6].sort().join(' '));
  // Who does not run is not there; nobody in the default network has a name.
  await host.ok(['stop', '-t', '0', 'DB']);
  assert.equal(await within('web', `${look('store')}; true`), '');
  assert.doesNotMatch(await inside(host, 'cat /etc/resolv.conf'), /ndots:0/);
  await host.ok(['rm', '-f', 'web', 'DB', 'far']);
});

test('the rest of the world is asked on their behalf, but never for who has no way out', async () => {
  await host.ok(['network', 'create', 'a']);
  await host.ok(['network', 'create', '--internal', 'inner']);
  const dns = ['--dns', INTERNET_ADDRESS, '--dns-search', 'corp.example'];
  await host.ok(['run', '-d', '--name', 'out', ...dns, '--network', 'a', ...FOREVER]);
  await host.ok(['run', '-d', '--name', 'in', ...dns, '--network', 'inner', ...FOREVER]);
  assert.match(
    await within('out', 'cat /etc/resolv.conf'),
    /^nameserver 10\.20\.\d+\.1\nsearch corp\.example\noptions .*ndots:0/,
  );
  assert.equal((await within('out', look('www.example.org'))).trim(), '192.0.2.99');
  assert.match(asked, /www\.example\.org/);
  // A neighbour's name goes no further.
  await within('out', look('out'));
  assert.doesNotMatch(asked, /^out$/m);
  const before = asked;
  assert.equal(await within('in', `${look('secret.example.org')}; true`), '');
  assert.match(await within('in', 'nslookup secret.example.org 2>&1; true'), /REFUSED|can't/i);
  assert.equal(asked, before);
  // Over TCP too, and a stranger is answered nothing.
  const gateway = /nameserver (\S+)/.exec(await within('out', 'cat /etc/resolv.conf'))?.[1] ?? '';
  const question = '0019 abcd 0100 0001 0000 0000 0000 03777777 03746370 00 0001 0001'.replaceAll(' ', '');
  const bytes = question.replace(/../g, '\\x$&');
  const answer = await within(
    'out',
    `printf '${bytes}' | nc -w 3 ${gateway} 53 | od -An -tx1 | tr -d ' \\n'`,
  );
  assert.match(answer, /^....abcd8180.*c0000263$/);
  assert.equal(await fromHost(gateway), 'refused');
  await host.ok(['rm', '-f', 'out', 'in']);
});

/** What the host itself is told, which stands in no network. */
async function fromHost(gateway: string): Promise<string> {
  const socket = createSocket('udp4');
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on('message', (message) =>
    resolve(((message[3] ?? 0) & 0xf) === 5 ? 'refused' : message.toString('hex')),
  );
  socket.send(Buffer.from('abcd01000001000000000000036f75740000010001', 'hex'), 53, gateway);
  try {
    return await promise;
  } finally {
    socket.close();
  }
}

/** Holds connections, then asks so often that nobody else would be heard; tells how often it was answered. */
const FLOOD = `
  const [gateway] = process.argv.slice(1);
  const question = (text) => Buffer.concat([Buffer.from('abcd01000001000000000000', 'hex'),
    ...text.split('.').map((label) => Buffer.from([label.length, ...Buffer.from(label)])), Buffer.from('0000010001', 'hex')]);
  const dial = () => new Promise((done) => {
    const s = require('node:net').connect(53, gateway, () => done());
    s.on('error', () => done()); s.on('close', () => done());
  });
  const udp = require('node:dgram').createSocket('udp4');
  let answered = 0;
  udp.on('message', () => { answered += 1; });
  const send = (text) => new Promise((done) => udp.send(question(text), 53, gateway, done));
  (async () => {
    await Promise.all(Array.from({ length: 300 }, dial));
    const begun = performance.now();
    for (let n = 0; n < 5000; n += 1) await send('flood');
    const late = new Promise((done) => setTimeout(done, 500));
    await late;
    console.log(JSON.stringify({ answered, seconds: (performance.now() - begun) / 1000 }));
    for (;;) {
      for (let n = 0; n < 100; n += 1) await send('n' + n + '.example.org');
      await new Promise((done) => setTimeout(done, 100));
    }
  })();`;

test('who floods the server with questions and connections is heard less, and his neighbours as before', async (t) => {
  await host.ok(['network', 'create', 'a']);
  // Nobody answers there, so that questions stay under way.
  await host.ok(['run', '-d', '--name', 'flood', '--dns', '192.0.2.77', '--network', 'a', ...FOREVER]);
  await host.ok(['run', '-d', '--name', 'calm', ...DNS, '--network', 'a', ...FOREVER]);
  const gateway = /nameserver (\S+)/.exec(await within('calm', 'cat /etc/resolv.conf'))?.[1] ?? '';
  const pid = await host.ok(['inspect', '-f', '{{.State.Pid}}', 'flood']);
  const flood = spawn('nsenter', ['-t', pid, '-n', process.execPath, '-e', FLOOD, gateway]);
  t.after(() => flood.kill('SIGKILL'));
  let said = '';
  flood.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const line = await until(
    () => said.split('\n')[0] ?? '',
    (text) => text.endsWith('}'),
  );
  const { answered, seconds } = JSON.parse(line) as { answered: number; seconds: number };
  assert.ok(answered > 0 && answered <= 1000 * (1 + seconds), line);
  assert.equal((await within('calm', look('www.example.org'))).trim(), '192.0.2.99');
  assert.equal((await within('calm', look('flood'))).trim(), await addressIn('flood', 'a'));
  // Over TCP, whose connections he holds.
  const question = Buffer.from('0018abcd010000010000000000000463616c6d0000010001', 'hex');
  question.writeUInt16BE(question.length - 2);
  const bytes = question.toString('hex').replace(/../g, '\\x$&');
  const answer = await within(
    'calm',
    `printf '${bytes}' | nc -w 3 ${gateway} 53 | od -An -tx1 | tr -d ' \\n'`,
  );
  assert.match(answer, /^....abcd8580/);
  flood.kill('SIGKILL');
  await exitCode(flood);
  await host.ok(['rm', '-f', 'flood', 'calm']);
});
