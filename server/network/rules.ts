/**
 * The one nftables table of an instance, for both families. It lets containers out under the host's address, and
 * nobody in but those who come through a published port; no rule, chain or policy of anybody else is touched. Networks
 * and ports are elements of sets and maps, so that a packet meets the same few rules however many there are.
 */
import type { NetworkRecord } from '../model/network.ts';
import { elementKey, elementValue, PORT_MAPS, type PortElement } from './port-map.ts';

/** @param instance - 8 hex digits. */
export const tableName = (instance: string): string => `mydocker_${instance}`;

/** Elements of one set or map, as nft writes them. */
export type Elements = Readonly<Record<string, readonly string[]>>;

/** What the table's sets and maps hold. */
export function tableElements(networks: readonly NetworkRecord[], ports: readonly PortElement[]): Elements {
  const names = (all: readonly NetworkRecord[]): string[] => all.map(({ bridge }) => `"${bridge}"`);
  const inMap = (map: PortElement['map']): string[] =>
    ports.filter((port) => port.map === map).map((port) => `${elementKey(port)} : ${elementValue(port)}`);
  return {
    networks: names(networks),
    internal: names(networks.filter(({ internal }) => internal === true)),
    within: names(networks).map((name) => `${name} . ${name}`),
    any4: inMap('any4'),
    at4: inMap('at4'),
    any6: inMap('any6'),
    at6: inMap('at6'),
  };
}

const TYPES: Readonly<Record<string, string>> = {
  networks: 'set networks { type ifname',
  internal: 'set internal { type ifname',
  within: 'set within { type ifname . ifname',
  ...Object.fromEntries(Object.entries(PORT_MAPS).map(([map, type]) => [map, `map ${map} { type ${type}`])),
};

const declare = (name: string, elements: readonly string[] = []): string =>
  `  ${TYPES[name]}; ${elements.length === 0 ? '' : `elements = { ${elements.join(', ')} } `}}`;

/** Where a port on one address and one on all addresses both match, the first one decides. */
const TRANSLATE = (
  [
    ['ip to ip daddr . meta l4proto . th dport', 'at4'],
    ['ip to meta l4proto . th dport', 'any4'],
    ['ip6 to ip6 daddr . meta l4proto . th dport', 'at6'],
    ['ip6 to meta l4proto . th dport', 'any6'],
  ] as const
).map(([to, map]) => `    meta l4proto { tcp, udp, sctp } dnat ${to} map @${map}`);

/**
 * Questions for names that one container may ask a second. More fill the resolver's socket, and its neighbours' are lost;
 * so they are dropped before.
 */
const QUESTIONS = 1000;

/**
 * Packets of a conversation that was let in pass the first rule, unless there are networks without a way out: what one of
 * them began while somebody had taken the rules away must not go on.
 */
const WAY = {
  open: `    ct state established,related accept
    iifname . oifname @within accept`,
  apart: `    iifname . oifname @within accept
    iifname @internal drop
    oifname @internal drop
    ct state established,related accept`,
} as const;

/**
 * The table as a script for nft(8), which replaces what there is of it in one step.
 * Names are our own: letters, digits, - and _ of an interface.
 */
export function tableScript(
  instance: string,
  networks: readonly NetworkRecord[],
  ports: readonly PortElement[] = [],
): string {
  const table = tableName(instance);
  const elements = tableElements(networks, ports);
  // The first one is how earlier versions had it.
  return `table ip ${table} {}
delete table ip ${table}
table inet ${table} {}
delete table inet ${table}
table inet ${table} {
${Object.keys(TYPES)
  .map((name) => declare(name, elements[name]))
  .join('\n')}
  set askers { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 10s; }
  chain guard {
    type filter hook prerouting priority raw; policy accept;
    ip daddr 127.0.0.0/8 iifname @networks drop
  }
  chain names {
    type filter hook input priority filter; policy accept;
    udp dport 53 iifname @networks update @askers { ip saddr limit rate over ${QUESTIONS}/second burst ${QUESTIONS} packets } drop
  }
  chain published {
${TRANSLATE.join('\n')}
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 127.0.0.0/8 return
    ip6 daddr ::1 return
    fib daddr type local jump published
  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip6 daddr ::1 return
    fib daddr type local jump published
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
${WAY[elements['internal']?.length === 0 ? 'open' : 'apart']}
    oifname @networks ct status dnat accept
    oifname @networks drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    iifname . oifname @within ct status dnat masquerade
    iifname . oifname @within return
    iifname @networks masquerade
    ip saddr 127.0.0.0/8 oifname @networks masquerade
  }
}
`;
}
