/**
 * Who stands in a network sends under the addresses of his place alone: not under the gateway's, nor a neighbour's, nor
 * anybody's; and neighbours believe nothing else of him. With NET_ADMIN and NET_RAW, by frames that no kernel would make.
 * @vm
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import type { Network } from '../../proto/gen/mydocker/v1/networks.ts';
import { linkLocalOf } from '../../server/network/ip.ts';
import { type Host, startHost } from '../harness/host.ts';
import { listLinks } from '../harness/leaks.ts';
import { addressed, bytes, checksum, heardOf, MARK } from './frames-ground.ts';
import { assertCleanNetworks, until } from './ground.ts';
import { bridgeTable, held, pidOf, runIn } from './publish-ground.ts';

const FOREVER = ['busybox', 'sleep', '1000'];

let host: Host;
before(async () => {
  host = await startHost({ images: ['busybox'] });
});
afterEach(() => assertCleanNetworks(host));
after(() => host.dispose());

const nft = (...args: string[]): string => execFileSync('nft', args, { encoding: 'utf8' });
const veths = (): string[] =>
  listLinks()
    .filter((name) => name.startsWith('veth'))
    .sort();
const gone = (names: readonly string[]): boolean => names.length === 0;
const within = (name: string, script: string): Promise<string> => host.ok(['exec', name, 'sh', '-c', script]);
const answers = (address: string): string => `ping -c 1 -W 1 ${address} >/dev/null 2>&1; echo $?`;

const addressesOf = async (name: string): Promise<string[]> =>
  (await host.ok(['ps', '-f', `name=^${name}$`, '--format', '{{.IPs}}'])).split(/,\s*/);

/** A container in the network, as others of it see it. */
interface Member {
  readonly pid: number;
  readonly mac: string;
  readonly four: string;
  readonly six: string;
}

async function inspected(name: string): Promise<Network> {
  const [found] = JSON.parse(await host.ok(['network', 'inspect', '--format', 'api', name])) as Network[];
  assert.ok(found !== undefined);
  return found;
}

async function members(network: string, names: readonly string[]): Promise<Member[]> {
  for (const name of names) await host.ok(['run', '-d', '--name', name, '--network', network, ...FOREVER]);
  const { endpoints } = await inspected(network);
  const plain = (address = ''): string => address.split('/')[0] ?? '';
  return await Promise.all(
    names.map(async (name) => {
      const own = endpoints.find(({ containerName }) => containerName === name);
      const { macAddress: mac = '', ipv4Address, ipv6Address } = own ?? {};
      return { pid: await pidOf(host, name), mac, four: plain(ipv4Address), six: plain(ipv6Address) };
    }),
  );
}

/** Frames to one neighbour, each with a letter by which he tells what arrived. */
function framesTo(to: Member): Record<'ip' | 'arp' | 'six' | 'other', (...args: string[]) => Buffer> {
  const frame = (letter: string, mac: string, type: string, ...rest: Buffer[]): Buffer =>
    Buffer.concat([bytes(to.mac), bytes(mac), bytes(type), ...rest, Buffer.from(MARK + letter)]);
  const inner = (from: string): Buffer[] => {
    const header = Buffer.concat([
      bytes('4500 0024 0000 4000 40fd 0000'),
      addressed(from),
      addressed(to.four),
    ]);
    // A host may look at it, even of what stays in a bridge.
    header.writeUInt16BE(checksum(header), 10);
    return [header];
  };
  return {
    ip: (letter = '', mac = '', from = '', tag = '') => frame(letter, mac, `${tag} 0800`, ...inner(from)),
    arp: (letter = '', mac = '', claimed = '', from = '') =>
      frame(
        ...([letter, mac, '0806', bytes('0001 0800 06 04 0002'), bytes(claimed)] as const),
        ...[addressed(from), bytes(to.mac), addressed(to.four)],
      ),
    // The hop limit of neighbour discovery; the kernel looks at no checksum on the way.
    six: (letter = '', mac = '', from = '', type = '', target = '::', tag = '') =>
      frame(
        ...([letter, mac, `${tag} 86dd`, bytes('6000 0000 0030 3aff'), addressed(from)] as const),
        ...[addressed(to.six), bytes(`${type} 00 0000 00000000`), addressed(target), Buffer.alloc(8)],
      ),
    other: (letter = '', mac = '', type = '') => frame(letter, mac, type),
  };
}

