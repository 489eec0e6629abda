/** Messages as the kernel takes them: sent by the shim in a namespace of the test's own, then seen with ip(8). */
import '../harness/enter.ts';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { interfaceIndex } from '../../native/interfaces.ts';
import type { Op, Plan } from '../../server/model/plan.ts';
import { ownProcfs } from '../../server/model/procfs-plan.ts';
import { bridgeOps } from '../../server/network/bridge.ts';
import { describeMessage, readAttributes, readMessage } from '../../server/network/describe-message.ts';
import { DRIVERS, driverOf } from '../../server/network/driver.ts';
import { loopbackUp } from '../../server/network/loopback.ts';
import { defaultRoute, deleteLink, newAddress } from '../../server/network/rtnetlink.ts';
import { planVeths } from '../../server/network/veth.ts';
import { encodePlan } from '../../server/spec/plan-codec.ts';
import { Zygote } from '../../server/task/zygote.ts';
import { PROJECT } from '../harness/cli.ts';
import { launchPlan, NETWORK, PLUG } from '../unit/spec/sample-plans.ts';

const zygote = new Zygote({
  program: join(PROJECT, 'build/mydocker-shim'),
  title: 'mydocker-zygote test',
  titleLength: 40,
});
const folder = mkdtempSync('/tmp/mydocker-messages-');
after(() => {
  zygote.close();
  rmSync(folder, { recursive: true });
});

interface Link {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly address: string;
  readonly mtu: number;
  readonly master?: string;
  readonly num_tx_queues: number;
  readonly num_rx_queues: number;
  readonly linkinfo?: { readonly info_kind: string; readonly info_slave_kind?: string };
  readonly addr_info: readonly {
    readonly local: string;
    readonly prefixlen: number;
    readonly scope: string;
    readonly broadcast?: string;
  }[];
}

const ip = (...args: string[]): Link => {
  const [link] = JSON.parse(execFileSync('ip', ['-d', '-j', ...args], { encoding: 'utf8' })) as Link[];
  assert.ok(link !== undefined);
  return link;
};

/** Slots of a procfs. */
const [PROCFS, SYS] = [10, 11];

const section = (ops: readonly Op[], child: readonly Op[] = []): Plan => ({
  cloneFlags: child.length > 0 ? 0x4000_0000n : 0n,
  head: '',
  title: 'mydocker-shim test',
  sections: { 'parent-before': [...ops], 'parent-after': [], child: [...child], 'after-exit': [] },
});

async function run(plan: Plan): Promise<void> {
  const connection = zygote.launch(encodePlan(plan), []);
  try {
    await connection.exited;
  } finally {
    connection.close();
  }
}

const netlinkOf = (ops: readonly Op[]): Uint8Array[] =>
  ops.flatMap(({ name, s1 }) => (name === 'netlink' && s1 instanceof Uint8Array ? [s1] : []));

test('a bridge is made as ip shows it, twice and at once without harm', async () => {
  const plan = section(bridgeOps(NETWORK, []));
  await Promise.all([run(plan), run(plan), run(plan)]);
  await run(plan);
  const link = ip('addr', 'show', 'dev', 'mydocker0');
  assert.equal(link.linkinfo?.info_kind, 'bridge');
  assert.ok(link.flags.includes('UP'));
  assert.equal(link.address, '02:42:0a:14:1e:01');
  // And no IPv6 address.
  assert.deepEqual(
    link.addr_info.map(({ local, prefixlen, broadcast }) => [local, prefixlen, broadcast]),
    [['10.20.30.1', 24, '10.20.30.255']],
  );
});

