/** `--mount` and `--tmpfs`: what is mounted where, in Docker's two long forms. */
import { resolve } from 'node:path';
import { type ContainerConfig, MountPropagation } from '../../proto/gen/mydocker/v1/config.ts';
import { UsageError } from '../usage-error.ts';
import { parseIdMap } from './parse-id-map.ts';
import { parseSize } from './parse-number.ts';

/** A mount as create sends it. */
export type MountFields = NonNullable<
  NonNullable<Parameters<typeof ContainerConfig.create>[0]>['mounts']
>[number];

/** How mounts of the host show below a bind mount, by Docker's words. */
export const PROPAGATION: Readonly<Record<string, MountPropagation>> = {
  rprivate: MountPropagation.RPRIVATE,
  private: MountPropagation.PRIVATE,
  rslave: MountPropagation.RSLAVE,
  slave: MountPropagation.SLAVE,
  rshared: MountPropagation.RSHARED,
  shared: MountPropagation.SHARED,
};

const NAMES: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
};
/** Which keys there are, and which kind of mount has them; `*`: each. */
const KEYS: Readonly<Record<string, string>> = {
  ...{ type: '*', target: '*', readonly: '*', consistency: '*' },
  ...{ source: 'bind volume', 'bind-propagation': 'bind', 'bind-nonrecursive': 'bind' },
  ...{ 'bind-recursive': 'bind', 'volume-driver': 'volume', idmap: 'bind volume' },
  ...{
    'volume-opt': 'volume',
    'volume-label': 'volume',
    'volume-nocopy': 'volume',
    'volume-subpath': 'volume',
    'tmpfs-size': 'tmpfs',
    'tmpfs-mode': 'tmpfs',
  },
};
/** These alone may stand without a value. */
const FLAGS = new Set(['readonly', 'bind-nonrecursive', 'volume-nocopy', 'idmap']);
/** `KEY=VALUE` each, as often as is liked: kept together, a line each. */
const REPEATED = new Set(['volume-opt', 'volume-label']);
const HINT = 'for example --mount type=bind,src=/data,dst=/data,readonly';

/** Values by their long names. */
type Values = ReadonlyMap<string, string>;

/**
 * One `--mount`.
 * @param text - `type=bind,src=/a,dst=/b,readonly`: one line of CSV, so that a quoted value may have commas.
 * @param folder - what relative sources begin at.
 * @throws UsageError that names the key.
 */
export function parseMount(text: string, folder: string): MountFields {
  const bad = (why: string): UsageError =>
    new UsageError(`invalid mount ${JSON.stringify(text)}: ${why}`, { hint: HINT });
  const values = readValues(text, bad);
  const type = values.get('type') ?? 'volume';
  if (!['bind', 'volume', 'tmpfs'].includes(type))
    throw bad(`unknown type ${JSON.stringify(type)}; there are bind, volume and tmpfs`);
  for (const key of values.keys()) {
    const kinds = KEYS[key] ?? '';
    if (kinds !== '*' && !kinds.split(' ').includes(type)) throw bad(`${key} does not go with type=${type}`);
  }
  const destination = values.get('target') ?? '';
  if (destination === '') throw bad('target is missing');
  if (!destination.startsWith('/')) throw bad(`target ${JSON.stringify(destination)} is not absolute`);
  const map = values.get('idmap');
  return {
    destination,
    readOnly: isOn(values, 'readonly', bad),
    ...(map === undefined ? {} : { idMap: parseIdMap(map, bad) }),
    source: type === 'bind' ? bindSource(values, folder, bad) : otherSource(type, values, bad),
  };
}

function readValues(text: string, bad: (why: string) => UsageError): Values {
  const values = new Map<string, string>();
  for (const field of splitCsv(text, bad)) {
    const cut = field.indexOf('=');
    const typed = (cut < 0 ? field : field.slice(0, cut)).toLowerCase();
    const key = NAMES[typed] ?? typed;
    if (!Object.hasOwn(KEYS, key)) throw bad(`unknown key ${JSON.stringify(typed)}`);
    const before = values.get(key);
    if (before !== undefined && !REPEATED.has(key)) throw bad(`${key} is given twice`);
    if (cut < 0 && !FLAGS.has(key)) throw bad(`${key} has no value`);
    const value = cut < 0 ? 'true' : field.slice(cut + 1);
    values.set(key, before === undefined ? value : `${before}\n${value}`);
  }
  return values;
}

/** Fields of a line of CSV, RFC 4180: quotes around a field, doubled ones in it. */
function splitCsv(text: string, bad: (why: string) => UsageError): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= text.length; ) {
    const match = /^(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/.exec(text.slice(at));
    if (match === null) throw bad('a quote stands in the middle, or is not closed');
    const [whole, quoted, plain = ''] = match;
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    at += whole.length + 1;
  }
  if (fields.some((field) => field === '')) throw bad('it has an empty part');
  return fields;
}

