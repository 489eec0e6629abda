/**
 * The one nftables table of an instance. It lets containers out under the host's address and nobody in that they
 * did not ask; no rule, chain or policy of anybody else is touched.
 */
import type { NetworkRecord } from '../model/network.ts';

/** @param instance - 8 hex digits. */
export const tableName = (instance: string): string => `mydocker_${instance}`;

/**
 * The table as a script for nft(8), which replaces what there is of it in one step.
 * Names are our own: letters, digits, - and _ of an interface, digits and points of a subnet.
 */
export function tableScript(instance: string, { bridge, subnet }: NetworkRecord): string {
  const table = tableName(instance);
  return `table ip ${table} {}
delete table ip ${table}
table ip ${table} {
  chain forward {
    type filter hook forward priority filter; policy accept;
    oifname "${bridge}" iifname != "${bridge}" ct state established,related accept
    oifname "${bridge}" iifname != "${bridge}" drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${subnet} oifname != "${bridge}" masquerade
  }
}
`;
}
