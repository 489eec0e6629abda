/** `mydocker version`: the client's versions and, where it can be reached, the server's. */
import type { GetVersionResponse } from '../../proto/gen/mydocker/v1/system.ts';
import { getVersion } from '../api/system.ts';
import type { Action } from '../grammar/command.ts';
import type { OBJECT_OPTIONS } from '../grammar/server-options.ts';
import { print } from '../output.ts';
import { renderFacts } from '../render/facts.ts';
import { showTime } from '../render/values.ts';
import { VERSION } from '../version.ts';

export const version: Action<typeof OBJECT_OPTIONS> = async ({ options: { format } }, context) => {
  if (format !== undefined) {
    const { objectFormat } = await import('../render/object-format.ts');
    const render = objectFormat(format, "json or a template such as '{{.Server.Version}}'");
    const { dockerVersion } = await import('../inspect/docker-server.ts');
    print(render(dockerVersion(await context.connect().unary(getVersion, {}))));
    return 0;
  }
  print(renderFacts('Client', { Version: VERSION, 'API version': 'v1', Node: process.versions.node }));
  const server = await context.connect().unary(getVersion, {});
  print(`\n${renderFacts('Server', facts(server))}`);
  return 0;
};

function facts(server: GetVersionResponse): Record<string, string> {
  const { platform } = server;
  return {
    Version: server.version,
    'API version': server.apiVersion,
    'Git commit': server.gitCommit,
    Built: showTime(server.builtAt),
    Node: server.nodeVersion,
    Shim: server.shimVersion,
    'Plan format': String(server.planFormatVersion),
    'Store format': String(server.storeVersion),
    Kernel: server.kernelVersion,
    'OS/Arch':
      platform === undefined
        ? ''
        : [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/'),
  };
}
