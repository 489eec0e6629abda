/** `mydocker port`: which ports of the host lead to a container. */
import { PortProtocol } from '../../proto/gen/mydocker/v1/types.ts';
import { getContainer } from '../api/containers.ts';
import type { Action } from '../grammar/command.ts';
import type { NO_OPTIONS } from '../grammar/command-options.ts';
import { protocolName } from '../inspect/docker-parts.ts';
import { print } from '../output.ts';
import { Code, RpcError } from '../transport/rpc-error.ts';
import { UsageError } from '../usage-error.ts';

export const port: Action<typeof NO_OPTIONS> = async ({ positionals: [name = '', wanted] }, context) => {
  const [, number = '', protocol = 'tcp'] = /^(\d{1,5})(?:\/(tcp|udp|sctp))?$/.exec(wanted ?? '') ?? [];
  if (wanted !== undefined && number === '')
    throw new UsageError(`invalid port ${JSON.stringify(wanted)}`, { hint: 'for example 80 or 53/udp' });
  const { container } = await context.connect().unary(getContainer, { container: name, size: false });
  const published = (container?.ports ?? []).flatMap(({ hostIp, hostPort, containerPort, count, protocol }) =>
    Array.from({ length: Math.max(count, 1) }, (_, index) => ({
      inside: `${containerPort + index}/${protocolName(protocol ?? PortProtocol.TCP)}`,
      host: `${hostIp === '' ? '0.0.0.0' : hostIp}:${hostPort + index}`,
    })),
  );
  if (wanted === undefined) {
    print(published.map(({ inside, host }) => `${inside} -> ${host}\n`).join(''));
    return 0;
  }
  const found = published.filter(({ inside }) => inside === `${number}/${protocol}`);
  if (found.length === 0)
    throw new RpcError(
      Code.NOT_FOUND,
      `cannot find port ${number}/${protocol} of ${name}: it is not published`,
    );
  print(found.map(({ host }) => `${host}\n`).join(''));
  return 0;
};