const heard = (from: Member, to: Member, frames: readonly Buffer[]): Promise<string> =>
  heardOf({ pid: from.pid, interface: 'eth0' }, to.pid, frames);

const SOLICIT = '87';
const ADVERT = '88';
const ROUTER = '86';
const REDIRECT = '89';
/** A tag of no VLAN: the receiver takes it off and goes on. */
const PRIORITY = '8100 0000';

/** Everything that a member may not send, then what it may. */
function lies(liar: Member, victim: Member, other: Member, gateway: string): Buffer[] {
  const { ip, arp, six, other: raw } = framesTo(victim);
  const [own, stolen] = [linkLocalOf(liar.mac), linkLocalOf(other.mac)];
  return [
    // Addresses of IPv4 and hardware, one by one and together.
    ip('a', liar.mac, other.four),
    ip('b', other.mac, liar.four),
    ip('c', other.mac, other.four),
    ip('d', liar.mac, '192.0.2.9'),
    ip('e', liar.mac, other.four, PRIORITY),
    arp('f', liar.mac, liar.mac, other.four),
    arp('g', liar.mac, other.mac, liar.four),
    arp('h', other.mac, liar.mac, liar.four),
    six('i', liar.mac, other.six, ADVERT, other.six),
    six('j', liar.mac, stolen, SOLICIT, victim.six),
    six('k', liar.mac, liar.six, ADVERT, other.six),
    six('l', liar.mac, own, ADVERT, stolen),
    six('m', liar.mac, own, ADVERT, other.six, PRIORITY),
    six('n', liar.mac, own, ROUTER),
    six('o', liar.mac, own, REDIRECT, other.six),
    raw('p', liar.mac, '88b5'),
    raw('q', other.mac, '88b5'),
    // The gateway's, of whom no network is without it.
    ip('0', liar.mac, gateway),
    arp('1', liar.mac, liar.mac, gateway),
    // Its own.
    arp('A', liar.mac, liar.mac, liar.four),
    six('B', liar.mac, liar.six, ADVERT, liar.six),
    six('C', liar.mac, own, ADVERT, own),
    six('D', liar.mac, '::', SOLICIT, own),
    ip('Z', liar.mac, liar.four),
  ];
}

test('a member sends under its own addresses alone, unless its network lets it', async () => {
  await host.ok(['network', 'create', '--ipv6', 'held']);
  await host.ok(['network', 'create', '--ipv6', '-o', 'spoofing=allow', 'free']);
  for (const network of ['held', 'free']) {
    const names = ['liar', 'victim', 'other'].map((name) => `${name}-${network}`);
    const all = await members(network, names);
    const [liar, victim, other] = all as [Member, Member, Member];
    const gateway = (await inspected(network)).subnets[0]?.gateway ?? '';
    const sent = lies(liar, victim, other, gateway);
    const allowed = network === 'free';
    assert.equal(await heard(liar, victim, sent), allowed ? 'abcdefghijklmnopqABCDZ' : 'ABCDZ', network);
    const told = await host.ok(['network', 'explain', names[0] ?? '']);
    assert.match(told, allowed ? /spoofing=allow/ : /eth0 sends as .* alone/);
    assert.ok(told.includes(`nobody who stands in it sends as ${gateway} and fd`), told);
    if (allowed) continue;
    // What the other one is sent comes to him: nobody has taken his place in the bridge.
    assert.equal(await heard(victim, other, [framesTo(other).ip('Z', victim.mac, victim.four)]), 'Z');
    assert.equal(await within(names[1] ?? '', [other.four, other.six].map(answers).join('; ')), '0\n0');
    // By the kernel of who takes the other's place.
    const take = (...words: string[]): string => runIn(liar.pid, 'ip', ...words);
    take('addr', 'add', `${other.four}/32`, 'dev', 'eth0');
    const asOther = `ping -c 1 -W 1 -I ${other.four} ${victim.four} >/dev/null 2>&1; echo $?`;
    assert.equal(await within(names[0] ?? '', `${asOther}; ${answers(victim.four)}`), '1\n0');
    take('addr', 'del', `${other.four}/32`, 'dev', 'eth0');
    take('link', 'set', 'eth0', 'address', other.mac);
    assert.equal(await within(names[0] ?? '', answers(victim.four)), '1');
    take('link', 'set', 'eth0', 'address', liar.mac);
    assert.equal(await within(names[0] ?? '', answers(victim.four)), '0');
    assert.deepEqual(held(), veths());
  }
  const names = ['liar', 'victim', 'other'].flatMap((name) => [`${name}-held`, `${name}-free`]);
  await host.ok(['rm', '-f', ...names]);
  await until(veths, gone);
  await until(held, gone);
});

