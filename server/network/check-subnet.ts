/** Whether a network can have a subnet that somebody asks for, before anybody asks whether it is free. */
import { invalidArgument, type MydockerError, quoteId } from '../model/error.ts';
import type { NetworkSubnet } from '../model/network.ts';
import {
  contains,
  type Family,
  formatAddress,
  formatSubnet,
  isForOne,
  lastOf,
  overlap,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './ip.ts';

/** What was asked for; `''`: chosen. */
export interface WantedSubnet {
  readonly cidr: string;
  readonly gateway: string;
  readonly ipRange: string;
}

/** Widest and narrowest: a gateway and one container fit, whatever else the address means. */
const PREFIXES: Readonly<Record<Family, readonly [least: number, most: number]>> = {
  4: [8, 30],
  6: [8, 126],
};

/** What stands for something else than a machine of a network. RFC 6890. */
const SPECIAL: readonly (readonly [cidr: string, what: string])[] = [
  ['0.0.0.0/8', 'this network'],
  ['127.0.0.0/8', 'the loopback'],
  ['169.254.0.0/16', 'link-local addresses'],
  ['224.0.0.0/4', 'groups'],
  ['240.0.0.0/4', 'nobody'],
  ['::/96', 'the loopback'],
  ['::ffff:0:0/96', 'IPv4 addresses'],
  ['fe80::/10', 'link-local addresses'],
  ['ff00::/8', 'groups'],
];

/**
 * @returns all in its usual spelling; host bits are dropped.
 * @throws MydockerError `invalid-argument`.
 */
export function checkSubnet({ cidr, gateway, ipRange }: WantedSubnet): NetworkSubnet {
  const subnet = parse('subnet', cidr, 'for example 10.20.30.0/24', parseSubnet);
  const text = formatSubnet(subnet);
  const [least, most] = PREFIXES[subnet.family];
  if (subnet.prefix < least || subnet.prefix > most)
    throw invalid('subnet', text, `its prefix is not between /${least} and /${most}`, 'for example a /24');
  const special = SPECIAL.find(([other]) => overlap(subnet, parseSubnet(other)));
  if (special !== undefined)
    throw invalid(
      'subnet',
      text,
      `${special[0]} is for ${special[1]}`,
      'take a private one: 10.0.0.0/8, fd00::/8',
    );
  const range = ipRange === '' ? undefined : checkRange(subnet, ipRange);
  return {
    subnet: text,
    gateway: checkGateway(subnet, gateway),
    ...(range === undefined ? {} : { ipRange: range }),
  };
}

function checkGateway(subnet: Subnet, text: string): string {
  if (text === '') return formatAddress({ family: subnet.family, value: subnet.base + 1n });
  const address = parse('gateway', text, 'an address of the subnet', parseAddress);
  if (!isForOne(subnet, address))
    throw invalid(
      'gateway',
      text,
      contains(subnet, address) ? 'it stands for the whole network' : 'it is not in the subnet',
      'an address of the subnet',
    );
  return formatAddress(address);
}

function checkRange(subnet: Subnet, text: string): string {
  const range = parse('ip range', text, 'a part of the subnet', parseSubnet);
  const isPart =
    contains(subnet, { family: range.family, value: range.base }) &&
    contains(subnet, { family: range.family, value: lastOf(range) });
  if (!isPart)
    throw invalid('ip range', text, 'it is not a part of the subnet', 'for example its upper half');
  return formatSubnet(range);
}

function parse<T>(what: string, text: string, hint: string, read: (text: string) => T): T {
  try {
    return read(text);
  } catch {
    throw invalid(what, text, what === 'gateway' ? 'it is no IP address' : 'it is no address/prefix', hint);
  }
}

const invalid = (what: string, text: string, why: string, hint: string): MydockerError =>
  invalidArgument(`invalid ${what} ${quoteId(text)}: ${why}`, { reason: 'SUBNET_INVALID', hint });
