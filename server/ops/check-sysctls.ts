/** Whether kernel parameters may be set for a container: those of namespaces of its own, and no others. */
import { existsSync } from 'node:fs';
import type { ContainerConfig } from '../model/container.ts';
import { isOfInterface, sysctlNamespace, sysctlPath } from '../spec/sysctls.ts';
import { invalid } from './check-mounts.ts';

const MAX_SYSCTLS = 256;
const MAX_VALUE_CHARS = 1024;

/** @throws MydockerError `invalid-argument` for the first that may not be set. */
export function checkSysctls({ sysctls = {}, network, namespaces = {} }: ContainerConfig): void {
  const names = Object.keys(sysctls);
  if (names.length > MAX_SYSCTLS)
    throw invalid('sysctls', String(names.length), `there are more than ${MAX_SYSCTLS}`);
  for (const [name, value] of Object.entries(sysctls)) {
    const namespace = sysctlNamespace(name);
    if (namespace === undefined)
      throw invalid('sysctl', name, 'it is no parameter of a namespace, it would be the whole host’s', {
        hint: 'net.*, fs.mqueue.*, kernel.msg*, kernel.sem and kernel.shm* belong to containers',
      });
    const shared = namespace === 'network' ? network === 'host' || network === 'container' : namespaces.ipc;
    if (shared !== undefined && shared !== false)
      throw invalid('sysctl', name, `its ${namespace} namespace is not the container’s own`, {
        hint: 'set it where the namespace is from',
      });
    if (!/^[\x20-\x7e\t]+$/.test(value) || value.length > MAX_VALUE_CHARS)
      throw invalid(`value of ${name}`, value, 'it is not one line of text');
    if (!isOfInterface(name) && !existsSync(sysctlPath(name)))
      throw invalid('sysctl', name, 'this kernel has no such parameter');
  }
}
