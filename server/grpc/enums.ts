/**
 * proto3 lets any number through as an enum, and code that knows none of it would take it for the default:
 * every enum of every request is looked at before the request is.
 */
import {
  MountPropagation,
  NamespaceMode,
  NetworkMode,
  RestartMode,
} from '../../proto/gen/mydocker/v1/config.ts';
import { EventAction, EventSubject } from '../../proto/gen/mydocker/v1/events.ts';
import { PullPolicy } from '../../proto/gen/mydocker/v1/images.ts';
import { DeviceType } from '../../proto/gen/mydocker/v1/resources.ts';
import { AttachReplay, LogFormat, OutputStream, WaitCondition } from '../../proto/gen/mydocker/v1/tasks.ts';
import { HealthStatus, PortProtocol, TaskStatus } from '../../proto/gen/mydocker/v1/types.ts';
import { invalidArgument } from '../model/error.ts';

/** Values of a generated enum. */
type Enum = Readonly<Record<string, number>>;

/** Where an enum is: fields with dots, `[]` each of a list, `case:` the chosen one of a oneof. */
type EnumField = readonly [path: string, values: Enum];

const CONFIG: readonly EnumField[] = [
  ['mounts[].source.bind:propagation', MountPropagation],
  ['network.mode', NetworkMode],
  ['network.ports[].protocol', PortProtocol],
  ['network.exposedPorts[].protocol', PortProtocol],
  ['namespaces.pid.mode', NamespaceMode],
  ['namespaces.ipc.mode', NamespaceMode],
  ['namespaces.uts.mode', NamespaceMode],
  ['namespaces.cgroup.mode', NamespaceMode],
  ['namespaces.user.mode', NamespaceMode],
  ['resources.deviceRules[].type', DeviceType],
  ['restartPolicy.mode', RestartMode],
];

const below = (prefix: string, fields: readonly EnumField[]): EnumField[] =>
  fields.map(([path, values]) => [`${prefix}${path}`, values]);

/** By `SERVICE/METHOD`; a test compares it with the contract. */
export const ENUM_FIELDS: Readonly<Record<string, readonly EnumField[]>> = {
  'mydocker.v1.ImagesService/ImportImage': [['frame.header:config.exposedPorts[].protocol', PortProtocol]],
  'mydocker.v1.ImagesService/PullImage': [['policy', PullPolicy]],
  'mydocker.v1.ContainersService/CreateContainer': below('config.', CONFIG),
  'mydocker.v1.ContainersService/UpdateContainer': [
    ['resources.deviceRules[].type', DeviceType],
    ['restartPolicy.mode', RestartMode],
  ],
  'mydocker.v1.ContainersService/ListContainers': [
    ['statuses[]', TaskStatus],
    ['healths[]', HealthStatus],
  ],
  'mydocker.v1.ContainersService/ExplainContainer': below('subject.create:config.', CONFIG),
  'mydocker.v1.NetworksService/PublishPorts': [['ports[].protocol', PortProtocol]],
  'mydocker.v1.NetworksService/UnpublishPorts': [['ports[].protocol', PortProtocol]],
  'mydocker.v1.EventsService/SubscribeEvents': [
    ['subjects[]', EventSubject],
    ['actions[]', EventAction],
  ],
  'mydocker.v1.TasksService/WaitTask': [['condition', WaitCondition]],
  'mydocker.v1.TasksService/AttachTask': [['frame.open:replay', AttachReplay]],
  'mydocker.v1.TasksService/ReadTaskLogs': [
    ['streams[]', OutputStream],
    ['format', LogFormat],
  ],
};

/** Refuses a request of one method. @throws MydockerError `invalid-argument`, reason ENUM_UNKNOWN. */
export type EnumCheck = (message: unknown) => void;

/** @param method - `mydocker.v1.TasksService/WaitTask`. */
export function enumCheck(method: string): EnumCheck {
  const checks = (ENUM_FIELDS[method] ?? []).map(([path, values]) => {
    const known = new Set(Object.values(values));
    const steps = path.split(/(?<=:)|\.|(?=\[\])/);
    return (message: unknown): void => {
      for (const value of valuesAt(message, steps, 0))
        if (typeof value === 'number' && !known.has(value)) throw unknown(path, value);
    };
  });
  return (message) => {
    for (const check of checks) check(message);
  };
}

function* valuesAt(value: unknown, steps: readonly string[], at: number): Generator<unknown> {
  const step = steps[at];
  if (step === undefined) yield value;
  else if (value === undefined || value === null) return;
  else if (step === '[]')
    for (const each of value as readonly unknown[]) yield* valuesAt(each, steps, at + 1);
  else if (step.endsWith(':')) {
    const chosen = value as { readonly $case: string; readonly value: unknown };
    if (`${chosen.$case}:` === step) yield* valuesAt(chosen.value, steps, at + 1);
  } else yield* valuesAt((value as Readonly<Record<string, unknown>>)[step], steps, at + 1);
}

function unknown(path: string, value: number): Error {
  const field = path.replaceAll(/\[\]/g, '').replaceAll(':', '.');
  return invalidArgument(`invalid ${field} ${value}: this server knows no such value`, {
    reason: 'ENUM_UNKNOWN',
    hint: 'the client may be newer than the server',
    metadata: { field, value: String(value) },
  });
}
