/** `mydocker info`: the server's settings, its host, and what the host can do. */
import { CgroupLayout, type GetInfoResponse } from '../../proto/gen/mydocker/v1/system.ts';
import { getInfo } from '../api/system.ts';
import type { Action } from '../grammar/command.ts';
import type { OBJECT_OPTIONS } from '../grammar/server-options.ts';
import { print, printError } from '../output.ts';
import { renderFacts } from '../render/facts.ts';
import { printable } from '../render/printable.ts';
import { showSize, showTime } from '../render/values.ts';

const LAYOUTS: Readonly<Record<number, string>> = {
  [CgroupLayout.V1]: 'v1',
  [CgroupLayout.HYBRID]: 'hybrid',
  [CgroupLayout.V2]: 'v2',
};

export const info: Action<typeof OBJECT_OPTIONS> = async ({ options: { format } }, context) => {
  if (format !== undefined) {
    const { objectFormat } = await import('../render/object-format.ts');
    const render = objectFormat(format, "json or a template such as '{{.Driver}}'");
    const { dockerInfo } = await import('../inspect/docker-server.ts');
    print(render(dockerInfo(await context.connect().unary(getInfo, {}))));
    return 0;
  }
  const answer = await context.connect().unary(getInfo, {});
  const parts = [serverFacts(answer), hostFacts(answer), countFacts(answer), featureFacts(answer)];
  print(parts.filter(Boolean).join('\n'));
  for (const warning of answer.warnings) printError(`warning: ${printable(warning)}\n`);
  return 0;
};

function serverFacts({ server }: GetInfoResponse): string {
  if (server === undefined) return '';
  return renderFacts('Server', {
    Version: server.version,
    Instance: server.instance,
    Pid: String(server.pid),
    Started: showTime(server.startedAt),
    'Root folder': server.rootDir,
    'State folder': server.stateDir,
    Listens: server.listenAddresses.join(', '),
    'Cgroup parent': server.cgroupParent,
    'Cgroup driver': server.cgroupDriver,
    'Storage driver': server.storageDriver,
    'Backing filesystem': server.backingFilesystem,
    'Default network': server.defaultNetwork,
    'Subnet pools': server.subnetPools.join(', '),
    Debug: server.debug ? 'yes' : 'no',
  });
}

function hostFacts({ host }: GetInfoResponse): string {
  if (host === undefined) return '';
  return renderFacts('Host', {
    Name: host.hostname,
    System: host.osName,
    Kernel: host.kernelVersion,
    Architecture: host.platform?.architecture ?? '',
    CPUs: String(host.cpuCount),
    Memory: showSize(host.memoryBytes),
    Cgroups: LAYOUTS[host.cgroupLayout] ?? '',
    Controllers: host.cgroupControllers.join(', '),
    'Security modules': host.securityModules.join(', '),
  });
}

function countFacts({ counts }: GetInfoResponse): string {
  if (counts === undefined) return '';
  return renderFacts('Objects', {
    Containers: String(counts.containers),
    Running: String(counts.containersRunning),
    Paused: String(counts.containersPaused),
    Stopped: String(counts.containersStopped),
    Images: String(counts.images),
    Networks: String(counts.networks),
    Volumes: String(counts.volumes),
  });
}

function featureFacts({ features }: GetInfoResponse): string {
  if (features.length === 0) return '';
  const told = features.map(({ name, available, alternative }) => [
    name,
    available ? 'yes' : `no: ${alternative}`,
  ]);
  return renderFacts('Kernel features', Object.fromEntries(told));
}
