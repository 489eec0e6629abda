/** The options of commands about networks and the server. */
import { FORMAT, NO_TRUNC } from './command-options.ts';

/** Options of `events`. */
export const EVENTS_OPTIONS = {
  since: { names: ['--since'], type: 'text', value: 'TIME', about: 'begin then; without: now' },
  until: { names: ['--until'], type: 'text', value: 'TIME', about: 'end then' },
  filter: {
    names: ['-f', '--filter'],
    type: 'list',
    value: 'KEY=VALUE',
    about: 'type, event, container, image, network, volume or label',
  },
  format: {
    names: ['--format'],
    type: 'text',
    value: 'FORMAT',
    about: "json: an object a line, or a template ('{{.Type}} {{.Action}} {{.Actor.Attributes.name}}')",
  },
  json: { names: ['--json'], type: 'flag', about: 'an object a line, as the contract has it' },
} as const;

/** Options of commands that print one object: `info`, `version`. */
export const OBJECT_OPTIONS = {
  format: {
    names: ['-f', '--format'],
    type: 'text',
    value: 'FORMAT',
    about: "a template ('{{.Server.Version}}', '{{.Driver}}'), or json",
  },
} as const;

/** Options of `networks`. */
export const NETWORKS_OPTIONS = {
  quiet: { names: ['-q', '--quiet'], type: 'flag', about: 'ids only' },
  noTrunc: NO_TRUNC as typeof NO_TRUNC,
  format: FORMAT as typeof FORMAT,
  filter: {
    names: ['-f', '--filter'],
    type: 'list',
    value: 'KEY=VALUE',
    about: 'name, id, driver, label or dangling',
  },
} as const;

/** Options of `network create`. */
export const NETWORK_CREATE_OPTIONS = {
  subnet: {
    names: ['-s', '--subnet'],
    type: 'list',
    value: 'CIDR',
    about: 'addresses: 10.20.30.0/24, fd00:1::/64; one of each family',
  },
  gateway: {
    names: ['--gateway'],
    type: 'list',
    value: 'ADDRESS',
    about: 'the host’s address in it (default the first one of the subnet)',
  },
  ipRange: {
    names: ['--ip-range'],
    type: 'list',
    value: 'CIDR',
    about: 'part of the subnet that containers get addresses from',
  },
  ipv6: {
    names: ['--ipv6'],
    type: 'flag',
    about: 'with IPv6, of a subnet that is found where none is given',
  },
  internal: { names: ['--internal'], type: 'flag', about: 'without a way out' },
  driver: { names: ['-d', '--driver'], type: 'text', value: 'DRIVER', about: 'bridge' },
  option: {
    names: ['-o', '--opt'],
    type: 'list',
    value: 'KEY=VALUE',
    about: 'of the driver: mtu=1400, spoofing=allow',
  },
  label: { names: ['-l', '--label'], type: 'list', value: 'KEY=VALUE', about: 'a label' },
} as const;

/** Options of `network connect`. */
export const NETWORK_CONNECT_OPTIONS = {
  ip: {
    names: ['--ip'],
    type: 'text',
    value: 'ADDRESS',
    about: 'IPv4 address (default the lowest free one)',
  },
  ip6: { names: ['--ip6'], type: 'text', value: 'ADDRESS', about: 'IPv6 address' },
  macAddress: { names: ['--mac-address'], type: 'text', value: 'MAC', about: 'hardware address' },
  alias: { names: ['--alias'], type: 'list', value: 'NAME', about: 'a further name for its neighbours' },
} as const;

/** Options of `network disconnect`. */
export const NETWORK_DISCONNECT_OPTIONS = {
  force: { names: ['-f', '--force'], type: 'flag', about: 'also where its interface cannot be reached' },
} as const;
