/** A container's places in networks on the wire: as asked for, and as they are. */
import type { NetworkAttachment, NetworkEndpoint } from '../../proto/gen/mydocker/v1/types.ts';
import { invalidArgument, quoteId } from '../model/error.ts';
import type { Attachment } from '../model/network.ts';
import type { PlaceView } from '../ops/container-networks.ts';
import { refuseRest } from './refuse-rest.ts';

const MAX_ALIASES = 64;
/** What an interface may be called, IFNAMSIZ; `lo`, `all` and `default` mean something else. */
const INTERFACE = /^(?!lo$|all$|default$)[a-zA-Z][a-zA-Z0-9_.-]{0,14}$/;
/** Of one machine: the lowest bit of the first byte is for groups. */
const MAC = /^[0-9a-f][02468ace](?::[0-9a-f]{2}){5}$/;
/** A host name of at most 253 letters in parts of at most 63. */
const NAME = /^(?=.{1,253}$)[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,62})(?:\.[a-zA-Z0-9_](?:[a-zA-Z0-9_-]{0,62}))*$/;

/** @throws MydockerError `invalid-argument` for what no interface can have. */
export function decodeAttachment(attachment: NetworkAttachment): Attachment {
  const { network, ipv4Address, ipv6Address, macAddress, aliases, interfaceName, ...rest } = attachment;
  refuseRest('config.network.attachments', rest);
  const mac = macAddress.toLowerCase().replaceAll('-', ':');
  if (mac !== '' && (!MAC.test(mac) || mac === '00:00:00:00:00:00'))
    throw invalid(
      'MAC address',
      macAddress,
      'it is not one of a single interface',
      'for example 02:42:ac:11:00:02',
    );
  if (interfaceName !== '' && !INTERFACE.test(interfaceName))
    throw invalid(
      'interface name',
      interfaceName,
      'it is not a word of at most 15 letters',
      'for example eth1',
    );
  const bad = aliases.find((alias) => !NAME.test(alias));
  if (bad !== undefined) throw invalid('alias', bad, 'it is not a host name', 'for example db');
  if (aliases.length > MAX_ALIASES)
    throw invalid('aliases', String(aliases.length), `there are more than ${MAX_ALIASES}`, 'give fewer');
  return {
    network,
    ...(ipv4Address === '' ? {} : { ipv4: ipv4Address }),
    ...(ipv6Address === '' ? {} : { ipv6: ipv6Address }),
    ...(mac === '' ? {} : { mac }),
    ...(interfaceName === '' ? {} : { interfaceName }),
    ...(aliases.length === 0 ? {} : { aliases: [...new Set(aliases)] }),
  };
}

const invalid = (what: string, text: string, why: string, hint: string): Error =>
  invalidArgument(`invalid ${what} ${quoteId(text)}: ${why}`, { reason: 'CONFIG_INVALID', hint });

/** A container's place on the wire. */
export const encodePlace = ({ given: _, ...place }: PlaceView): NetworkEndpoint => place;

/** What somebody would ask for to get such a place again. */
export function encodeAttachment(place: PlaceView): NetworkAttachment {
  const { network, given, aliases, interfaceName, ipv4Address, ipv6Address, macAddress } = place;
  const plain = (cidr: string): string => cidr.replace(/\/.*/, '');
  return {
    network,
    ipv4Address: given.includes('ipv4') ? plain(ipv4Address) : '',
    ipv6Address: given.includes('ipv6') ? plain(ipv6Address) : '',
    macAddress: given.includes('mac') ? macAddress : '',
    aliases,
    interfaceName: given.includes('interface') ? interfaceName : '',
    options: {},
  };
}
