/** `mydocker inspect`: everything about containers, networks and images, as a JSON array in Docker's form. */
import type { Container } from '../../proto/gen/mydocker/v1/containers.ts';
import type { Image } from '../../proto/gen/mydocker/v1/images.ts';
import type { Network } from '../../proto/gen/mydocker/v1/networks.ts';
import type { Volume } from '../../proto/gen/mydocker/v1/volumes.ts';
import { getContainer } from '../api/containers.ts';
import { getImage } from '../api/images.ts';
import { getNetwork } from '../api/networks.ts';
import { getVolume } from '../api/volumes.ts';
import type { Context } from '../context.ts';
import type { Action } from '../grammar/command.ts';
import type {
  CONTAINER_INSPECT_OPTIONS,
  IMAGE_INSPECT_OPTIONS,
  INSPECT_OPTIONS,
} from '../grammar/command-options.ts';
import { print, printError } from '../output.ts';
import { oneOf } from '../parse/parse-filters.ts';
import { exitStatusOf, renderError } from '../render/error.ts';
import { renderJson } from '../render/json.ts';
import { Code, RpcError } from '../transport/rpc-error.ts';

/** What was found, as the contract has it. */
type Found =
  | { readonly kind: 'container'; readonly value: Container | undefined }
  | { readonly kind: 'network'; readonly value: Network | undefined }
  | { readonly kind: 'volume'; readonly value: Volume | undefined }
  | { readonly kind: 'image'; readonly value: Image | undefined };

type Kind = Found['kind'];
const KINDS: Readonly<Record<Kind, Kind>> = {
  container: 'container',
  network: 'network',
  image: 'image',
  volume: 'volume',
};

export const inspect: Action<typeof INSPECT_OPTIONS> = async ({ options, positionals }, context) => {
  const only = options.type === undefined ? undefined : oneOf<Kind>('type', options.type, KINDS);
  const kinds = only === undefined ? Object.values(KINDS) : [only];
  return await inspectAll(context, positionals, kinds, {
    size: options.size ?? false,
    format: options.format,
  });
};

/** `container inspect`, which looks for nothing else. */
export const inspectContainer: Action<typeof CONTAINER_INSPECT_OPTIONS> = async (
  { options, positionals },
  context,
) =>
  await inspectAll(context, positionals, ['container'], {
    size: options.size ?? false,
    format: options.format,
  });

/** `image inspect`, which looks for nothing else. */
export const inspectImage: Action<typeof IMAGE_INSPECT_OPTIONS> = async ({ options, positionals }, context) =>
  await inspectAll(context, positionals, ['image'], { size: false, format: options.format });

/** `network inspect`, which looks for nothing else. */
export const inspectNetwork: Action<typeof IMAGE_INSPECT_OPTIONS> = async (
  { options, positionals },
  context,
) => await inspectAll(context, positionals, ['network'], { size: false, format: options.format });

/** `volume inspect`, which looks for nothing else. */
export const inspectVolume: Action<typeof IMAGE_INSPECT_OPTIONS> = async (
  { options, positionals },
  context,
) => await inspectAll(context, positionals, ['volume'], { size: false, format: options.format });

async function inspectAll(
  context: Context,
  names: readonly string[],
  kinds: readonly Kind[],
  { size, format }: { readonly size: boolean; readonly format: string | undefined },
): Promise<number> {
  const render = await renderer(format);
  const found: Found[] = [];
  let status = 0;
  for (const name of names) {
    try {
      found.push(await find(context, name, kinds, size));
    } catch (error) {
      printError(renderError(error));
      status = exitStatusOf(error);
    }
  }
  print(await render(found));
  return status;
}

type Render = (found: readonly Found[]) => string | Promise<string>;

/** @throws UsageError for a template that cannot be read, before the server is asked. */
async function renderer(format: string | undefined): Promise<Render> {
  if (format === 'api') return (found) => renderJson(found.map(({ value }) => value));
  if (format === 'ancestors') return async (found) => renderArray(await Promise.all(found.map(ancestor)));
  if (format === undefined) return async (found) => renderArray(await Promise.all(found.map(docker)));
  const { objectFormat } = await import('../render/object-format.ts');
  const render = objectFormat(format, "json, api, ancestors or a template such as '{{.State.Status}}'");
  return async (found) => (await Promise.all(found.map(docker))).map(render).join('');
}

/** With an indent of 4, as Docker prints it. */
function renderArray(values: readonly unknown[]): string {
  return `${JSON.stringify(values, undefined, 4)}\n`;
}

async function docker(found: Found): Promise<unknown> {
  if (found.value === undefined) return {};
  switch (found.kind) {
    case 'container':
      return (await import('../inspect/docker-container.ts')).dockerContainer(found.value);
    case 'network':
      return (await import('../inspect/docker-network.ts')).dockerNetwork(found.value);
    case 'image':
      return (await import('../inspect/docker-image.ts')).dockerImage(found.value);
    case 'volume':
      return (await import('../inspect/docker-volume.ts')).dockerVolume(found.value);
  }
}

async function ancestor(found: Found): Promise<unknown> {
  if (found.value === undefined) return {};
  const { ancestorContainer, ancestorImage, ancestorNetwork } = await import('../inspect/ancestors.ts');
  switch (found.kind) {
    case 'container':
      return ancestorContainer(found.value);
    case 'network':
      return ancestorNetwork(found.value);
    case 'image':
      return ancestorImage(found.value);
    case 'volume':
      return await docker(found);
  }
}

/** The first kind that has one of this name. @throws RpcError as the first kind gives it. */
async function find(context: Context, name: string, kinds: readonly Kind[], size: boolean): Promise<Found> {
  let missing: RpcError | undefined;
  for (const kind of kinds) {
    try {
      return await look(context, kind, name, size);
    } catch (error) {
      if (!(error instanceof RpcError) || !isMissing(error, kinds)) throw error;
      missing ??= error;
    }
  }
  if (missing === undefined || kinds.length === 1)
    throw missing ?? new RpcError(Code.INTERNAL, 'nothing to look for');
  throw new RpcError(
    Code.NOT_FOUND,
    `cannot find ${name}: no such ${kinds.slice(0, -1).join(', ')} or ${kinds.at(-1)}`,
  );
}

async function look(context: Context, kind: Kind, name: string, size: boolean): Promise<Found> {
  const connection = context.connect();
  switch (kind) {
    case 'container':
      return { kind, value: (await connection.unary(getContainer, { container: name, size })).container };
    case 'network':
      return { kind, value: (await connection.unary(getNetwork, { network: name })).network };
    case 'image':
      return { kind, value: (await connection.unary(getImage, { image: name })).image };
    case 'volume':
      return { kind, value: (await connection.unary(getVolume, { volume: name })).volume };
  }
}

/** Another kind may have it; a server without networks has none of this name, nor has one with stricter grammar. */
function isMissing(error: RpcError, kinds: readonly Kind[]): boolean {
  if (error.code === Code.NOT_FOUND) return true;
  return kinds.length > 1 && error.code === Code.UNIMPLEMENTED;
}
