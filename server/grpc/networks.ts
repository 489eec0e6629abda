/** mydocker.v1.NetworksService: decode, one operation, encode. What is left out answers UNIMPLEMENTED. */
import {
  Network as Codec,
  type Network,
  NetworkFactKind,
  type NetworksServiceDefinition,
} from '../../proto/gen/mydocker/v1/networks.ts';
import { NetworkAttachment } from '../../proto/gen/mydocker/v1/types.ts';
import { invalidArgument } from '../model/error.ts';
import type { NetworkRecord, NetworkSubnet } from '../model/network.ts';
import { joinPorts } from '../model/port.ts';
import { connectNetwork, disconnectNetwork } from '../ops/connect-network.ts';
import { placesOf } from '../ops/container-networks.ts';
import { containersIn } from '../ops/container-places.ts';
import { createNetwork } from '../ops/create-network.ts';
import { defaultNetworkId, findNetwork, listNetworks } from '../ops/default-network.ts';
import type { Engine } from '../ops/engine.ts';
import { explainContainerNetwork, explainNetwork } from '../ops/explain-network.ts';
import { labelsMatch } from '../ops/list-containers.ts';
import { pruneNetworks, removeNetwork } from '../ops/remove-network.ts';
import { publishPorts, unpublishPorts } from '../ops/update-ports.ts';
import { reloadNetworks } from '../ops/watch-networks.ts';
import { decodeAttachment, encodePlace } from './attachments.ts';
import { decodeLabels, decodePrune } from './decode-filter.ts';
import type { Implementation } from './handlers.ts';
import { decodeMapping, decodePattern, encodeMapping } from './ports.ts';
import { pages } from './streams.ts';
import { toTimestamp } from './timestamp.ts';

const DRIVER = 'bridge';

export function networksService(engine: Engine): Implementation<typeof NetworksServiceDefinition> {
  const inFull = (network: NetworkRecord): Network => {
    const places = containersIn(engine, network.id).flatMap((record) => placesOf(engine, record));
    const endpoints = places.filter(({ networkId }) => networkId === network.id).map(encodePlace);
    return { ...encodeNetwork(engine, network), endpoints };
  };
  return {
    createNetwork: async ({ requestId: _, ...request }) => ({
      network: inFull(await createNetwork(engine, request)),
    }),
    getNetwork: async ({ network: text }) => ({ network: inFull(await findNetwork(engine, text)) }),
    async *listNetworks({ names, idPrefixes, drivers, unusedOnly, labels }) {
      const conditions = decodeLabels(labels);
      const any = (values: readonly string[], test: (value: string) => boolean): boolean =>
        values.length === 0 || values.some(test);
      const found = (await listNetworks(engine))
        .filter(({ name }) => any(names, (part) => name.includes(part)))
        .filter(({ id }) => any(idPrefixes, (prefix) => id.startsWith(prefix)))
        .filter(() => any(drivers, (driver) => driver === DRIVER))
        .filter(({ labels: own = {} }) => labelsMatch(own, conditions))
        .map((network) => encodeNetwork(engine, network))
        .filter(({ endpointCount }) => !unusedOnly || endpointCount === 0);
      for (const networks of pages(found, (network) => Codec.encode(network).finish().length))
        yield { networks };
    },
    removeNetwork: async ({ network, expectedRev }) => ({
      id: await removeNetwork(engine, { network, expectedRev }),
    }),
    pruneNetworks: async ({ filter }) => ({ removed: await pruneNetworks(engine, decodePrune(filter)) }),
    connectNetwork: async ({ container, attachment, expectedRev }) => {
      const place = await connectNetwork(engine, {
        container,
        attachment: decodeAttachment(attachment ?? NetworkAttachment.create()),
        expectedRev,
      });
      return { endpoint: encodePlace(place) };
    },
    explainNetwork: async ({ subject }) => {
      if (subject === undefined)
        throw invalidArgument('cannot explain: neither a container nor a network was named', {
          reason: 'NETWORK_MISSING',
        });
      const facts =
        subject.$case === 'container'
          ? explainContainerNetwork(engine, subject.value)
          : await explainNetwork(engine, subject.value);
      return { facts: facts.map((fact) => ({ ...fact, kind: FACT[fact.kind] })) };
    },
    disconnectNetwork: async ({ container, network, force, expectedRev }) =>
      await disconnectNetwork(engine, { container, network, force, expectedRev }),
    reloadNetworks: async ({ networks }) => ({ repaired: await reloadNetworks(engine, networks) }),
    publishPorts: async ({ container, ports, expectedRev }) => {
      const published = await publishPorts(engine, {
        container,
        ports: ports.map(decodeMapping),
        expectedRev,
      });
      return { ports: joinPorts(published).map(encodeMapping) };
    },
    unpublishPorts: async ({ container, ports, expectedRev }) => {
      const left = await unpublishPorts(engine, { container, ports: ports.map(decodePattern), expectedRev });
      return { ports: joinPorts(left).map(encodeMapping) };
    },
  };
}

const FACT = {
  interface: NetworkFactKind.INTERFACE,
  address: NetworkFactKind.ADDRESS,
  route: NetworkFactKind.ROUTE,
  rule: NetworkFactKind.RULE,
  sysctl: NetworkFactKind.SYSCTL,
  name: NetworkFactKind.NAME,
} as const;

const NO_SUBNET6: readonly NetworkSubnet[] = [];

function encodeNetwork(engine: Engine, record: NetworkRecord): Network {
  const { id, rev, name, bridge, ipv6, internal = false, options = {}, labels = {} } = record;
  return {
    ...{ id, rev, name, driver: DRIVER, ipv6: ipv6 !== undefined, internal, options, labels },
    subnets: [record, ...(ipv6 === undefined ? NO_SUBNET6 : [ipv6])].map(
      ({ subnet, gateway, ipRange = '' }) => ({
        cidr: subnet,
        gateway,
        ipRange,
      }),
    ),
    isDefault: id === defaultNetworkId(engine),
    hostInterface: bridge,
    createdAt: toTimestamp(record.createdAt),
    updatedAt: toTimestamp(record.updatedAt),
    endpointCount: containersIn(engine, id).length,
    endpoints: [],
  };
}
