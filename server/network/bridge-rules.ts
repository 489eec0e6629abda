/**
 * A second table, for what passes inside the bridges: who stands in one sends under the addresses of his place, and tells
 * neighbours nothing about anybody else's; and nobody speaks in the gateway's name. A place is an element of sets, so that a packet
 * meets the same few rules however many there are. What the host says itself does not come by here.
 */
import type { NetworkRecord } from '../model/network.ts';
import { addressBytes, linkLocalOf, parseAddress } from './ip.ts';
import { type Elements, tableName } from './rules.ts';
import type { Plug } from './veth.ts';

/** As nft writes the bytes of an address that it has no name for. */
const hex = (address: string): string =>
  `0x${Buffer.from(addressBytes(parseAddress(address)))
    .toString('hex')
    .replace(/^0+(?=.)/, '')}`;

const TYPES = {
  gateways: 'type ipv4_addr',
  gateways6: 'type ipv6_addr',
  targets6: 'typeof @th,64,128',
  places: 'type ifname',
  own4: 'type ifname . ether_addr . ipv4_addr',
  own6: 'type ifname . ether_addr . ipv6_addr',
  told6: 'typeof iifname . ether saddr . @th,64,128',
} as const;

/** Whether a place is held to its addresses. */
export const isHeld = ({ network }: Plug): boolean => network.spoofing !== true;

/** They are asked for again whenever somebody has changed a rule. */
const known = new WeakMap<Plug, Elements>();

function elementsOf(plug: Plug): Elements {
  const elements = known.get(plug) ?? placeElements(plug);
  known.set(plug, elements);
  return elements;
}

/** What the sets have for one place. The unspecified address is what an interface asks under before it has one. */
function placeElements({ network, endpoint: { mac, ipv4, ipv6 }, hostEnd }: Plug): Elements {
  const port = `"${hostEnd}"`;
  const six = ipv6 === undefined || network.ipv6 === undefined ? [] : [ipv6, linkLocalOf(mac)];
  return {
    places: [port],
    own4: [`${port} . ${mac} . ${ipv4}`],
    own6: [...six, ...(six.length === 0 ? [] : ['::'])].map((address) => `${port} . ${mac} . ${address}`),
    told6: six.map((address) => `${port} . ${mac} . ${hex(address)}`),
  };
}

/** What the table's sets hold. @param plugs - those that are held to their addresses. */
export function bridgeElements(networks: readonly NetworkRecord[], plugs: readonly Plug[]): Elements {
  const six = networks.flatMap(({ ipv6 }) => ipv6?.gateway ?? []);
  const places = plugs.map(elementsOf);
  const inSet = (set: string): string[] => places.flatMap((place) => place[set] ?? []);
  return {
    gateways: networks.map(({ gateway }) => gateway),
    gateways6: six,
    targets6: six.map(hex),
    places: inSet('places'),
    own4: inSet('own4'),
    own6: inSet('own6'),
    told6: inSet('told6'),
  };
}

/** One line of a script for each set that places are elements of. */
export function placeLines(verb: 'add' | 'delete', instance: string, plugs: readonly Plug[]): string {
  return Object.entries(bridgeElements([], plugs))
    .map(([set, elements]) =>
      elements.length === 0
        ? ''
        : `${verb} element bridge ${tableName(instance)} ${set} { ${elements.join(', ')} }\n`,
    )
    .join('');
}

/**
 * The table as a script for nft(8), which replaces what there is of it in one step. The first rule is all that most packets
 * meet. A frame with a tag of a VLAN would be taken for another protocol by those that look into it.
 * Bridges of others have none of the addresses, and none of the places.
 */
export function bridgeScript(
  instance: string,
  networks: readonly NetworkRecord[],
  plugs: readonly Plug[],
): string {
  const table = tableName(instance);
  const elements = bridgeElements(networks, plugs);
  const sets = Object.entries(TYPES).map(([name, type]) => {
    const held = elements[name] ?? [];
    return `  set ${name} { ${type}; ${held.length === 0 ? '' : `elements = { ${held.join(', ')} } `}}`;
  });
  return `table bridge ${table} {}
delete table bridge ${table}
table bridge ${table} {
${sets.join('\n')}
  chain own {
    iifname . ether saddr . arp saddr ip @own4 iifname . arp saddr ether . arp saddr ip @own4 accept
    ether type != ip6 drop
    iifname . ether saddr . ip6 saddr != @own6 drop
    icmpv6 type { nd-router-advert, nd-redirect } drop
    icmpv6 type nd-neighbor-advert iifname . ether saddr . @th,64,128 != @told6 drop
    accept
  }
  chain gateways {
    type filter hook prerouting priority dstnat; policy accept;
    iifname . ether saddr . ip saddr @own4 accept
    iifname @places goto own
    ip saddr @gateways drop
    arp saddr ip @gateways drop
    ip6 saddr @gateways6 drop
    icmpv6 type nd-neighbor-advert @th,64,128 @targets6 drop
  }
}
`;
}
