/**
 * Messages as JSON for `inspect`: fields named as in the contract's JSON form, enums by name, times as RFC 3339 text,
 * numbers as numbers where JavaScript can hold them exactly.
 */

import {
  MountPropagation,
  NamespaceMode,
  NetworkMode,
  RestartMode,
} from '../../proto/gen/mydocker/v1/config.ts';
import { DeviceType } from '../../proto/gen/mydocker/v1/resources.ts';
import { ExitReason, HealthStatus, PortProtocol, TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import { showInstant } from './values.ts';

type Enum = Readonly<Record<string, number>>;

/** Which enum a field has: its name and, where the name is not enough, its parent's. */
const ENUMS: readonly (readonly [field: RegExp, names: Enum])[] = [
  [/(^|\.)health\.status$/, HealthStatus],
  [/(^|\.)status$/, TaskStatus],
  [/(^|\.)exit\.reason$/, ExitReason],
  [/(^|\.)protocol$/, PortProtocol],
  [/(^|\.)propagation$/, MountPropagation],
  [/(^|\.)network\.mode$/, NetworkMode],
  [/(^|\.)restartPolicy\.mode$/, RestartMode],
  [/(^|\.)namespaces\.\w+\.mode$/, NamespaceMode],
  [/(^|\.)deviceRules\.type$/, DeviceType],
];

/** Values as JSON with an indent of 4, as `docker inspect` prints it, and a newline. */
export function renderJson(values: readonly unknown[]): string {
  return `${JSON.stringify(
    values.map((value) => plain(value, '')),
    undefined,
    4,
  )}\n`;
}

/** A value on one line and a newline. */
export function renderJsonLine(value: unknown): string {
  return `${JSON.stringify(plain(value, ''))}\n`;
}

function plain(value: unknown, path: string): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (typeof value === 'number') return enumName(value, path) ?? value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map((item) => plain(item, path));
  if (typeof value !== 'object' || value === null) return value;
  if (isTime(value)) return showInstant(value);
  if (isStringList(value)) return value.values;
  const fields: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue;
    if (isOneof(field)) fields[field.$case] = plain(field.value, join(path, field.$case));
    else fields[key] = plain(field, join(path, key));
  }
  return fields;
}

function enumName(value: number, path: string): string | undefined {
  const names = ENUMS.find(([field]) => field.test(path))?.[1];
  if (names === undefined) return undefined;
  const name = Object.keys(names).find((name) => names[name] === value);
  return name === undefined || name === 'UNSPECIFIED' ? undefined : name.toLowerCase().replaceAll('_', '-');
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function isTime(value: object): value is { seconds: bigint; nanos: number } {
  return 'seconds' in value && typeof value.seconds === 'bigint' && 'nanos' in value;
}

/** The contract wraps a list that may be absent; JSON has a word for that. */
function isStringList(value: object): value is { values: readonly string[] } {
  return 'values' in value && Object.keys(value).length === 1;
}

function isOneof(value: unknown): value is { $case: string; value: unknown } {
  return typeof value === 'object' && value !== null && '$case' in value;
}
