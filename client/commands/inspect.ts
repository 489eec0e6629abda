/** `mydocker inspect`: everything about containers, networks and images, as a JSON array. */
import { getContainer } from '../api/containers.ts';
import { getImage } from '../api/images.ts';
import { getNetwork } from '../api/networks.ts';
import type { Context } from '../context.ts';
import type { Action } from '../grammar/command.ts';
import type { IMAGE_INSPECT_OPTIONS, INSPECT_OPTIONS } from '../grammar/command-options.ts';
import { print, printError } from '../output.ts';
import { oneOf } from '../parse/parse-filters.ts';
import { exitStatusOf, renderError } from '../render/error.ts';
import { plainValue, renderJson, renderJsonLine } from '../render/json.ts';
import { Code, RpcError } from '../transport/rpc-error.ts';

type Kind = 'container' | 'network' | 'image';
const KINDS: Readonly<Record<Kind, Kind>> = { container: 'container', network: 'network', image: 'image' };

export const inspect: Action<typeof INSPECT_OPTIONS> = async ({ options, positionals }, context) => {
  const only = options.type === undefined ? undefined : oneOf<Kind>('type', options.type, KINDS);
  const kinds = only === undefined ? Object.values(KINDS) : [only];
  return await inspectAll(context, positionals, kinds, {
    size: options.size ?? false,
    format: options.format,
  });
};

/** `image inspect`, which looks for nothing else. */
export const inspectImage: Action<typeof IMAGE_INSPECT_OPTIONS> = async ({ options, positionals }, context) =>
  await inspectAll(context, positionals, ['image'], { size: false, format: options.format });

/** `network inspect`, which looks for nothing else. */
export const inspectNetwork: Action<Record<never, never>> = async ({ positionals }, context) =>
  await inspectAll(context, positionals, ['network'], { size: false, format: undefined });

async function inspectAll(
  context: Context,
  names: readonly string[],
  kinds: readonly Kind[],
  { size, format }: { readonly size: boolean; readonly format: string | undefined },
): Promise<number> {
  const render = await renderer(format);
  const found: unknown[] = [];
  let status = 0;
  for (const name of names) {
    try {
      found.push(await find(context, name, kinds, size));
    } catch (error) {
      printError(renderError(error));
      status = exitStatusOf(error);
    }
  }
  print(render(found));
  return status;
}

/** @throws UsageError for a template that cannot be read, before the server is asked. */
async function renderer(format: string | undefined): Promise<(found: readonly unknown[]) => string> {
  if (format === undefined) return renderJson;
  if (format === 'json') return (found) => found.map(renderJsonLine).join('');
  const { compileTemplate } = await import('../render/template.ts');
  const fill = compileTemplate(format);
  return (found) => found.map((value) => `${fill(plainValue(value))}\n`).join('');
}

/** The first kind that has one of this name. @throws RpcError as the first kind gives it. */
async function find(context: Context, name: string, kinds: readonly Kind[], size: boolean): Promise<unknown> {
  const connection = context.connect();
  const look: Readonly<Record<Kind, () => Promise<unknown>>> = {
    container: async () => (await connection.unary(getContainer, { container: name, size })).container,
    network: async () => (await connection.unary(getNetwork, { network: name })).network,
    image: async () => (await connection.unary(getImage, { image: name })).image,
  };
  let missing: RpcError | undefined;
  for (const kind of kinds) {
    try {
      return await look[kind]();
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

/** Another kind may have it; a server without networks has none of this name, nor has one with stricter grammar. */
function isMissing(error: RpcError, kinds: readonly Kind[]): boolean {
  if (error.code === Code.NOT_FOUND) return true;
  return kinds.length > 1 && error.code === Code.UNIMPLEMENTED;
}