test('an announcement of a router changes nothing, with a neighbour or on the host', async () => {
  for (const option of ['deny', 'allow']) {
    const name = `ra-${option}`;
    await host.ok(['network', 'create', '--ipv6', '-o', `spoofing=${option}`, name]);
    const all = await members(name, [`liar-${option}`, `victim-${option}`]);
    const [liar, victim] = all as [Member, Member];
    const { hostInterface } = await inspected(name);
    const seen = (): string[] => [
      runIn(victim.pid, 'ip', '-6', '-o', 'addr'),
      runIn(victim.pid, 'ip', '-6', 'route'),
      execFileSync('ip', ['-6', '-o', 'addr', 'show', 'dev', hostInterface], { encoding: 'utf8' }),
      execFileSync('ip', ['-6', 'route', 'show', 'dev', hostInterface], { encoding: 'utf8' }),
    ];
    const before = seen();
    const announced = announcement(linkLocalOf(liar.mac), liar.mac);
    const last = framesTo(victim).ip('Z', liar.mac, liar.four);
    assert.equal(await heard(liar, victim, [announced, last]), 'Z');
    assert.deepEqual(seen(), before);
    // The same frame, where somebody believes routers: else nothing would be learned from it.
    if (option === 'allow') {
      const own = `/proc/sys/net/ipv6/conf/eth0`;
      runIn(victim.pid, 'sh', '-c', `echo 0 > ${own}/forwarding; echo 2 > ${own}/accept_ra`);
      assert.equal(await heard(liar, victim, [announced, last]), 'Z');
      assert.match(seen().join('\n'), /2001:db8:bad:/);
    }
  }
  await host.ok([
    'rm',
    '-f',
    ...['deny', 'allow'].flatMap((option) => [`liar-${option}`, `victim-${option}`]),
  ]);
  await until(veths, gone);
});

