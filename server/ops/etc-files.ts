/** What a container finds in /etc/hosts, /etc/hostname and /etc/resolv.conf, as a Docker user expects it. */
import { readFileSync } from 'node:fs';
import type { ContainerConfig } from '../model/container.ts';

const HOSTS_HEAD = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** Larger ones are cut: they go onto a tmpfs of one megabyte. */
const MAX_HOST_FILE_BYTES = 65_536;

function hostFile(path: string, fallback: string): string {
  try {
    return readFileSync(path, 'utf8').slice(0, MAX_HOST_FILE_BYTES);
  } catch {
    return fallback;
  }
}

/** @returns name below /etc and content. */
export function etcFiles(config: ContainerConfig): [name: string, content: string][] {
  const own = config.network !== 'host';
  return [
    ['hosts', own ? `${HOSTS_HEAD}127.0.1.1\t${config.hostname}\n` : hostFile('/etc/hosts', HOSTS_HEAD)],
    ['hostname', `${config.hostname}\n`],
    // Without a network of its own a container still finds the file that its programs expect.
    ['resolv.conf', hostFile('/etc/resolv.conf', 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n')],
  ];
}
