/**
 * /etc/hosts of a container that runs, written again where it enters or leaves a network. Its mount namespace is
 * entered by a descriptor of its first process, so that the file can be nobody else's.
 */
import type { ContainerRecord } from '../model/container.ts';
import { CLONE, type Op } from '../model/plan.ts';
import { O, open, openInRoot, writeSlot } from '../spec/ops.ts';
import type { Engine } from './engine.ts';
import { etcFiles } from './etc-files.ts';
import { hostAddresses } from './prepare-launch.ts';

/** Slots beside those of the network's own operations; the first has the process. */
const INIT = 0;
const ROOT = 8;
const FILE = 9;

/** A file of the user's own there is left alone. */
const isOwn = ({ config: { mounts, volumes = [], tmpfs = [] } }: ContainerRecord): boolean =>
  [...mounts, ...volumes, ...tmpfs].some(({ destination }) => destination === '/etc/hosts');

/**
 * Operations that come after all others: they leave the host's files behind.
 * @param record - as it is from now on.
 */
export function rewriteHosts(engine: Engine, record: ContainerRecord): Op[] {
  if (isOwn(record)) return [];
  const [, content = ''] =
    etcFiles(record, hostAddresses(engine, record)).find(([name]) => name === 'hosts') ?? [];
  return [
    // Its failure ends the plan: what follows must not meet the host's files.
    { name: 'setns', a: INIT, x: CLONE.newNs, about: 'look into the files of the container' },
    open(ROOT, '/', O.path | O.directory),
    // A pipe in its place does not make it wait. Nobody loses his network because there is no such file, or no space.
    { ...openInRoot(FILE, ROOT, 'etc/hosts', O.wronly | O.trunc | O.nonblock), ignoreErrors: true },
    { ...writeSlot(FILE, content, 'write /etc/hosts again'), ignoreErrors: true },
  ];
}
