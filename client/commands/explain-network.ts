/** `mydocker network explain`: what concerns a container's network, or a network, in words. */
import { ExplainNetworkRequest, type NetworkFact } from '../../proto/gen/mydocker/v1/networks.ts';
import { explainNetwork as method } from '../api/networks.ts';
import type { Context } from '../context.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { printable } from '../render/printable.ts';
import { RpcError } from '../transport/rpc-error.ts';

/** A container of this name before a network of it. @returns 1 where something is not as it should be. */
export const explainNetwork: Action<typeof NO_OPTIONS> = async ({ positionals }, context) => {
  const [name = ''] = positionals;
  const facts = await factsOf(context, name);
  const side = (inside: boolean): string[] =>
    facts
      .filter((fact) => fact.inside === inside)
      .flatMap(({ subject, text, inPlace }) => [
        `  ${printable(subject)}${inPlace ? '' : '   MISSING OR DIFFERENT'}`,
        `      ${printable(text)}`,
      ]);
  const parts = [
    ['inside the container:', side(true)],
    ['on the host:', side(false)],
  ] as const;
  print(
    parts
      .filter(([, lines]) => lines.length > 0)
      .map(([head, lines]) => `${[head, ...lines].join('\n')}\n`)
      .join('\n'),
  );
  return facts.every(({ inPlace }) => inPlace) ? 0 : 1;
};

async function factsOf(context: Context, name: string): Promise<readonly NetworkFact[]> {
  const ask = async ($case: 'container' | 'network'): Promise<readonly NetworkFact[]> => {
    const request = ExplainNetworkRequest.create({ subject: { $case, value: name } });
    return (await context.connect().unary(method, request)).facts;
  };
  try {
    return await ask('container');
  } catch (error) {
    if (!(error instanceof RpcError && error.reason === 'CONTAINER_NOT_FOUND')) throw error;
    return await ask('network').catch(() => {
      throw error;
    });
  }
}