function isOn(values: Values, key: string, bad: (why: string) => UsageError): boolean {
  const value = values.get(key) ?? 'false';
  if (/^(?:1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw bad(`${key} is true or false, not ${JSON.stringify(value)}`);
}

function bindSource(
  values: Values,
  folder: string,
  bad: (why: string) => UsageError,
): NonNullable<MountFields['source']> {
  const source = values.get('source') ?? '';
  if (source === '') throw bad('source is missing');
  if (!/^\.{0,2}(?:\/|$)/.test(source)) throw bad(`source ${JSON.stringify(source)} is not absolute`);
  const named = values.get('bind-propagation');
  const propagation = named === undefined ? MountPropagation.UNSPECIFIED : PROPAGATION[named];
  if (propagation === undefined) throw bad(`unknown bind-propagation ${JSON.stringify(named)}`);
  const recursive = values.get('bind-recursive') ?? 'enabled';
  if (!['enabled', 'disabled', 'writable', 'readonly'].includes(recursive))
    throw bad(`bind-recursive is enabled, disabled, writable or readonly, not ${JSON.stringify(recursive)}`);
  if (/able$|only$/.test(recursive) && !isOn(values, 'readonly', bad))
    throw bad(`bind-recursive=${recursive} is about a read-only mount: readonly is missing`);
  return {
    $case: 'bind',
    value: {
      ...{ source: resolve(folder, source), requireSource: true, propagation },
      nonRecursive: isOn(values, 'bind-nonrecursive', bad) || recursive === 'disabled',
      readOnlyTop: recursive === 'writable',
    },
  };
}

function otherSource(
  type: string,
  values: Values,
  bad: (why: string) => UsageError,
): NonNullable<MountFields['source']> {
  const driver = values.get('volume-driver') ?? 'local';
  if (driver !== 'local') throw bad(`there is no volume-driver ${JSON.stringify(driver)}`);
  if (type === 'volume')
    return {
      $case: 'volume',
      value: {
        name: values.get('source') ?? '',
        noCopy: isOn(values, 'volume-nocopy', bad),
        subpath: values.get('volume-subpath') ?? '',
        options: pairs(values, 'volume-opt', bad),
        labels: pairs(values, 'volume-label', bad),
      },
    };
  const size = values.get('tmpfs-size');
  const mode = values.get('tmpfs-mode');
  return {
    $case: 'tmpfs',
    value: {
      ...(size === undefined ? {} : { sizeBytes: bytes('tmpfs-size', size) }),
      ...(mode === undefined ? {} : { mode: octal('tmpfs-mode', mode, bad) }),
    },
  };
}

/** A label may stand without a value, an option not. */
function pairs(values: Values, key: string, bad: (why: string) => UsageError): Record<string, string> {
  const texts = values.get(key)?.split('\n') ?? [];
  return Object.fromEntries(
    texts.map((text) => {
      const [, name = '', sign, value = ''] = /^([^=]*)(=?)(.*)$/s.exec(text) ?? [];
      if (name === '' || (sign === '' && key === 'volume-opt'))
        throw bad(`${key} is KEY=VALUE, not ${JSON.stringify(text)}`);
      return [name, value];
    }),
  );
}

/** -1 is no size of a file system. */
function bytes(option: string, text: string): bigint {
  const size = parseSize(option, text);
  if (size < 0n) throw new UsageError(`invalid size ${JSON.stringify(text)} for ${option}: it is negative`);
  return size;
}

function octal(key: string, text: string, bad: (why: string) => UsageError): number {
  if (!/^0?o?[0-7]{1,4}$/.test(text)) throw bad(`${key} is octal, not ${JSON.stringify(text)}`);
  return Number.parseInt(text.replace('o', ''), 8);
}

/**
 * One `--tmpfs`.
 * @param text - `/path` or `/path:size=64m,mode=755,exec`.
 * @throws UsageError
 */
export function parseTmpfs(text: string): MountFields {
  const bad = (why: string): UsageError =>
    new UsageError(`invalid tmpfs ${JSON.stringify(text)}: ${why}`, {
      hint: 'for example --tmpfs /run:size=64m,mode=755',
    });
  const cut = text.indexOf(':');
  const destination = cut < 0 ? text : text.slice(0, cut);
  if (!destination.startsWith('/')) throw bad('the path inside is not absolute');
  let size: string | undefined;
  let mode: string | undefined;
  const options: string[] = [];
  for (const option of cut < 0
    ? []
    : text
        .slice(cut + 1)
        .split(',')
        .filter(Boolean)) {
    const [, key, value = ''] = /^(size|mode)=(.*)$/.exec(option) ?? [];
    if (key === 'size' && !value.endsWith('%')) size = value;
    else if (key === 'mode') mode = value;
    else options.push(option);
  }
  return {
    destination,
    readOnly: options.findLast((option) => option === 'ro' || option === 'rw') === 'ro',
    source: {
      $case: 'tmpfs',
      value: {
        ...(size === undefined ? {} : { sizeBytes: bytes('--tmpfs', size) }),
        ...(mode === undefined ? {} : { mode: octal('mode', mode, bad) }),
        options: options.filter((option) => option !== 'ro' && option !== 'rw'),
      },
    },
  };
}