test('what a driver sets up is there, also when it was there before, and what it tears down is gone', async () => {
  const ipv6 = { subnet: 'fd00:9::/64', gateway: 'fd00:9::1' };
  const network = { ...NETWORK, bridge: 'md-driver', subnet: '10.99.0.0/24', gateway: '10.99.0.1', ipv6 };
  for (const name of DRIVERS) {
    const driver = driverOf(name);
    const made = { ...network, ...driver.validate({ mtu: '1400' }) };
    for (const isAgain of [false, true]) {
      await run(section(driver.setup(made, [])));
      const link = ip('addr', 'show', 'dev', network.bridge);
      assert.ok(link.flags.includes('UP'));
      assert.equal(link.mtu, 1400, String(isAgain));
      const addresses = link.addr_info.filter(({ scope }) => scope === 'global').map(({ local }) => local);
      assert.deepEqual(addresses, ['10.99.0.1', 'fd00:9::1']);
    }
    // Who stood in one that somebody took away stands in the new one; an interface that is gone is no failure.
    execFileSync('ip', ['link', 'add', 'port0', 'type', 'veth', 'peer', 'port1']);
    await run(section(driver.setup(made, [interfaceIndex('port0'), 999_999])));
    assert.equal(ip('link', 'show', 'dev', 'port0').master, network.bridge);
    execFileSync('ip', ['link', 'delete', 'port0']);
    for (const isAgain of [false, true]) {
      await run(section(driver.teardown(made)));
      assert.equal(interfaceIndex(network.bridge), 0, String(isAgain));
    }
  }
});

test('a pair is made with its other end inside, and both are what the message says', async () => {
  await run(section(bridgeOps(NETWORK, [])));
  const { handOver, parentAfter, child, withInterface } = planVeths([PLUG], 0, SYS);
  const plan: Plan = {
    ...section([]),
    cloneFlags: 0x4000_0000n,
    sections: {
      'parent-before': [],
      'parent-after': [...parentAfter, { name: 'barrier', about: '' }],
      child: [
        ...ownProcfs(PROCFS, SYS),
        ...handOver,
        ...child,
        { name: 'barrier', about: '' },
        ...withInterface,
        {
          name: 'exec',
          s1: ['/bin/sh'],
          s2: ['sh', '-c', `ip -d -j addr >${folder}/addr; ip -j route >${folder}/route; sleep 1`],
          s3: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
          about: 'look',
        },
      ],
      'after-exit': [],
    },
  };
  const connection = zygote.launch(encodePlan(plan), []);
  await connection.started;
  const host = ip('link', 'show', 'dev', 'veth0123456789a');
  assert.equal(host.master, 'mydocker0');
  assert.deepEqual([host.num_tx_queues, host.num_rx_queues], [1, 1]);
  assert.deepEqual([host.linkinfo?.info_kind, host.linkinfo?.info_slave_kind], ['veth', 'bridge']);
  await connection.exited;
  connection.close();
  const read = <T>(name: string): T => JSON.parse(readFileSync(join(folder, name), 'utf8')) as T;
  const links = read<Link[]>('addr');
  const eth0 = links.find(({ ifname }) => ifname === 'eth0');
  assert.equal(eth0?.address, PLUG.endpoint.mac);
  assert.deepEqual(
    eth0.addr_info.map(({ local, prefixlen }) => [local, prefixlen]),
    [['10.20.30.2', 24]],
  );
  assert.deepEqual(
    links.filter(({ flags }) => flags.includes('UP')).map(({ ifname }) => ifname),
    ['lo', 'eth0'],
  );
  const routes = read<{ dst: string; gateway?: string; dev: string }[]>('route');
  assert.deepEqual(
    routes.map(({ dst, gateway, dev }) => [dst, gateway, dev]),
    [
      ['default', '10.20.30.1', 'eth0'],
      ['10.20.30.0/24', undefined, 'eth0'],
    ],
  );
});

