/** The address that a container gets in a network: the one it asks for, or the lowest that is free. */
import { cannot, invalidArgument, type MydockerError, resourceExhausted } from '../model/error.ts';
import type { NetworkRecord, NetworkSubnet } from '../model/network.ts';
import {
  type Address,
  contains,
  formatAddress,
  isForOne,
  lowestFree,
  parseAddress,
  parseSubnet,
  type Subnet,
} from './ip.ts';

/**
 * @param wish - as a client wrote it; absent: the lowest free one.
 * @param taken - addresses of both families in their usual spelling.
 * @throws MydockerError `resource-exhausted` when all are in use, `already-exists` for one that is, `invalid-argument`
 * for one that no container may have.
 */
export function chooseAddress(
  network: NetworkRecord,
  { subnet: text, gateway, ipRange }: NetworkSubnet,
  wish: string | undefined,
  taken: ReadonlySet<string>,
): Address {
  const subnet = parseSubnet(text);
  const { family } = subnet;
  if (wish !== undefined) return checkWish(network, subnet, gateway, wish, taken);
  const numbers = new Set(
    [...taken, gateway].map(parseAddress).flatMap((one) => (one.family === family ? [one.value] : [])),
  );
  const value = lowestFree(subnet, numbers, ipRange === undefined ? subnet : parseSubnet(ipRange));
  if (value === undefined) throw full(network, ipRange ?? text);
  return { family, value };
}

function checkWish(
  network: NetworkRecord,
  subnet: Subnet,
  gateway: string,
  wish: string,
  taken: ReadonlySet<string>,
): Address {
  let address: Address;
  try {
    address = parseAddress(wish);
  } catch {
    throw badWish(network, wish, 'it is not an IP address', 'for example 10.20.30.40');
  }
  const text = formatAddress(address);
  const hint = 'leave the address out, or choose another one';
  if (!contains(subnet, address)) throw badWish(network, text, 'it is not in the network’s subnet', hint);
  if (!isForOne(subnet, address)) throw badWish(network, text, 'it stands for the whole network', hint);
  if (text === formatAddress(parseAddress(gateway)))
    throw badWish(network, text, 'it is the network’s gateway', hint);
  if (taken.has(text))
    throw cannot('already-exists', 'join', 'network', network.name, `the address ${text} is in use`, {
      reason: 'ADDRESS_IN_USE',
      hint,
      metadata: { network: network.name, address: text },
    });
  return address;
}

/** What cannot be asked for. */
export const badWish = (network: NetworkRecord, what: string, why: string, hint: string): MydockerError =>
  invalidArgument(`cannot join network ${network.name} with ${what}: ${why}`, {
    reason: 'ENDPOINT_INVALID',
    hint,
    metadata: { network: network.name },
  });

function full({ name }: NetworkRecord, range: string): MydockerError {
  return resourceExhausted(`cannot join network ${name}: all addresses of ${range} are in use`, {
    reason: 'ADDRESSES_EXHAUSTED',
    hint: 'remove containers that are not needed: a stopped one keeps its address',
    metadata: { network: name, subnet: range },
  });
}
