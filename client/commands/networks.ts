/** `mydocker network …`: the calls as they are. */
import {
  ConnectNetworkRequest,
  CreateNetworkRequest,
  DisconnectNetworkRequest,
  ListNetworksRequest,
  type Network,
  RemoveNetworkRequest,
} from '../../proto/gen/mydocker/v1/networks.ts';
import {
  connectNetwork as connectMethod,
  createNetwork as createMethod,
  disconnectNetwork as disconnectMethod,
  listNetworks as listMethod,
  removeNetwork as removeMethod,
} from '../api/networks.ts';
import { eachTarget } from '../each-target.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';
import type { NETWORK_CREATE_OPTIONS, NETWORKS_OPTIONS } from '../grammar/server-options.ts';
import { print } from '../output.ts';
import { parseFilters } from '../parse/parse-filters.ts';
import { type Column, renderRows } from '../render/rows.ts';
import { showId, showTime } from '../render/values.ts';

const USUAL = ['Name', 'IPNets', 'Gateway', 'Counts', 'Driver', 'CreatedAt'];

export const listNetworks: Action<typeof NETWORKS_OPTIONS> = async ({ options }, context) => {
  const given = parseFilters(options.filter, ['name', 'id', 'driver']);
  const request = { names: given.name, idPrefixes: given.id, drivers: given.driver };
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
  const subnets = options.subnet.map((cidr) => ({ cidr }));
  const request = CreateNetworkRequest.create({ name, driver: options.driver ?? '', subnets });
  const { network } = await context.connect().unary(createMethod, request);
  print(`${network?.id ?? ''}\n`);
  return 0;
};

export const removeNetworks: Action<typeof NO_OPTIONS> = async ({ positionals }, context) =>
  await eachTarget(positionals, async (network) => {
    await context.connect().unary(removeMethod, RemoveNetworkRequest.create({ network }));
    return network;
  });

export const connectNetwork: Action<typeof NO_OPTIONS> = async ({ positionals }, context) => {
  const [network = '', container = ''] = positionals;
  const request = ConnectNetworkRequest.create({ container, attachment: { network } });
  await context.connect().unary(connectMethod, request);
  return 0;
};

export const disconnectNetwork: Action<typeof NO_OPTIONS> = async ({ positionals }, context) => {
  const [network = '', container = ''] = positionals;
  await context.connect().unary(disconnectMethod, DisconnectNetworkRequest.create({ container, network }));
  return 0;
};
