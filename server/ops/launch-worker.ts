/** Runs the server's helper processes under a launch plan: confined, limited, ended with the server. */
import { closeSync, openSync, readlinkSync, statSync } from 'node:fs';
import { planCgroup } from '../cgroup/cgroup-plan.ts';
import { cgroupFolders } from '../cgroup/layout.ts';
import { settable } from '../cgroup/limits.ts';
import { newRunId } from '../model/ids.ts';
import { slotAllocator } from '../model/plan.ts';
import type { LaunchWorker, Worker, WorkerExit, WorkerRequest } from '../model/worker.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import { filesystemMount } from '../spec/spec-mounts.ts';
import { planWorker } from '../spec/worker-plan.ts';
import type { Engine } from './engine.ts';
import { isGroupLost, launchError } from './launch-error.ts';

const SIGKILL = 9;
/** Node has a thread pool and compiler threads. */
const MAX_PROCESSES = 64n;

type WorkerHost = Pick<Engine, 'cgroups' | 'deviceProgram' | 'paths' | 'zygote'>;

/** Missing ones are left out: not every machine has /lib64. */
function existing(paths: readonly string[]): { path: string; isFolder: boolean }[] {
  return paths.flatMap((path) => {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ path, isFolder: stat.isDirectory() }];
  });
}

/** @param folderDescriptor - which of the worker's descriptors is the folder it works in. */
export function workerLauncher(host: WorkerHost, folderDescriptor: number): LaunchWorker {
  return async (options) => {
    host.cgroups.prepare();
    const nothing = openSync('/dev/null', 'r+');
    try {
      return await launch(host, options, folderDescriptor, nothing);
    } finally {
      closeSync(nothing);
    }
  };
}

async function launch(
  host: WorkerHost,
  options: WorkerRequest,
  folderDescriptor: number,
  nothing: number,
  isAgain = false,
): Promise<Worker> {
  const { filesystem } = options;
  const folderFd: number = options.fds[folderDescriptor] ?? nothing;
  const given: [number, number][] = [0, 1, 2]
    .filter((d) => options.fds[d] === undefined)
    .map((d) => [d, nothing]);
  for (const [descriptor, fd] of Object.entries(options.fds))
    if (Number(descriptor) !== folderDescriptor) given.push([Number(descriptor), fd as number]);
  const program = host.deviceProgram === undefined ? [] : [host.deviceProgram];
  const slots = slotAllocator(program.length + given.length);
  const { layout, helpers } = host.cgroups;
  const place = { layout, path: `${helpers}/worker-${newRunId()}` };
  const cgroup = planCgroup(
    place,
    settable(place, { memoryLimitBytes: options.memoryLimitBytes, pidsMax: MAX_PROCESSES }),
    (count) => Array.from({ length: count }, () => slots.take()),
    program.length > 0 ? 0 : undefined,
  );
  const plan = planWorker(
    {
      name: options.name,
      args: options.args,
      env: Object.entries(options.env).map(([key, value]) => `${key}=${value}`),
      descriptors: given.map(([descriptor], index) => [program.length + index, descriptor]),
      folder: {
        path: readlinkSync(`/proc/self/fd/${folderFd}`),
        descriptor: folderDescriptor,
        ...(filesystem === undefined ? {} : { filesystem: filesystemMount(filesystem.mount) }),
      },
      readOnlyBinds: existing(options.readOnlyBinds),
      capabilities: options.capabilities,
      cgroup,
      mountPoint: `${host.paths.state}/mount/root`,
    },
    slots,
  );
  const connection = host.zygote.launch(encodePlan(plan), [...program, ...given.map(([, fd]) => fd)]);
  try {
    await connection.started;
  } catch (thrown) {
    if (!isAgain && isGroupLost(cgroupFolders(layout, place.path), plan, thrown)) {
      host.cgroups.prepare();
      return await launch(host, options, folderDescriptor, nothing, true);
    }
    throw filesystem === undefined
      ? launchError('launch', options.name, plan, thrown)
      : launchError('start', filesystem.container, plan, thrown);
  }
  let killed = false;
  const exit = connection.exited.then(
    ({ exitStatus, signal }): WorkerExit => ({
      exitStatus,
      signal,
      oomKilled: signal === SIGKILL && !killed,
    }),
    (): WorkerExit => ({ exitStatus: 0, signal: SIGKILL, oomKilled: false }),
  );
  void exit.then(() => connection.close());
  return {
    exit,
    kill: () => {
      killed = true;
      // Never committed: the end of the connection is the end of the worker.
      void connection.giveUp();
    },
  };
}