test('messages are read back as what they were made of', () => {
  const { parentAfter } = planVeths([PLUG], 0, SYS);
  const [pair = new Uint8Array()] = netlinkOf(parentAfter);
  assert.deepEqual(readMessage(pair), {
    ...{
      kind: 'link',
      remove: false,
      create: true,
      index: 0,
      up: true,
      name: 'veth0123456789a',
      master: 0,
      queues: 1,
    },
    linkKind: 'veth',
    peer: {
      ...{ kind: 'link', remove: false, create: true, index: 0, up: false, name: 'eth0', queues: 1 },
      ...{ mac: PLUG.endpoint.mac, namespace: 0 },
    },
  });
  assert.deepEqual(readMessage(newAddress('10.20.30.7', '10.20.30.0/24')), {
    ...{ kind: 'address', index: 0, address: '10.20.30.7', prefix: 24, broadcast: '10.20.30.255' },
  });
  assert.deepEqual(readMessage(defaultRoute('10.20.30.1')), {
    kind: 'route',
    family: 4,
    prefix: 0,
    gateway: '10.20.30.1',
  });
  assert.deepEqual(readMessage(newAddress('fd00::7', 'fd00::/64')), {
    ...{ kind: 'address', index: 0, address: 'fd00::7', prefix: 64, broadcast: '' },
  });
  assert.equal(describeMessage(defaultRoute('fd00::1')), 'RTM_NEWROUTE default via fd00::1');
  assert.equal(describeMessage(deleteLink(), { index: 'veth1' }), 'RTM_DELLINK veth1');
});

test('what is patched in stands where the plan says', () => {
  const { parentAfter, withInterface } = planVeths([PLUG], 0, SYS);
  const pair = parentAfter.find(({ name }) => name === 'netlink');
  const patched = Buffer.from(pair?.s1 as Uint8Array);
  patched.writeInt32LE(4242, Number(pair?.x));
  patched.writeInt32LE(77, Number(pair?.y));
  const link = readMessage(patched);
  assert.ok(link.kind === 'link');
  assert.deepEqual([link.master, link.peer?.namespace], [77, 4242]);
  for (const op of withInterface.filter(({ s2 }) => s2 === 'eth0')) {
    const bytes = Buffer.from(op.s1 as Uint8Array);
    bytes.writeInt32LE(9, Number(op.y));
    const read = readMessage(bytes);
    assert.equal('index' in read ? read.index : 0, 9);
  }
});

test('messages are told in words', () => {
  const { parentAfter, withInterface } = planVeths([PLUG], 0, SYS);
  const [pair = new Uint8Array()] = netlinkOf(parentAfter);
  assert.equal(
    describeMessage(pair, { index: 'mydocker0', descriptor: 'fd 33' }),
    'RTM_NEWLINK (create) veth0123456789a master mydocker0 kind veth queues 1 up ' +
      'peer (eth0 address 02:42:0a:14:1e:02 queues 1 netns fd 33)',
  );
  const [address = new Uint8Array(), up = new Uint8Array(), route = new Uint8Array()] =
    netlinkOf(withInterface);
  assert.equal(
    describeMessage(address, { index: 'eth0' }),
    'RTM_NEWADDR 10.20.30.2/24 broadcast 10.20.30.255 dev eth0',
  );
  assert.equal(describeMessage(up, { index: 'eth0' }), 'RTM_NEWLINK eth0 up');
  assert.equal(describeMessage(route), 'RTM_NEWROUTE default via 10.20.30.1');
  assert.equal(describeMessage(loopbackUp.s1 as Uint8Array), 'RTM_NEWLINK index 1 up');
});

test('attributes that do not fit, and messages of others, are refused', () => {
  assert.throws(() => readAttributes(Buffer.from([3, 0, 1, 0])), RangeError);
  assert.throws(() => readAttributes(Buffer.from([9, 0, 1, 0, 1])), RangeError);
  assert.throws(() => readMessage(Buffer.alloc(16)), RangeError);
  const cut = Buffer.from(newAddress('10.20.30.7', '10.20.30.0/24')).subarray(0, 40);
  assert.throws(() => readMessage(cut), RangeError);
});

test('every message of a plan of the server can be told', () => {
  const plan = launchPlan({ config: { network: 'networks' } });
  for (const message of Object.values(plan.sections).flatMap(netlinkOf))
    assert.match(describeMessage(message), /^RTM_/);
});
