/** `--add-host`: a line of /etc/hosts. */
import { UsageError } from '../usage-error.ts';

/**
 * One `--add-host`.
 * @param text - `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may have brackets.
 * @throws UsageError
 */
export function parseHost(text: string): { hostname: string; address: string } {
  const [, hostname = '', address = ''] = /^([^:=]+)[:=](.+)$/.exec(text) ?? [];
  if (hostname === '' || address === '')
    throw new UsageError(`invalid host ${JSON.stringify(text)}: it is not NAME:ADDRESS`, {
      hint: 'for example --add-host db:10.0.0.7',
    });
  return { hostname, address: address.replace(/^\[(.*)\]$/, '$1') };
}
