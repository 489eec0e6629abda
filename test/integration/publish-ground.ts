/** What tests of published ports share: a service that says who calls, and callers from everywhere. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { exitCode } from '../harness/cli.ts';
import type { Host } from '../harness/host.ts';

/** TCP on 80 and 81, UDP on 53, both families: the answer is the caller's address. */
const SERVICE = `
const net = require('node:net'), dgram = require('node:dgram');
for (const port of [80, 81]) net.createServer((s) => { s.on('error', () => {}); s.end(s.remoteAddress.replace('::ffff:', '')); }).listen(port, '::');
const u = dgram.createSocket('udp6');
u.on('message', (_, from) => u.send(from.address.replace('::ffff:', ''), from.port, from.address));
u.bind(53, '::', () => console.log('ready'));`;

/** All questions at once, the answers as JSON in their order. */
const ASK = `
const net = require('node:net'), dgram = require('node:dgram');
const tcp = (host, port) => new Promise((done) => {
  const s = net.connect({ host, port });
  let text = '';
  s.on('data', (d) => { text += d; }); s.on('error', (e) => done(e.code)); s.on('end', () => done(text));
  setTimeout(() => done('nothing'), 1500);
});
const udp = (address, port, from) => new Promise((done) => {
  const s = dgram.createSocket(address.includes(':') ? 'udp6' : 'udp4');
  s.on('message', (d) => done(String(d))); s.on('error', (e) => done(e.code));
  s.bind(from, () => s.connect(port, address, () => s.send('who')));
  setTimeout(() => done('nothing'), 1500);
});
Promise.all(JSON.parse(process.argv[1]).map(([kind, ...rest]) => (kind === 'tcp' ? tcp : udp)(...rest)))
  .then((answers) => { console.log(JSON.stringify(answers)); process.exit(0); });`;

const inNetworkOf = (pid: number): string[] => ['--target', String(pid), '--net'];

/** Pid of a container's process. */
export async function pidOf(host: Host, name: string): Promise<number> {
  return Number(await host.ok(['inspect', '-f', '{{.State.Pid}}', name]));
}

/** A service in a container's network, until it is ended. */
export async function serveIn(pid: number): Promise<{ end(): Promise<void> }> {
  const child: ChildProcess = spawn('nsenter', [...inNetworkOf(pid), process.execPath, '-e', SERVICE], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  // A test that failed must not wait for it.
  child.unref();
  child.stdout?.destroy();
  return {
    end: async () => {
      child.kill('SIGKILL');
      await exitCode(child);
    },
  };
}

/** A caller: 0 is the host itself, else the process in whose network it is. */
export type Caller = number;

/** A protocol, an address, a port, and for UDP the caller's own port. */
export type Question = readonly ['tcp' | 'udp', string, number, number?];

/** What somebody is answered: an address, the name of an error, or `nothing`. */
export function ask(from: Caller, ...questions: readonly Question[]): string[] {
  const command = [process.execPath, '-e', ASK, JSON.stringify(questions)];
  const all = from === 0 ? command : ['nsenter', ...inNetworkOf(from), ...command];
  const { stdout, stderr } = spawnSync(all[0] ?? '', all.slice(1), { encoding: 'utf8', timeout: 20_000 });
  assert.notEqual(stdout, '', stderr);
  return JSON.parse(stdout) as string[];
}

/** A command in somebody's network. */
export const runIn = (pid: number, ...command: string[]): string =>
  execFileSync('nsenter', [...inNetworkOf(pid), ...command], { encoding: 'utf8' });

/** Elements of the maps of published ports: `tcp . 8080 : 10.20.30.2 . 80`. */
export function publishedElements(): string[] {
  const rules = execFileSync('nft', ['list', 'ruleset'], { encoding: 'utf8' });
  return [...rules.matchAll(/map \w+ \{[^}]*?elements = \{([^}]*)\}/g)]
    .flatMap(([, text = '']) => text.split(','))
    .map((text) => text.trim().replace(/\s+/g, ' '))
    .sort();
}

/** The table for what passes inside bridges, of this host's only server. */
export const bridgeTable = (): string =>
  /table bridge (\S+)/.exec(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }))?.[1] ?? '';

/** Host's ends of interfaces that are held to their addresses. */
export function held(): string[] {
  const listing = execFileSync('nft', ['list', 'set', 'bridge', bridgeTable(), 'places'], {
    encoding: 'utf8',
  });
  return [...listing.matchAll(/"([^"]+)"/g)].map(([, name = '']) => name).sort();
}

/** A service of the host's own that listens on 127.0.0.1 alone, in a process of its own. */
export async function serveSecret(): Promise<{ readonly port: number; end(): Promise<void> }> {
  const script = `const s = require('node:net').createServer((c) => c.end('secret'));
    s.listen(0, '127.0.0.1', () => console.log(s.address().port));`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve) =>
    child.stdout.once('data', (data) => resolve(Number(data))),
  );
  child.unref();
  child.stdout.destroy();
  return {
    port,
    end: async () => {
      child.kill('SIGKILL');
      await exitCode(child);
    },
  };
}
