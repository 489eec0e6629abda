/**
 * Everything that a start decides before it touches anything: who the process is, what its files in /etc say,
 * and the launch plan. Explain prints the same result.
 */
import { closeSync } from 'node:fs';
import { planCgroup } from '../cgroup/cgroup-plan.ts';
import { loadRules } from '../cgroup/device-program.ts';
import { cgroupMounts } from '../cgroup/layout.ts';
import type { ContainerConfig, RunMemory } from '../model/container.ts';
import { type Endpoint, wayOut } from '../model/network.ts';
import type { OciSpec } from '../model/oci-spec.ts';
import { INHERIT_MAX, type Plan, slotAllocator } from '../model/plan.ts';
import type { DeviceRule } from '../model/resources.ts';
import { buildSpec } from '../spec/build-spec.ts';
import { planLaunch, type RunPlace } from '../spec/launch-plan.ts';
import type { TerminalSize } from '../spec/process-plan.ts';
import type { Rootfs } from '../spec/rootfs-plan.ts';
import type { Keeper } from '../systemd/keeper.ts';
import type { Launcher } from '../task/launchers.ts';
import { logEnd } from '../task/log-file.ts';
import { formatRunHead } from '../task/run-files.ts';
import type { LogPosition } from '../task/shim-protocol.ts';
import { nameServerOf } from './container-names.ts';
import { planNetwork } from './container-places.ts';
import { cgroupPathOf, containerFolder, type Engine, runFolder, snapshotterOf } from './engine.ts';
import { etcFiles, type HostAddresses } from './etc-files.ts';
import { type HeldNamespaces, namespacesOf } from './held-namespaces.ts';
import { hostDevices } from './host-devices.ts';
import { hostMounts } from './host-mounts.ts';
import { lookUpUser } from './look-up-user.ts';
import { fileSources } from './mount-sources.ts';
import { networkBehind, takeLauncher } from './park-launcher.ts';
import { type Addresses, withAddress } from './server-addresses.ts';
import { networkOwner, openShared } from './shared-namespaces.ts';

/** What a start needs to know of its container; a record has it, and so has one that was never created. */
export interface Launchable {
  readonly id: string;
  readonly config: ContainerConfig;
  readonly layers: readonly bigint[];
  readonly name?: string;
  readonly endpoints?: readonly Endpoint[];
  /** Absent before the first start, as is `exit`. */
  readonly run?: unknown;
  readonly exit?: unknown;
}

export interface PreparedLaunch extends Disposable {
  readonly spec: OciSpec;
  readonly plan: Plan;
  /** Descriptors for the plan's first slots; those that are this launch's alone are closed with the value. */
  readonly descriptors: readonly number[];
  readonly cgroupPath: string;
  /** Which of its slots hold volumes of memory. */
  readonly memory: readonly RunMemory[];
  readonly runFolder: string;
  readonly logFrom: LogPosition;
  /** That the plan is made for; absent: the zygote launches it. Goes back with the value where it was not used. */
  readonly launcher?: Launcher;
}

function rootfsOf(engine: Engine, container: Launchable): Rootfs {
  const source = container.config.rootfs;
  return source.kind === 'directory'
    ? { kind: 'directory', path: source.path }
    : snapshotterOf(engine, container.config).rootfs(
        containerFolder(engine.paths, container.id),
        container.layers,
      );
}

/** The host where its packets leave, or else in its first network, and who answers for names. */
export function hostAddresses(
  engine: Engine,
  { endpoints = [] }: Pick<Launchable, 'endpoints'>,
): HostAddresses {
  const networks = endpoints.flatMap(({ networkId }) => engine.store.networks.get(networkId) ?? []);
  return {
    gateway: (wayOut(networks) ?? networks[0])?.gateway ?? '',
    nameServer: nameServerOf(engine, endpoints),
  };
}

/** On v2 the program of the default rules, or one of this container's own; on v1 the rules are in files. */
function deviceProgramFor(engine: Engine, rules: readonly DeviceRule[], opened: DisposableStack): number[] {
  if (engine.deviceProgram === undefined) return [];
  if (rules.length === 0) return [engine.deviceProgram];
  return [opened.adopt(loadRules(rules), closeSync)];
}

/** What a start has made for its shim already, and what it may use. */
export interface Held {
  /** Whether a launcher that was started ahead may do it. */
  readonly ahead?: boolean;
  /** Of the container's unit, where systemd has its group. */
  readonly keeper?: Keeper | undefined;
  /** Absent where nothing is started. */
  readonly namespaces?: HeldNamespaces;
  /** Of servers that volumes name; names that are not in there stay names. */
  readonly addresses?: Addresses;
}

