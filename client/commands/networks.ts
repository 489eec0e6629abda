/** `mydocker network …`: the calls as they are. */
import {
  ConnectNetworkRequest,
  CreateNetworkRequest,
  DisconnectNetworkRequest,
  ListNetworksRequest,
  type Network,
  ReloadNetworksRequest,
  RemoveNetworkRequest,
} from '../../proto/gen/mydocker/v1/networks.ts';
import { NetworkAttachment } from '../../proto/gen/mydocker/v1/types.ts';
import {
  connectNetwork as connectMethod,
  createNetwork as createMethod,
  disconnectNetwork as disconnectMethod,
  listNetworks as listMethod,
  reloadNetworks as reloadMethod,
  removeNetwork as removeMethod,
} from '../api/networks.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';
import type {
  NETWORK_CONNECT_OPTIONS,
  NETWORK_CREATE_OPTIONS,
  NETWORK_DISCONNECT_OPTIONS,
  NETWORKS_OPTIONS,
} from '../grammar/server-options.ts';
import { print } from '../output.ts';
import { labelConditions, oneOf, parseFilters } from '../parse/parse-filters.ts';
import { parseLabels } from '../parse/parse-key-value.ts';
import { type Column, renderRows } from '../render/rows.ts';
import { showId, showTime } from '../render/values.ts';
import { UsageError } from '../usage-error.ts';

const USUAL = ['Name', 'IPNets', 'Gateway', 'Counts', 'Driver', 'CreatedAt'];

export const listNetworks: Action<typeof NETWORKS_OPTIONS> = async ({ options }, context) => {
  const given = parseFilters(options.filter, ['name', 'id', 'driver', 'label', 'label!', 'dangling']);
  const dangling = given.dangling.at(-1);
  const request = {
    ...{ names: given.name, idPrefixes: given.id, drivers: given.driver },
    labels: labelConditions(given.label, given['label!']),
    unusedOnly:
      dangling !== undefined && oneOf('dangling', dangling, { true: true, 1: true, false: false, 0: false }),
  };
  const found: Network[] = [];
  for await (const page of context.connect().serverStream(listMethod, ListNetworksRequest.create(request))) {
    found.push(...page.networks);
  }
  const { quiet, noTrunc = false, format } = options;
  if (quiet) print(found.map(({ id }) => `${showId(id, noTrunc)}\n`).join(''));
  else print(renderRows(found, columns(noTrunc), USUAL, format));
  return 0;
};

function columns(whole: boolean): readonly Column<Network>[] {
  return [
    { name: 'ID', heading: 'NETWORK ID', of: ({ id }) => showId(id, whole) },
    { name: 'Name', heading: 'NAME', of: ({ name }) => name },
    { name: 'Driver', heading: 'DRIVER', of: ({ driver }) => driver },
    { name: 'Scope', heading: 'SCOPE', of: () => 'local' },
    { name: 'IPv6', heading: 'IPV6', of: ({ ipv6 }) => String(ipv6) },
    { name: 'Internal', heading: 'INTERNAL', of: ({ internal }) => String(internal) },
    { name: 'IPNets', heading: 'IPNETS', of: ({ subnets }) => subnets.map(({ cidr }) => cidr).join(', ') },
    { name: 'Gateway', heading: 'GATEWAY', of: ({ subnets }) => subnets.map((s) => s.gateway).join(', ') },
    { name: 'Counts', heading: 'COUNTS', of: ({ endpointCount }) => String(endpointCount) },
    { name: 'CreatedAt', heading: 'CREATED', of: ({ createdAt }) => showTime(createdAt) },
  ];
}

export const createNetwork: Action<typeof NETWORK_CREATE_OPTIONS> = async (
  { options, positionals },
  context,
) => {
  const [name = ''] = positionals;
  const request = CreateNetworkRequest.create({
    ...{ name, driver: options.driver ?? '', subnets: subnetsOf(options) },
    ...{ ipv6: options.ipv6 ?? false, internal: options.internal ?? false },
    options: parseLabels(options.option),
    labels: parseLabels(options.label),
  });
  const { network } = await context.connect().unary(createMethod, request);
  print(`${network?.id ?? ''}\n`);
  return 0;
};

export const removeNetworks: Action<typeof NO_OPTIONS> = async ({ positionals }, context) =>
  await eachTarget(positionals, async (network) => {
    await context.connect().unary(removeMethod, RemoveNetworkRequest.create({ network }));
    return network;
  });

/** Gateways and ranges belong to the subnet of their family. @throws UsageError where there is none. */
function subnetsOf(options: {
  readonly subnet: readonly string[];
  readonly gateway: readonly string[];
  readonly ipRange: readonly string[];
}): { cidr: string; gateway: string; ipRange: string }[] {
  const isIpv6 = (text: string): boolean => text.includes(':');
  for (const [option, texts] of [
    ['--gateway', options.gateway],
    ['--ip-range', options.ipRange],
  ] as const)
    for (const text of texts) {
      if (!options.subnet.some((cidr) => isIpv6(cidr) === isIpv6(text)))
        throw new UsageError(`${option} ${text} needs a --subnet of its family`);
      if (texts.filter((other) => isIpv6(other) === isIpv6(text)).length > 1)
        throw new UsageError(`${option} can be given once for each family`);
    }
  return options.subnet.map((cidr) => ({
    cidr,
    gateway: options.gateway.find((text) => isIpv6(text) === isIpv6(cidr)) ?? '',
    ipRange: options.ipRange.find((text) => isIpv6(text) === isIpv6(cidr)) ?? '',
  }));
}

export const connectNetwork: Action<typeof NETWORK_CONNECT_OPTIONS> = async (
  { options, positionals },
  context,
) => {
  const [network = '', container = ''] = positionals;
  const attachment = {
    network,
    ipv4Address: options.ip ?? '',
    ipv6Address: options.ip6 ?? '',
    macAddress: options.macAddress ?? '',
    aliases: options.alias,
  };
  await context
    .connect()
    .unary(
      connectMethod,
      ConnectNetworkRequest.create({ container, attachment: NetworkAttachment.create(attachment) }),
    );
  return 0;
};

export const disconnectNetwork: Action<typeof NETWORK_DISCONNECT_OPTIONS> = async (
  { options, positionals },
  context,
) => {
  const [network = '', container = ''] = positionals;
  const request = DisconnectNetworkRequest.create({ container, network, force: options.force ?? false });
  await context.connect().unary(disconnectMethod, request);
  return 0;
};

export const reloadNetworks: Action<typeof NO_OPTIONS> = async ({ positionals }, context) => {
  const request = ReloadNetworksRequest.create({ networks: [...positionals] });
  const { repaired } = await context.connect().unary(reloadMethod, request);
  print(repaired.map((sentence) => `${sentence}\n`).join(''));
  return 0;
};
