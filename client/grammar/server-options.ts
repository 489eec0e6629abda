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
    about: 'type, event, container, image, network or label',
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
  filter: { names: ['-f', '--filter'], type: 'list', value: 'KEY=VALUE', about: 'name, id or driver' },
} as const;

/** Options of `network create`. */
export const NETWORK_CREATE_OPTIONS = {
  subnet: { names: ['-s', '--subnet'], type: 'list', value: 'CIDR', about: 'addresses: 10.20.30.0/24' },
  driver: { names: ['-d', '--driver'], type: 'text', value: 'DRIVER', about: 'bridge' },
} as const;
