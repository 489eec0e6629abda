/** `import --change`: what an image says about its containers, as instructions of a Dockerfile. */
import type { ImageConfig } from '../../proto/gen/mydocker/v1/images.ts';
import { PortProtocol } from '../../proto/gen/mydocker/v1/types.ts';
import { UsageError } from '../usage-error.ts';
import { oneOf } from './parse-filters.ts';

type Draft = { -readonly [K in keyof ImageConfig]?: ImageConfig[K] };

/**
 * The configuration that instructions make: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR.
 * @throws UsageError naming the instruction that cannot be read.
 */
export function parseChanges(changes: readonly string[]): Draft {
  const draft: Draft = {};
  for (const change of changes) {
    const [, word = '', rest = ''] = /^\s*(\S+)\s*([\s\S]*?)\s*$/.exec(change) ?? [];
    const apply = INSTRUCTIONS[word.toUpperCase()];
    if (apply === undefined || rest === '') {
      const hint = `known: ${Object.keys(INSTRUCTIONS).join(', ')}`;
      throw new UsageError(`invalid change ${JSON.stringify(change)}`, { hint });
    }
    apply(draft, rest);
  }
  return draft;
}

const INSTRUCTIONS: Readonly<Record<string, (draft: Draft, rest: string) => void>> = {
  CMD: (draft, rest) => {
    draft.command = commandLine(rest);
  },
  ENTRYPOINT: (draft, rest) => {
    draft.entrypoint = commandLine(rest);
  },
  ENV: (draft, rest) => {
    draft.env = [...(draft.env ?? []), ...pairs(rest).map(([key, value]) => `${key}=${value}`)];
  },
  EXPOSE: (draft, rest) => {
    draft.exposedPorts = [...(draft.exposedPorts ?? []), ...rest.split(/\s+/).map(exposedPort)];
  },
  LABEL: (draft, rest) => {
    draft.labels = { ...draft.labels, ...Object.fromEntries(pairs(rest)) };
  },
  STOPSIGNAL: (draft, rest) => {
    draft.stopSignal = rest;
  },
  USER: (draft, rest) => {
    draft.user = rest;
  },
  VOLUME: (draft, rest) => {
    draft.volumes = [...(draft.volumes ?? []), ...(jsonList(rest) ?? rest.split(/\s+/))];
  },
  WORKDIR: (draft, rest) => {
    draft.workingDir = rest;
  },
};

/** `["a", "b"]` as it is, anything else as a line for the shell. */
function commandLine(text: string): string[] {
  return jsonList(text) ?? ['/bin/sh', '-c', text];
}

function jsonList(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((item) => typeof item === 'string') ? list : undefined;
  } catch {
    return undefined;
  }
}

/** `KEY=VALUE KEY="a b"`, or `KEY the rest`. */
function pairs(text: string): [key: string, value: string][] {
  if (!/^[^\s=]+=/.test(text)) {
    const [, key = '', value = ''] = /^(\S+)\s+([\s\S]*)$/.exec(text) ?? [];
    if (key === '') throw new UsageError(`invalid change: ${JSON.stringify(text)} is not KEY=VALUE`);
    return [[key, value]];
  }
  const found = text.matchAll(/([^\s=]+)=((?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s"'\\])*)/g);
  return [...found].map(([, key = '', value = '']) => [key, unquote(value)]);
}

function unquote(text: string): string {
  return text.replaceAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g, (_, double, single, escaped) =>
    double === undefined ? (single ?? escaped) : String(double).replaceAll(/\\(.)/g, '$1'),
  );
}

function exposedPort(text: string): NonNullable<Draft['exposedPorts']>[number] {
  const [, port = '', protocol = 'tcp'] = /^(\d{1,5})(?:\/(\w+))?$/.exec(text) ?? [];
  if (Number(port) < 1 || Number(port) > 65_535) throw new UsageError(`invalid port ${JSON.stringify(text)}`);
  const kinds = { tcp: PortProtocol.TCP, udp: PortProtocol.UDP, sctp: PortProtocol.SCTP };
  return {
    containerPort: Number(port),
    count: 1,
    protocol: oneOf<PortProtocol>('protocol', protocol, kinds),
  };
}
