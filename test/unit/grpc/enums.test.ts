/** No enum of a request is forgotten: the table of checks is compared with the contract itself. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createFileRegistry, type DescField, type DescMessage, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { containersService } from '../../../server/grpc/containers.ts';
import { ENUM_FIELDS, enumCheck } from '../../../server/grpc/enums.ts';
import { eventsService } from '../../../server/grpc/events.ts';
import { imagesService } from '../../../server/grpc/images.ts';
import { networksService } from '../../../server/grpc/networks.ts';
import { systemService } from '../../../server/grpc/system.ts';
import { tasksService } from '../../../server/grpc/tasks.ts';
import { volumesService } from '../../../server/grpc/volumes.ts';
import type { Engine } from '../../../server/ops/engine.ts';
import { RequestIds } from '../../../server/ops/request-ids.ts';

const DESCRIPTORS = readFileSync(new URL('../../../proto/gen/mydocker.binpb', import.meta.url));
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, DESCRIPTORS));

/** Nothing is called, so nothing is needed. */
const engine = {} as Engine;
const IMPLEMENTED: Readonly<Record<string, object>> = {
  'mydocker.v1.ContainersService': containersService(engine),
  'mydocker.v1.EventsService': eventsService(engine),
  'mydocker.v1.ImagesService': imagesService(engine, new RequestIds()),
  'mydocker.v1.NetworksService': networksService(engine),
  'mydocker.v1.VolumesService': volumesService(engine),
  'mydocker.v1.SystemService': systemService(engine, { startedAt: 0n, listen: [], debug: false }),
  'mydocker.v1.TasksService': tasksService(engine, new RequestIds()),
};

/** Paths of all enums in a message, as the table writes them. */
function* enumPaths(
  message: DescMessage,
  prefix: string,
  above: readonly DescMessage[],
): Generator<[string, object]> {
  if (above.includes(message)) return;
  for (const field of message.fields) {
    const path = `${prefix}${field.oneof === undefined ? field.localName : `${field.oneof.localName}.${field.localName}:`}`;
    yield* enumPathsOf(field, path, [...above, message]);
  }
}

function* enumPathsOf(
  field: DescField,
  path: string,
  above: readonly DescMessage[],
): Generator<[string, object]> {
  const here = field.fieldKind === 'list' ? `${path}[]` : path;
  const dot = here.endsWith(':') ? here : `${here}.`;
  const type = field.enum ?? field.message;
  if (type?.kind === 'enum')
    yield [here, Object.fromEntries(type.values.map((value) => [value.localName, value.number]))];
  else if (type?.kind === 'message') yield* enumPaths(type, dot, above);
}

const sorted = (fields: readonly (readonly [string, object])[]): unknown[] =>
  fields.map(([path, values]) => [path, { ...values }] as const).sort(([a], [b]) => (a < b ? -1 : 1));

test('every enum of every implemented request is checked against all its values', () => {
  const expected: Record<string, unknown[]> = {};
  for (const [name, implementation] of Object.entries(IMPLEMENTED)) {
    for (const method of registry.getService(name)?.methods ?? []) {
      const paths = [...enumPaths(method.input, '', [])];
      if (method.localName in implementation && paths.length > 0)
        expected[`${name}/${method.name}`] = sorted(paths);
    }
  }
  assert.ok(Object.keys(expected).length > 5);
  const actual = Object.fromEntries(
    Object.entries(ENUM_FIELDS).map(([name, fields]) => [name, sorted(fields)]),
  );
  assert.deepEqual(actual, expected);
});

test('an unknown number is refused by its path, at any depth', () => {
  const create = enumCheck('mydocker.v1.ContainersService/CreateContainer');
  const mounts = [
    { source: { $case: 'tmpfs', value: {} } },
    { source: { $case: 'bind', value: { propagation: 9 } } },
  ];
  assert.throws(() => create({ config: { mounts } }), {
    code: 'invalid-argument',
    reason: 'ENUM_UNKNOWN',
    metadata: { field: 'config.mounts.source.bind.propagation', value: '9' },
  });
  create({ config: { mounts: [], network: { mode: 1 } } });
  create({ config: undefined });
  assert.throws(() => enumCheck('mydocker.v1.ContainersService/ListContainers')({ statuses: [1, 99] }));
  assert.throws(() => enumCheck('mydocker.v1.ContainersService/ListContainers')({ statuses: [-1] }));
  enumCheck('mydocker.v1.TasksService/AttachTask')({ frame: { $case: 'stdin', value: new Uint8Array() } });
  enumCheck('mydocker.v1.SystemService/Ping')({ payload: new Uint8Array() });
});