/**
 * @param runId - of the run to come.
 * @throws MydockerError `invalid-argument` for a user that the image does not have, `failed-precondition` for
 * a limit that this machine cannot set; RangeError for what no plan can hold.
 */
export function prepareLaunch(
  engine: Engine,
  container: Launchable,
  runId: string,
  terminalSize: TerminalSize,
  {
    ahead = false,
    keeper,
    namespaces = namespacesOf(engine, container.config),
    addresses = new Map(),
  }: Held = {},
): PreparedLaunch {
  const { id, config } = container;
  const { paths, cgroups, bootId } = engine;
  const folder = containerFolder(paths, id);
  // A start that died half way leaves no run, but the log of the ones before it.
  const firstRun = container.run === undefined && container.exit === undefined;
  const logFrom = firstRun ? { serial: 1, offset: 0 } : logEnd(`${folder}/logs`);
  const cgroupPath = cgroupPathOf(engine, container);
  // Closed again when something below fails.
  using opened = new DisposableStack();
  const { devices, rules } = hostDevices(config);
  const device = deviceProgramFor(engine, rules, opened);
  const shared = opened.use(openShared(engine, container, device.length));
  // The last one is for no operation: the shim has it until it ends.
  const leash = keeper === undefined ? [] : [keeper.leash];
  const before = device.length + shared.descriptors.length;
  const kept = namespaces.memory.map((volume, index) => ({ ...volume, slot: before + index }));
  const maps = namespaces.maps.map((map, index) => ({ ...map, slot: before + kept.length + index }));
  const descriptors = [
    ...device,
    ...shared.descriptors,
    ...[...kept, ...maps].map(({ descriptor }) => descriptor),
    ...leash,
  ];
  if (descriptors.length > INHERIT_MAX)
    throw new RangeError(
      `it has ${kept.length} volumes of memory and ${maps.length} maps of owners, which are too many`,
    );
  const owner = networkOwner(engine, container);
  const slots = slotAllocator(descriptors.length);
  const found = hostMounts(engine, config);
  const mounted = {
    ...found,
    filesystems: found.filesystems.map((filesystem) => withAddress(filesystem, addresses)),
  };
  const spec = buildSpec(
    { ...config, ...mounted },
    lookUpUser(engine, container, config.user),
    cgroupPath,
    engine.host,
    devices,
  );
  const place: RunPlace = {
    head: formatRunHead({
      containerId: id,
      runId,
      bootId,
      kind: 'init',
      terminal: config.terminal,
      logSerial: logFrom.serial,
      logOffset: logFrom.offset,
    }),
    runFolder: runFolder(paths, runId),
    logsFolder: `${folder}/logs`,
    logSerial: logFrom.serial,
    logMaxFiles: engine.config.logMaxFiles,
    logMaxBytes: engine.config.logMaxBytes,
  };
  const taken = ahead ? takeLauncher(engine, config, spec, rules) : undefined;
  const launcher = taken === undefined ? undefined : opened.use(taken);
  const cgroup = planCgroup(
    { layout: cgroups.layout, path: cgroupPath, waiting: launcher?.cgroupPath },
    { ...config.resources, deviceRules: rules },
    (count) => Array.from({ length: count }, () => slots.take()),
    device.length > 0 ? 0 : undefined,
  );
  const sys = slots.take();
  const plan = planLaunch(
    {
      spec,
      place,
      rootfs: {
        rootfs: rootfsOf(engine, container),
        mountPoint: `${paths.state}/mount/root`,
        filesPoint: `${paths.state}/mount/etc`,
        etcFiles: etcFiles(owner, hostAddresses(engine, owner)),
        fileSources: fileSources(mounted.mounts),
        cgroupMounts: cgroupMounts(cgroups.layout),
      },
      maskedFolders: engine.host.maskedFolders,
      openStdin: config.openStdin,
      init: config.init === true,
      joins: shared.joins,
      memory: kept,
      maps,
      terminalSize,
      cgroup,
      network: networkBehind(launcher, planNetwork(engine, container, runId, sys, slots)),
      sys,
    },
    slots,
  );
  const own = opened.move();
  return {
    ...{ spec, plan, descriptors, cgroupPath, runFolder: place.runFolder, logFrom },
    memory: kept.map(({ volume, slot }) => ({ volume, slot })),
    ...(launcher === undefined ? {} : { launcher }),
    [Symbol.dispose]: () => own.dispose(),
  };
}
