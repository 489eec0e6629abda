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
import type { NETWORK_CREATE_OPTIONS, NO_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { renderTable } from '../render/table.ts';
import { showTime } from '../render/values.ts';

const HEADING = ['NAME', 'IPNETS', 'GATEWAY', 'COUNTS', 'DRIVER', 'CREATED'];

export const listNetworks: Action<typeof NO_OPTIONS> = async (_, context) => {
  const found: Network[] = [];
  for await (const page of context.connect().serverStream(listMethod, ListNetworksRequest.create())) {
    found.push(...page.networks);
  }
  const rows = found.map((network) => [
    network.name,
    network.subnets.map(({ cidr }) => cidr).join(', '),
    network.subnets.map(({ gateway }) => gateway).join(', '),
    String(network.endpointCount),
    network.driver,
    showTime(network.createdAt),
  ]);
  print(renderTable(HEADING, rows));
  return 0;
};

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
