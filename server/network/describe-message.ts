/** Reads messages of rtnetlink and says in words what they ask for: what explain shows of a plan. */
import { addressOf, formatAddress } from './ip.ts';
import {
  IFA,
  IFF_UP,
  IFINFOMSG_BYTES,
  IFLA,
  LINK_INFO,
  NLM_F,
  NLMSGHDR_BYTES,
  RTA,
  RTM,
  VETH_PEER,
} from './rtnetlink.ts';

const IFADDRMSG_BYTES = 8;
const RTMSG_BYTES = 12;
/** Set in the type of attributes that hold others. */
const NLA_TYPE_MASK = 0x3fff;

/** An attribute as it was found. */
export interface Attribute {
  readonly type: number;
  readonly payload: Buffer;
}

/** A message about a link. */
export interface LinkMessage {
  readonly kind: 'link';
  readonly remove: boolean;
  readonly create: boolean;
  readonly index: number;
  readonly up: boolean;
  readonly name?: string;
  readonly mac?: string;
  readonly linkKind?: string;
  readonly master?: number;
  readonly mtu?: number;
  /** Descriptor of the namespace that it is made in. */
  readonly namespace?: number;
  readonly queues?: number;
  readonly peer?: LinkMessage;
}

export interface AddressMessage {
  readonly kind: 'address';
  readonly index: number;
  readonly address: string;
  readonly prefix: number;
  /** `''`: IPv6 has none. */
  readonly broadcast: string;
}

export interface RouteMessage {
  readonly kind: 'route';
  readonly family: 4 | 6;
  readonly prefix: number;
  readonly gateway: string;
}

/**
 * The attributes that stand one behind the other.
 * @throws RangeError when one does not fit.
 */
export function readAttributes(bytes: Buffer): Attribute[] {
  const found: Attribute[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) throw new RangeError('an attribute does not fit');
    found.push({
      type: bytes.readUInt16LE(at + 2) & NLA_TYPE_MASK,
      payload: bytes.subarray(at + 4, at + length),
    });
    at += (length + 3) & ~3;
  }
  return found;
}

type Found = ReadonlyMap<number, Buffer>;
const byType = (bytes: Buffer): Found =>
  new Map(readAttributes(bytes).map(({ type, payload }) => [type, payload]));
const below = (found: Found, type: number): Found => byType(found.get(type) ?? Buffer.alloc(0));
const textOf = (payload: Buffer): string => payload.toString('utf8').replace(/\0$/, '');
const ipOf = (payload: Buffer | undefined): string => (payload ? formatAddress(addressOf(payload)) : '');

/** A field that is there only where its attribute is. */
function field<K extends string, T>(
  found: Found,
  type: number,
  key: K,
  read: (payload: Buffer) => T,
): Partial<Record<K, T>> {
  const payload = found.get(type);
  return payload === undefined ? {} : ({ [key]: read(payload) } as Partial<Record<K, T>>);
}

/** @param bytes - from ifinfomsg on. */
function readLink(bytes: Buffer, create: boolean, remove = false): LinkMessage {
  const found = byType(bytes.subarray(IFINFOMSG_BYTES));
  const info = below(found, IFLA.linkInfo);
  const peer = below(info, LINK_INFO.data).get(VETH_PEER);
  const uint32 = (payload: Buffer): number => payload.readUInt32LE();
  return {
    kind: 'link',
    remove,
    create,
    index: bytes.readInt32LE(4),
    up: (bytes.readUInt32LE(8) & IFF_UP) !== 0,
    ...field(found, IFLA.name, 'name', textOf),
    ...field(found, IFLA.address, 'mac', (payload) =>
      [...payload].map((byte) => byte.toString(16).padStart(2, '0')).join(':'),
    ),
    ...field(found, IFLA.master, 'master', uint32),
    ...field(found, IFLA.mtu, 'mtu', uint32),
    ...field(found, IFLA.netNsFd, 'namespace', uint32),
    ...field(found, IFLA.txQueues, 'queues', uint32),
    ...field(info, LINK_INFO.kind, 'linkKind', textOf),
    ...(peer === undefined ? {} : { peer: readLink(peer, create) }),
  };
}

/** @throws RangeError for what is no message of ours. */
export function readMessage(message: Uint8Array): LinkMessage | AddressMessage | RouteMessage {
  const bytes = Buffer.from(message);
  const type = bytes.readUInt16LE(4);
  const body = bytes.subarray(NLMSGHDR_BYTES);
  if (bytes.readUInt32LE(0) !== bytes.length) throw new RangeError('its length is another');
  if (type === RTM.newLink) return readLink(body, (bytes.readUInt16LE(6) & NLM_F.create) !== 0);
  if (type === RTM.delLink) return readLink(body, false, true);
  if (type === RTM.newAddress) {
    const found = byType(body.subarray(IFADDRMSG_BYTES));
    return {
      kind: 'address',
      index: body.readUInt32LE(4),
      prefix: body.readUInt8(1),
      address: ipOf(found.get(IFA.local)),
      broadcast: ipOf(found.get(IFA.broadcast)),
    };
  }
  if (type === RTM.newRoute) {
    const found = byType(body.subarray(RTMSG_BYTES));
    const gateway = found.get(RTA.gateway);
    const family = gateway?.length === 16 ? 6 : 4;
    return { kind: 'route', family, prefix: body.readUInt8(1), gateway: ipOf(gateway) };
  }
  throw new RangeError(`message type ${type} is unknown`);
}

function describeLink(link: LinkMessage, patched: { index?: string; descriptor?: string }): string {
  const { name, index, linkKind, master, mtu, up, mac, namespace, queues, peer } = link;
  const words: string[] = [];
  if (name !== undefined) words.push(name);
  else if (index !== 0) words.push(`index ${index}`);
  if (master !== undefined) words.push(`master ${patched.index ?? master}`);
  else if (name === undefined && index === 0 && patched.index !== undefined) words.push(patched.index);
  if (linkKind !== undefined) words.push(`kind ${linkKind}`);
  if (mac !== undefined) words.push(`address ${mac}`);
  if (mtu !== undefined) words.push(`mtu ${mtu}`);
  if (queues !== undefined) words.push(`queues ${queues}`);
  if (namespace !== undefined) words.push(`netns ${patched.descriptor ?? `fd ${namespace}`}`);
  if (up) words.push('up');
  if (peer !== undefined) words.push(`peer (${describeLink(peer, { ...patched })})`);
  return words.join(' ');
}

/**
 * In the words of ip(8): `RTM_NEWLINK veth12 master mydocker0 kind veth up peer (eth0 …)`.
 * @param patched - what the plan puts in when it sends the message.
 */
export function describeMessage(
  message: Uint8Array,
  patched: { readonly index?: string; readonly descriptor?: string } = {},
): string {
  const read = readMessage(message);
  const dev = patched.index === undefined ? '' : ` dev ${patched.index}`;
  switch (read.kind) {
    case 'link':
      return `RTM_${read.remove ? 'DEL' : 'NEW'}LINK${read.create ? ' (create)' : ''} ${describeLink(read, patched)}`;
    case 'address':
      return `RTM_NEWADDR ${read.address}/${read.prefix}${read.broadcast && ` broadcast ${read.broadcast}`}${dev}`;
    case 'route':
      return `RTM_NEWROUTE ${read.prefix === 0 ? 'default' : `/${read.prefix}`} via ${read.gateway}`;
  }
}
