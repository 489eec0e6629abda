/**
 * Rules of others that keep packets from containers. A packet must be accepted in every chain that it meets, so what
 * another firewall drops cannot be allowed by ours; and no rule of anybody else is ours to change. So it is said.
 */
import { runNft } from '../../native/nftables.ts';

/** A chain of somebody else at the hook that forwarded packets pass. */
interface ForwardChain {
  /** `ip`, `ip6`, `inet` */
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** By its policy. */
  readonly drops: boolean;
}

/** @param listing - of `list chains`: chains with their hooks and policies, without rules. */
export function forwardChains(listing: string): ForwardChain[] {
  const found: ForwardChain[] = [];
  for (const [, family = '', table = '', body = ''] of listing.matchAll(
    /^table (\w+) (\S+) \{\n([\s\S]*?)^\}/gm,
  ))
    for (const [, chain = '', hook = ''] of body.matchAll(/^\tchain (\S+) \{\n([^}]*)\}/gm))
      if (/hook forward\b/.test(hook) && /^type filter/m.test(hook.trim()))
        found.push({ family, table, chain, drops: /policy drop;/.test(hook) });
  return found;
}

/** Whether the last rule drops or rejects whatever comes to it, as firewalld's does. */
const endsInDrop = (rules: string): boolean =>
  /^\s*(?:counter (?:packets \d+ bytes \d+ )?)?(?:drop|reject\b.*)$/.test(
    rules.trimEnd().split('\n').at(-3) ?? '',
  );

function cure({ family, table, chain }: ForwardChain, bridge: string, tables: string): string {
  if (table === 'firewalld') return `firewall-cmd --zone=trusted --add-interface=${bridge}`;
  if (table === 'filter' && /\bchain ufw6?-/.test(tables))
    return `ufw route allow in on ${bridge} && ufw route allow out on ${bridge}`;
  if (table === 'filter' && chain === 'FORWARD') {
    const program = family === 'ip6' ? 'ip6tables' : 'iptables';
    return `${program} -I FORWARD -i ${bridge} -j ACCEPT && ${program} -I FORWARD -o ${bridge} -j ACCEPT`;
  }
  return `nft insert rule ${family} ${table} ${chain} iifname ${bridge} accept, and the same with oifname`;
}

/**
 * @param own - our own table.
 * @param bridges - of our networks: a chain that speaks of them has been told.
 * @returns a sentence for each chain that drops what it was not told.
 * @throws NftError where the kernel lacks nftables.
 */
export function findForwardConflicts(own: string, bridges: readonly string[]): string[] {
  const listing = runNft('list chains');
  return forwardChains(listing)
    .filter(({ family, table }) => table !== own && ['ip', 'ip6', 'inet'].includes(family))
    .flatMap((found) => {
      const { family, table, chain } = found;
      if (!found.drops && !endsInDrop(runNft(`list chain ${family} ${table} ${chain}`))) return [];
      // It may have been told in a chain that this one jumps to.
      const all = runNft(`list table ${family} ${table}`);
      const bridge = bridges.find((name) => !all.includes(`"${name}"`));
      if (bridge === undefined) return [];
      const what = `chain ${chain} of table ${family} ${table} drops forwarded packets that it was not told to accept`;
      return [`${what}, those of containers too: ${cure(found, bridge, listing)}`];
    });
}
