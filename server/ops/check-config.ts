/**
 * Whether a container can run as its configuration says, as far as that can be known before it is started:
 * what is found here costs the user nothing, found at the start it would cost a half made container.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { ContainerConfig } from '../model/container.ts';
import { invalidArgument } from '../model/error.ts';
import { type DnsConfig, HOST_GATEWAY } from '../model/network.ts';
import type { HostFacts } from '../spec/defaults.ts';
import { checkMounts, checkPath, invalid } from './check-mounts.ts';
import { checkResources, type HostCpus } from './check-resources.ts';
import { checkKernel } from './kernel-options.ts';

/** Linux's limit, sethostname(2). */
const MAX_HOSTNAME_CHARS = 64;
/** Longest single argument or variable, execve(2): MAX_ARG_STRLEN without the NUL. */
const MAX_STRING_BYTES = 131_071;
/** Linux gives arguments and environment a quarter of the stack's 8 MiB. */
const MAX_STRINGS_BYTES = 2 << 20;
/** Linux counts the pointer to each string too. */
const POINTER_BYTES = 8;
/** HOSTNAME, HOME, TERM, the program's path, and what the kernel adds. */
const RESERVED_STRINGS_BYTES = 16 << 10;
/** MAXNS of resolv.h. */
const MAX_DNS_SERVERS = 3;
const MAX_DNS_WORDS = 64;
/** Lines of /etc/hosts that fit well into its small tmpfs. */
const MAX_HOSTS = 512;
/** Each name is looked up in a file of the image. */
const MAX_GROUPS = 256;
const MAX_LABELS_BYTES = 256 << 10;
/**
 * @throws MydockerError `invalid-argument` for the first thing that is wrong.
 */
export function checkConfig(
  config: ContainerConfig,
  host: HostCpus,
  facts: Pick<HostFacts, 'capabilities'>,
): void {
  // The machine's own name is what it is: `(none)` where nobody has set one.
  if (config.hostname !== hostname()) checkHostname(config.hostname);
  checkPath('working directory', config.workingDir);
  if (config.rootfs.kind === 'directory') checkRootfs(config.rootfs.path);
  checkStrings(config);
  checkMounts(config);
  checkHosts(config);
  const { additionalGroups = [] } = config;
  if (additionalGroups.length > MAX_GROUPS)
    throw invalid('groups', String(additionalGroups.length), `there are more than ${MAX_GROUPS}`);
  checkResources(config.resources, host);
  checkKernel(config, facts);
  checkStop(config);
  if (config.dns !== undefined) checkDns(config.dns);
  checkLabels(config.labels);
}

function checkHostname(name: string): void {
  if (name.length > MAX_HOSTNAME_CHARS)
    throw invalid('hostname', name, `it is longer than ${MAX_HOSTNAME_CHARS} characters`);
  if (!/^[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?$/.test(name))
    throw invalid(
      'hostname',
      name,
      'only letters, digits, - . and _ may stand in it, and the first two at its ends',
    );
}

function checkRootfs(path: string): void {
  checkPath('rootfs directory', path);
  if (path === '/')
    throw invalid('rootfs directory', path, "it is the host's own root", {
      hint: 'give a directory that belongs to the container alone',
    });
}

function checkStrings({ args, env }: ContainerConfig): void {
  let total = 0;
  for (const text of [...args, ...env]) {
    const bytes = Buffer.byteLength(text);
    if (text.includes('\0')) throw invalid('argument', text, 'it has a NUL in it');
    if (bytes > MAX_STRING_BYTES)
      throw invalid(
        'argument',
        text,
        `it is longer than ${MAX_STRING_BYTES} bytes, the most that Linux passes on`,
      );
    total += bytes + 1 + POINTER_BYTES;
  }
  if (total > MAX_STRINGS_BYTES - RESERVED_STRINGS_BYTES)
    throw invalidArgument(
      'cannot create container: arguments and environment are larger than 2 MiB together',
      {
        reason: 'ARGUMENTS_TOO_LONG',
        hint: 'hand large data over in a file',
      },
    );
}

function checkStop({ stopTimeoutMs }: ContainerConfig): void {
  if (!Number.isInteger(stopTimeoutMs) || stopTimeoutMs < -1)
    throw invalid('stop timeout', String(stopTimeoutMs), 'it is neither a number of milliseconds nor -1');
}

/** Each becomes a word of a line of resolv.conf; the resolver reads no more of them. */
function checkDns({ servers, search, options }: DnsConfig): void {
  const [bad] = servers.filter((server) => isIP(server) === 0);
  if (bad !== undefined) throw invalid('dns server', bad, 'it is not an IP address');
  if (servers.length > MAX_DNS_SERVERS)
    throw invalid('dns servers', String(servers.length), `there are more than ${MAX_DNS_SERVERS}`);
  for (const [what, words] of [
    ['dns search domain', search],
    ['dns option', options],
  ] as const) {
    const [word] = words.filter((one) => !/^[\x21-\x7e]{1,253}$/.test(one) || /[#;]/.test(one));
    if (word !== undefined) throw invalid(what, word, 'it is not a word');
    if (words.length > MAX_DNS_WORDS)
      throw invalid(`${what}s`, String(words.length), `there are more than ${MAX_DNS_WORDS}`);
  }
}

/** Each becomes a line of /etc/hosts. */
function checkHosts({ extraHosts = [], network }: ContainerConfig): void {
  if (extraHosts.length > MAX_HOSTS)
    throw invalid('hosts', String(extraHosts.length), `there are more than ${MAX_HOSTS}`);
  for (const { hostname: name, address } of extraHosts) {
    if (!/^[\x21-\x7e]{1,253}$/.test(name) || /[#:]/.test(name))
      throw invalid('host name', name, 'it is not a word');
    if (address !== HOST_GATEWAY && isIP(address) === 0)
      throw invalid('address of a host', address, 'it is not an IP address', { hint: 'or host-gateway' });
    if (address === HOST_GATEWAY && network === 'none')
      throw invalid('address of a host', address, 'the container has no network in which the host could be');
  }
}

function checkLabels(labels: Readonly<Record<string, string>>): void {
  let total = 0;
  for (const [key, value] of Object.entries(labels)) {
    if (key === '') throw invalid('label', `=${value}`, 'its key is empty');
    total += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (total > MAX_LABELS_BYTES)
    throw invalid('labels', String(total), 'they are larger than 256 KiB together');
}
