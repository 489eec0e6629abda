/**
 * The one nftables table of an instance, for both families. It lets containers out under the host's address and
 * nobody in that they did not ask; no rule, chain or policy of anybody else is touched. Networks are elements of
 * sets, so that a packet meets the same few rules however many there are.
 */
import type { NetworkRecord } from '../model/network.ts';

/** @param instance - 8 hex digits. */
export const tableName = (instance: string): string => `mydocker_${instance}`;

const set = (name: string, type: string, elements: readonly string[]): string =>
  `  set ${name} {
    type ${type};
${elements.length === 0 ? '' : `    elements = { ${elements.join(', ')} }\n`}  }`;

/**
 * The table as a script for nft(8), which replaces what there is of it in one step.
 * Names are our own: letters, digits, - and _ of an interface.
 */
export function tableScript(instance: string, networks: readonly NetworkRecord[]): string {
  const table = tableName(instance);
  const names = (all: readonly NetworkRecord[]): string[] => all.map(({ bridge }) => `"${bridge}"`);
  // The first one is how earlier versions had it.
  return `table ip ${table} {}
delete table ip ${table}
table inet ${table} {}
delete table inet ${table}
table inet ${table} {
${set('networks', 'ifname', names(networks))}
${set('internal', 'ifname', names(networks.filter(({ internal }) => internal === true)))}
${set(
  'within',
  'ifname . ifname',
  names(networks).map((name) => `${name} . ${name}`),
)}
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname . oifname @within accept
    iifname @internal drop
    oifname @internal drop
    oifname @networks ct state established,related accept
    oifname @networks drop
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    iifname . oifname @within return
    iifname @networks masquerade
  }
}
`;
}
