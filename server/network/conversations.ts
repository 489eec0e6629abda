/** Conversations through published ports, which the kernel would translate as they began for as long as they go on. */
import { forgetConversations } from '../../native/conntrack.ts';
import { addressBytes, parseAddress } from './ip.ts';
import type { PortElement } from './port-map.ts';

const PROTOCOL = { tcp: 6, udp: 17, sctp: 132 } as const;

const bytesOf = (text: string): Uint8Array => addressBytes(parseAddress(text));

/** Ends conversations with what was published: whoever goes on begins anew. */
export function forgetAnswers(gone: readonly PortElement[]): void {
  for (const { protocol, to } of gone)
    forgetConversations({
      direction: 'from',
      address: bytesOf(to.address),
      protocol: PROTOCOL[protocol],
      port: to.port,
    });
}

/**
 * Ends conversations that began before a port was published and went nowhere.
 * @param hostAddresses - of the host, both families.
 */
export function forgetRequests(added: readonly PortElement[], hostAddresses: readonly string[]): void {
  for (const { map, protocol, host } of added) {
    const all = hostAddresses.filter(
      (address) => address.includes(':') === map.endsWith('6') && !address.includes('%'),
    );
    for (const address of host.address === '' ? all : [host.address])
      forgetConversations({
        direction: 'to',
        address: bytesOf(address),
        protocol: PROTOCOL[protocol],
        port: host.port,
      });
  }
}
