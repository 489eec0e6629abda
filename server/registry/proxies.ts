/**
 * Which proxy a request goes through: as the server's file says, else as its environment says, and never for this
 * machine itself. What a proxy is shown of us is in its address, which therefore appears nowhere.
 */
import { BlockList, isIP } from 'node:net';
import { type ProxySettings, proxyAddress } from '../model/proxy.ts';
import { isLoopback } from './addresses.ts';
import { registryError } from './registry-error.ts';

/** @returns the proxy for an address, `http:` or `https:`; undefined: none. */
export type ProxyFor = (host: string, url: URL) => URL | undefined;

/**
 * @param settings - go over the environment, one by one.
 * @param env - `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, also in lower case.
 */
export function proxiesOf(
  settings: ProxySettings,
  env: Readonly<Record<string, string | undefined>>,
): ProxyFor {
  const from = (name: string): string => env[name] || env[name.toLowerCase()] || '';
  const http = settings.http ?? from('HTTP_PROXY');
  const https = settings.https ?? from('HTTPS_PROXY');
  const isExempt = exemptions(settings.none ?? from('NO_PROXY'));
  return (host, url) => {
    const text = url.protocol === 'https:' ? https : http;
    if (text === '' || isLoopback(url.hostname) || isExempt(url)) return undefined;
    const address = proxyAddress(text);
    if (address !== undefined) return address;
    // It may have a password in it.
    throw registryError(host, 'the proxy that it is reached through is no http:// or https:// address', {
      reason: 'REGISTRY_PROXY',
    });
  };
}

/** As curl and Go read it: names with all below them, addresses, subnets, with or without a port. */
function exemptions(text: string): (url: URL) => boolean {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  const tests = entries.map(exemption);
  return (url) => tests.some((test) => test(url));
}

function exemption(entry: string): (url: URL) => boolean {
  if (entry === '*') return () => true;
  const [, net = '', prefix] = /^(.*)\/(\d{1,3})$/.exec(entry) ?? [];
  const family = isIP(net);
  if (prefix !== undefined && family !== 0 && Number(prefix) <= (family === 4 ? 32 : 128)) {
    const subnet = new BlockList();
    subnet.addSubnet(net, Number(prefix), family === 4 ? 'ipv4' : 'ipv6');
    return ({ hostname }) => {
      const address = bare(hostname);
      return isIP(address) !== 0 && subnet.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
    };
  }
  const isAddress = isIP(bare(entry)) !== 0;
  const [, name = '', port] = isAddress ? ['', entry] : (/^(.*?)(?::(\d+))?$/.exec(entry) ?? []);
  const only = bare(name.toLowerCase()).replace(/^\*\./, '.');
  return (url) => {
    const host = bare(url.hostname);
    if (port !== undefined && port !== (url.port || (url.protocol === 'https:' ? '443' : '80'))) return false;
    return only.startsWith('.') ? host.endsWith(only) : host === only || host.endsWith(`.${only}`);
  };
}

const bare = (host: string): string => host.replace(/^\[|\]$/g, '');