/** A router that offers 2001:db8:bad::/64 and itself to all nodes, with the right checksum. */
function announcement(from: string, mac: string): Buffer {
  const prefix = Buffer.concat([bytes('0304 40c0 0000ffff 0000ffff 00000000'), addressed('2001:db8:bad::')]);
  const message = Buffer.concat([bytes('8600 0000 40000708 00000000 00000000'), prefix]);
  const head = Buffer.concat([addressed(from), addressed('ff02::1')]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  const summed = Buffer.concat([head, length, bytes('0000003a'), message]);
  message.writeUInt16BE(checksum(summed), 2);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(message.length);
  return Buffer.concat([
    bytes('3333 0000 0001'),
    bytes(mac),
    bytes('86dd 6000 0000'),
    size,
    bytes('3aff'),
    head,
    message,
  ]);
}

test('what holds interfaces to their addresses comes and goes with them, whatever happens to rules and server', async () => {
  await host.ok(['network', 'create', '--ipv6', 'a']);
  await host.ok(['network', 'create', 'b']);
  await host.ok(['run', '-d', '--name', 'web', '--network', 'a', '-p', '8080:80', ...FOREVER]);
  await host.ok(['run', '-d', '--name', 'guest', '--network', 'container:web', ...FOREVER]);
  assert.deepEqual(held(), veths());
  const told = async (): Promise<string> => (await host.cli(['network', 'explain', 'web'])).stdout;
  const [end = ''] = veths();
  assert.match(
    await told(),
    new RegExp(`chain own, "${end}"\\s+eth0 sends as 02:42:[^ ]+, 10[^ ]+, fd[^ ]+ alone`),
  );
  await host.ok(['network', 'connect', 'b', 'web']);
  assert.equal(veths().length, 2);
  assert.deepEqual(held(), veths());
  await host.ok(['network', 'disconnect', 'b', 'web']);
  await until(held, (names) => names.length === 1);
  // What was left to right is right: somebody else's change leads to no repair.
  nft('add', 'table', 'inet', 'others');
  assert.doesNotMatch(await told(), /MISSING/);
  assert.equal(await host.ok(['network', 'reload']), '');
  for (const damage of [
    ['delete', 'table', 'bridge', bridgeTable()],
    ['flush', 'set', 'bridge', bridgeTable(), 'own6'],
    ['flush', 'chain', 'bridge', bridgeTable(), 'own'],
  ]) {
    nft(...damage);
    await until(
      () => nft('list', 'ruleset'),
      (rules) => rules.includes('::,') && rules.includes('nd-redirect'),
    );
    assert.deepEqual(held(), veths());
  }
  nft('delete', 'table', 'inet', 'others');
  // The table of a server that died in a start has what it began; the next one knows better.
  await host.stop();
  await host.start({ env: { MYDOCKER_FAILPOINTS: 'start.launched=exit' } });
  await host.cli(['run', '-d', '--name', 'half', '--network', 'a', ...FOREVER]);
  await host.kill9();
  await host.start();
  await host.cli(['rm', '-f', 'half']);
  await until(veths, (names) => names.length === 1);
  await until(held, (names) => names.join() === veths().join());
  // The interface outlives the run that it was made for, while somebody else stands behind it; and the server.
  await host.ok(['stop', '-t', '0', 'web']);
  await host.kill9();
  await host.start();
  assert.deepEqual([held().length, held()], [1, veths()]);
  await host.ok(['rm', '-f', 'guest', 'web']);
  await until(veths, gone);
  await until(held, gone);
});

test('nobody takes the gateway’s address, by ARP or neighbour discovery', async () => {
  await host.ok(['network', 'create', '--ipv6', 'a']);
  for (const name of ['victim', 'liar'])
    await host.ok(['run', '-d', '--name', name, '--network', 'a', ...FOREVER]);
  const { subnets, hostInterface } = await inspected('a');
  const [four = '', six = ''] = subnets.map(({ gateway }) => gateway);
  const [victim, liar] = await Promise.all(['victim', 'liar'].map((name) => pidOf(host, name)));
  const there = (pid = 0, ...command: string[]): string => runIn(pid, 'sh', '-c', command.join('; '));
  assert.equal(readFileSync(`/proc/sys/net/ipv6/conf/${hostInterface}/accept_ra`, 'utf8'), '0\n');
  // With NET_ADMIN, and while the host itself says nothing.
  there(liar, `ip addr add ${four}/32 dev eth0`, `ip -6 addr add ${six}/128 dev eth0 nodad`);
  writeFileSync(`/proc/sys/net/ipv4/conf/${hostInterface}/arp_ignore`, '8');
  execFileSync('ip', ['-6', 'addr', 'del', `${six}/64`, 'dev', hostInterface]);
  const neighbours = (): string => {
    there(victim, 'ip neigh flush dev eth0');
    // With the container's own program: it is asked while no server runs.
    for (const address of [four, six])
      spawnSync('nsenter', ['-t', String(victim), '-n', '-m', 'ping', '-c', '1', '-W', '1', address]);
    return there(victim, 'ip neigh show');
  };
  const mac = (/link\/ether (\S+)/.exec(there(liar, 'ip link show eth0')) ?? [])[1] ?? '';
  assert.doesNotMatch(neighbours(), new RegExp(mac));
  // It is ours that keeps it away.
  const table = (/table bridge (\S+)/.exec(execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })) ??
    [])[1];
  await host.stop();
  execFileSync('nft', ['delete', 'table', 'bridge', table ?? '']);
  const found = neighbours();
  assert.match(found, new RegExp(`${four} .*${mac}`));
  assert.match(found, new RegExp(`${six} .*${mac}`));
  await host.start();
  writeFileSync(`/proc/sys/net/ipv4/conf/${hostInterface}/arp_ignore`, '0');
  there(liar, `ip addr del ${four}/32 dev eth0`, `ip -6 addr del ${six}/128 dev eth0`);
  // It comes back by itself, and others of the network are reached as before.
  await until(
    () => execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' }),
    (tables) => tables.includes(`table bridge ${table}`),
  );
  there(victim, 'ip neigh flush dev eth0');
  assert.equal(
    await within('victim', [four, six, ...(await addressesOf('liar'))].map(answers).join('; ')),
    '0\n0\n0\n0',
  );
  await host.ok(['rm', '-f', 'victim', 'liar']);
  await until(veths, gone);
});
