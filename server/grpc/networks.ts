/** mydocker.v1.NetworksService: decode, one operation, encode. What is left out answers UNIMPLEMENTED. */
import type { Network, NetworksServiceDefinition } from '../../proto/gen/mydocker/v1/networks.ts';
import type { NetworkRecord } from '../model/network.ts';
import { placesOf } from '../ops/container-networks.ts';
import { containersIn } from '../ops/container-places.ts';
import { defaultNetworkId, findNetwork, listNetworks } from '../ops/default-network.ts';
import type { Engine } from '../ops/engine.ts';
import { encodePlace } from './attachments.ts';
import type { Implementation } from './handlers.ts';
import { refuseRest } from './refuse-rest.ts';
import { toTimestamp } from './timestamp.ts';

const DRIVER = 'bridge';

export function networksService(engine: Engine): Implementation<typeof NetworksServiceDefinition> {
  return {
    getNetwork: async ({ network: text }) => {
      const network = await findNetwork(engine, text);
      const places = containersIn(engine, network.id).flatMap((record) => placesOf(engine, record));
      const endpoints = places.filter(({ networkId }) => networkId === network.id).map(encodePlace);
      return { network: { ...encodeNetwork(engine, network), endpoints } };
    },
    async *listNetworks({ names, idPrefixes, drivers, unusedOnly, ...rest }) {
      refuseRest('', rest);
      const any = (values: readonly string[], test: (value: string) => boolean): boolean =>
        values.length === 0 || values.some(test);
      const found = (await listNetworks(engine))
        .filter(({ name }) => any(names, (part) => name.includes(part)))
        .filter(({ id }) => any(idPrefixes, (prefix) => id.startsWith(prefix)))
        .filter(() => any(drivers, (driver) => driver === DRIVER))
        .map((network) => encodeNetwork(engine, network))
        .filter(({ endpointCount }) => !unusedOnly || endpointCount === 0);
      if (found.length > 0) yield { networks: found };
    },
  };
}

function encodeNetwork(engine: Engine, record: NetworkRecord): Network {
  const { id, rev, name, bridge, subnet, gateway } = record;
  return {
    ...{ id, rev, name, driver: DRIVER, ipv6: false, internal: false, options: {}, labels: {} },
    subnets: [{ cidr: subnet, gateway, ipRange: '' }],
    isDefault: id === defaultNetworkId(engine),
    hostInterface: bridge,
    createdAt: toTimestamp(record.createdAt),
    updatedAt: toTimestamp(record.updatedAt),
    endpointCount: containersIn(engine, id).length,
    endpoints: [],
  };
}
