/**
 * Server reflection (v1 and v1alpha) out of the committed descriptor set, so that grpcurl and `buf curl` list,
 * describe and call everything. The files go out as buf compiled them.
 *
 * WHY NOT @grpc/reflection: it rebuilds one file per package from parsed objects, and what it rebuilds of this
 * contract does not link (`buf curl` finds no service in it).
 */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import type {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from '../../proto/gen/grpc/reflection/v1/reflection.ts';

/** gRPC's number of NOT_FOUND. */
const NOT_FOUND = 5;
/** gRPC's number of UNIMPLEMENTED. */
const UNIMPLEMENTED = 12;

interface Indexed {
  readonly bytes: Uint8Array;
  readonly imports: readonly string[];
}

/** Answers reflection requests one by one; v1 and v1alpha have the same messages on the wire. */
export type Reflector = (request: ServerReflectionRequest) => ServerReflectionResponse;

function* symbolsOfMessage(scope: string, message: DescriptorProto): Generator<string> {
  const name = `${scope}.${message.name}`;
  yield name;
  for (const field of message.field) yield `${name}.${field.name}`;
  for (const oneof of message.oneofDecl) yield `${name}.${oneof.name}`;
  for (const type of message.enumType) yield `${name}.${type.name}`;
  for (const nested of message.nestedType) yield* symbolsOfMessage(name, nested);
}

function* symbolsOf(file: FileDescriptorProto): Generator<string> {
  for (const message of file.messageType) yield* symbolsOfMessage(file.package, message);
  for (const type of file.enumType) {
    yield `${file.package}.${type.name}`;
    // Values of an enum stand beside it, not in it.
    for (const value of type.value) yield `${file.package}.${value.name}`;
  }
  for (const service of file.service) {
    yield `${file.package}.${service.name}`;
    for (const method of service.method) yield `${file.package}.${service.name}.${method.name}`;
  }
}

/**
 * Makes the answering function from a serialized google.protobuf.FileDescriptorSet.
 * @param descriptorSet - proto/gen/mydocker.binpb.
 * @param services - full names to list: those that the server really serves.
 * @throws when the bytes are no descriptor set.
 */
export function reflectionFrom(descriptorSet: Uint8Array, services: readonly string[]): Reflector {
  const files = new Map<string, Indexed>();
  const fileOfSymbol = new Map<string, string>();
  for (const file of fromBinary(FileDescriptorSetSchema, descriptorSet).file) {
    files.set(file.name, { bytes: toBinary(FileDescriptorProtoSchema, file), imports: file.dependency });
    for (const symbol of symbolsOf(file)) fileOfSymbol.set(symbol, file.name);
  }

  /** The file and everything it imports, itself first. */
  function withImports(name: string): Uint8Array[] {
    const wanted = new Set([name]);
    for (const each of wanted) for (const imported of files.get(each)?.imports ?? []) wanted.add(imported);
    return [...wanted].flatMap((each) => files.get(each)?.bytes ?? []);
  }

  return (request) => {
    const answer = (
      messageResponse: ServerReflectionResponse['messageResponse'],
    ): ServerReflectionResponse => ({
      validHost: request.host,
      originalRequest: request,
      messageResponse,
    });
    const refuse = (errorCode: number, errorMessage: string): ServerReflectionResponse =>
      answer({ $case: 'errorResponse', value: { errorCode, errorMessage } });
    const asked = request.messageRequest;
    switch (asked?.$case) {
      case 'listServices':
        return answer({
          $case: 'listServicesResponse',
          value: { service: services.map((name) => ({ name })) },
        });
      case 'fileByFilename':
      case 'fileContainingSymbol': {
        const name = asked.$case === 'fileByFilename' ? asked.value : fileOfSymbol.get(asked.value);
        if (name === undefined || !files.has(name))
          return refuse(NOT_FOUND, `no descriptor of ${asked.value}`);
        return answer({ $case: 'fileDescriptorResponse', value: { fileDescriptorProto: withImports(name) } });
      }
      case 'allExtensionNumbersOfType':
      case 'fileContainingExtension':
        return refuse(NOT_FOUND, 'the contract has no extensions');
      default:
        return refuse(UNIMPLEMENTED, 'unknown reflection request');
    }
  };
}
