/** `--network`, as often as wanted, and the options about the first one. */
import { type NetworkConfig, NetworkMode } from '../../proto/gen/mydocker/v1/config.ts';
import { NetworkAttachment } from '../../proto/gen/mydocker/v1/types.ts';
import { UsageError } from '../usage-error.ts';

/** What was typed. */
export interface NetworkOptions {
  readonly network: readonly string[];
  readonly ip?: string | undefined;
  readonly ip6?: string | undefined;
  readonly macAddress?: string | undefined;
  readonly networkAlias: readonly string[];
}

const ALONE: Readonly<Record<string, NetworkMode>> = { none: NetworkMode.NONE, host: NetworkMode.HOST };

/** Keys of a network written at length, `name=lan,ip=10.0.0.7`, and the fields that they set. */
const FIELDS: Readonly<
  Record<string, 'network' | 'ipv4Address' | 'ipv6Address' | 'macAddress' | 'interfaceName'>
> = {
  ...{ name: 'network', network: 'network', ip: 'ipv4Address', ip6: 'ipv6Address' },
  ...{ 'mac-address': 'macAddress', interface: 'interfaceName' },
};

/**
 * @returns undefined where nothing was typed.
 * @throws UsageError for what cannot go together.
 */
export function parseNetworks(
  options: NetworkOptions,
): Pick<Partial<NetworkConfig>, 'mode' | 'container' | 'attachments'> | undefined {
  const { network: names, ip = '', ip6 = '', macAddress = '', networkAlias } = options;
  const [first = ''] = names;
  const shared = /^container:(.+)$/.exec(first)?.[1];
  const isAlone = (name: string): boolean => Object.hasOwn(ALONE, name) || name.startsWith('container:');
  if (names.length > 1 && names.some(isAlone))
    throw new UsageError('--network none, host and container:NAME stand alone');
  const about = ip !== '' || ip6 !== '' || macAddress !== '' || networkAlias.length > 0;
  if (about && isAlone(first))
    throw new UsageError(
      '--ip, --ip6, --mac-address and --network-alias need a network of the container’s own',
    );
  if (shared !== undefined) return { mode: NetworkMode.CONTAINER, container: shared };
  const mode = Object.hasOwn(ALONE, first) ? ALONE[first] : undefined;
  if (mode !== undefined) return { mode };
  if (names.length === 0 && !about) return undefined;
  const attachments = (names.length === 0 ? ['default'] : names).map(parseOne);
  const [one = NetworkAttachment.create(), ...others] = attachments;
  const more = NetworkAttachment.create({
    ...one,
    ...(ip === '' ? {} : { ipv4Address: ip }),
    ...(ip6 === '' ? {} : { ipv6Address: ip6 }),
    ...(macAddress === '' ? {} : { macAddress }),
    aliases: [...one.aliases, ...networkAlias],
  });
  return { mode: NetworkMode.NETWORKS, attachments: [more, ...others] };
}

function parseOne(text: string): NetworkAttachment {
  const fields: Partial<Record<(typeof FIELDS)[string], string>> = {};
  const aliases: string[] = [];
  for (const [n, part] of text.split(',').entries()) {
    const cut = part.indexOf('=');
    const key = part.slice(0, Math.max(cut, 0));
    const value = part.slice(cut + 1);
    const field = Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined;
    if (cut < 0 && n === 0) fields.network = part;
    else if (key === 'alias') aliases.push(value);
    else if (field !== undefined) fields[field] = value;
    else
      throw new UsageError(`invalid network ${JSON.stringify(text)}: ${JSON.stringify(part)} says nothing`, {
        hint: 'for example lan,ip=10.20.30.40,alias=db',
      });
  }
  return NetworkAttachment.create({ ...fields, aliases });
}
