/** Plans of every kind, as the server makes them, for tests that look at plans and run none. */
import { planCgroup, planCgroupExec, planWaitingGroups } from '../../../server/cgroup/cgroup-plan.ts';
import { type CgroupLayout, cgroupMounts, parseCgroupLayout } from '../../../server/cgroup/layout.ts';
import type {
  ContainerConfig,
  NetworkMode,
  SharedNamespaces,
  TmpfsMount,
} from '../../../server/model/container.ts';
import type { Endpoint, NetworkRecord } from '../../../server/model/network.ts';
import {
  type NetworkPart,
  type Plan,
  type Slot,
  type SlotAllocator,
  slotAllocator,
} from '../../../server/model/plan.ts';
import type { Resources } from '../../../server/model/resources.ts';
import type { Credentials } from '../../../server/model/user-spec.ts';
import { loopbackUp } from '../../../server/network/loopback.ts';
import { LOOPBACK_ONLY, NO_NETWORK, type Plug, planVeths } from '../../../server/network/veth.ts';
import { buildExecProcess, buildSpec, type ExecChoice } from '../../../server/spec/build-spec.ts';
import type { HostFacts } from '../../../server/spec/defaults.ts';
import { EXEC_INHERITED, planExecProcess } from '../../../server/spec/exec-plan.ts';
import type { MapSlot } from '../../../server/spec/id-map-plan.ts';
import type { Joins } from '../../../server/spec/join-plan.ts';
import { planLaunch } from '../../../server/spec/launch-plan.ts';
import { planMemory } from '../../../server/spec/memory-plan.ts';
import { planParking } from '../../../server/spec/park-plan.ts';
import type { Rootfs } from '../../../server/spec/rootfs-plan.ts';
import { tmpfsMount } from '../../../server/spec/spec-mounts.ts';
import { planWorker } from '../../../server/spec/worker-plan.ts';

/** A host whose facts are the same everywhere. */
export const HOST: HostFacts = {
  maskedPaths: ['/proc/kcore', '/proc/scsi', '/sys/firmware'],
  capabilities: ['CHOWN', 'SYS_ADMIN'],
  maskedFolders: new Set(['/proc/scsi', '/sys/firmware']),
  readonlyPaths: ['/proc/bus', '/proc/sys'],
  rlimits: [{ type: 'NOFILE', soft: 1024n, hard: 524_288n }],
};

export const ROOT: Credentials = { uid: 0, gid: 0, groups: [0], home: '/root' };
export const USER: Credentials = { uid: 1000, gid: 1001, groups: [1001, 50], home: '/home/user' };

export const LAYOUTS: Readonly<Record<'v1' | 'v2' | 'hybrid', CgroupLayout>> = {
  v1: parseCgroupLayout(
    [
      '30 20 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
      '31 20 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
      '32 20 0:3 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices',
      '33 20 0:4 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer',
      '34 20 0:5 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
      '35 20 0:6 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset',
      '36 20 0:7 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd',
    ].join('\n'),
  ),
  v2: parseCgroupLayout('30 20 0:1 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate'),
  hybrid: parseCgroupLayout(
    [
      '30 20 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
      '31 20 0:2 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices',
      '32 20 0:3 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
      '33 20 0:4 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw',
    ].join('\n'),
  ),
};

export const NETWORK: NetworkRecord = {
  ...{ v: 1, rev: 1n, createdAt: 1n, updatedAt: 1n, id: 'a'.repeat(64), name: 'mydocker0' },
  ...{ bridge: 'mydocker0', subnet: '10.20.30.0/24', gateway: '10.20.30.1' },
};
export const ENDPOINT: Endpoint = { networkId: NETWORK.id, ipv4: '10.20.30.2', mac: '02:42:0a:14:1e:02' };
export const PLUG: Plug = { network: NETWORK, endpoint: ENDPOINT, hostEnd: 'veth0123456789a' };

export const CONFIG: ContainerConfig = {
  rootfs: { kind: 'directory', path: '/srv/rootfs' },
  args: ['sh', '-c', 'echo $SECRET'],
  env: ['SECRET=hidden words'],
  workingDir: '/srv/app',
  user: '',
  hostname: 'web',
  terminal: false,
  openStdin: false,
  mounts: [
    { source: '/host/data/deep', destination: '/data/deep', readOnly: false },
    { source: '/host/data', destination: '/data', readOnly: true },
    { source: '/host/file', destination: '/etc/app.conf', readOnly: false },
  ],
  network: 'none',
  readOnlyRootfs: false,
  resources: {},
  stopSignal: 15,
  stopTimeoutMs: 10_000,
  autoRemove: false,
  labels: {},
};

const OVERLAY: Rootfs = {
  kind: 'overlay',
  lowerDirs: ['/root/layers/2', '/root/layers/1'],
  upperDir: '/root/containers/c/upper',
  workDir: '/root/containers/c/work',
  options: 'index=off',
};

const SHARED: SharedNamespaces = {
  pid: { kind: 'container', container: 'c0' },
  ipc: { kind: 'container', container: 'c0' },
  uts: { kind: 'host' },
  network: { kind: 'container', container: 'c0' },
};

export interface SampleChoice {
  readonly config?: Partial<Parameters<typeof buildSpec>[0]>;
  readonly user?: Credentials;
  readonly layout?: CgroupLayout;
  readonly rootfs?: Rootfs;
  readonly deviceProgram?: boolean;
  readonly resources?: Resources;
  /** Of a launcher's groups. */
  readonly waiting?: string;
  /** Their slots are the first ones. */
  readonly joins?: Joins;
  /** After the others. */
  readonly maps?: readonly MapSlot[];
  /** Of shared memory, mounted at `/memory`, in the first slot. */
  readonly memory?: TmpfsMount;
}

const taking =
  (slots: { take(): Slot }) =>
  (count: number): Slot[] =>
    Array.from({ length: count }, () => slots.take());

function networkPart(mode: NetworkMode, sys: Slot, slots: SlotAllocator): NetworkPart {
  if (mode === 'host' || mode === 'container') return NO_NETWORK;
  if (mode === 'none') return LOOPBACK_ONLY;
  return planVeths([PLUG], slots.take(), sys);
}

export function launchPlan(choice: SampleChoice = {}): Plan {
  const config = {
    ...CONFIG,
    ...choice.config,
    ...(choice.memory === undefined ? {} : { tmpfs: [choice.memory] }),
  };
  const layout = choice.layout ?? LAYOUTS.v2;
  const inherited =
    (choice.deviceProgram === true ? 1 : 0) +
    Object.keys(choice.joins ?? {}).length +
    (choice.memory === undefined ? 0 : 1);
  const slots = slotAllocator(inherited);
  const path = '/mydocker-1/c';
  const sys = slots.take();
  return planLaunch(
    {
      spec: buildSpec(config, choice.user ?? ROOT, path, HOST),
      place: {
        head: 'version 1\n',
        runFolder: '/run/mydocker/shims/0123456789abcdef',
        logsFolder: '/root/containers/c/logs',
        logSerial: 1,
        logMaxFiles: 5,
        logMaxBytes: 10_000_000n,
      },
      rootfs: {
        rootfs: choice.rootfs ?? OVERLAY,
        mountPoint: '/run/mydocker/mount/root',
        filesPoint: '/run/mydocker/mount/etc',
        etcFiles: [['hosts', '127.0.0.1 localhost\n']],
        fileSources: new Set(['/host/file']),
        cgroupMounts: cgroupMounts(layout),
      },
      maskedFolders: HOST.maskedFolders,
      openStdin: config.openStdin,
      init: config.init === true,
      joins: choice.joins ?? {},
      memory:
        choice.memory === undefined
          ? []
          : [{ volume: 'memory', slot: 0, destinations: [choice.memory.destination] }],
      maps: choice.maps ?? [],
      terminalSize: { rows: 24, columns: 80 },
      cgroup: planCgroup(
        { layout, path, waiting: choice.waiting },
        choice.resources ?? {},
        taking(slots),
        inherited > 0 ? 0 : undefined,
      ),
      network: networkPart(config.network, sys, slots),
      sys,
    },
    slots,
  );
}

export function execPlan(
  choice: Partial<ExecChoice> & { openStdin?: boolean; user?: never; credentials?: Credentials } = {},
  layout: CgroupLayout = LAYOUTS.v2,
): Plan {
  const slots = slotAllocator(EXEC_INHERITED);
  const asked: ExecChoice = { args: ['ls'], env: ['B=2'], terminal: false, ...choice };
  return planExecProcess(
    {
      process: buildExecProcess(CONFIG, asked, HOST, () => choice.credentials ?? ROOT),
      place: { head: 'version 1\n', runFolder: '/run/x', logSerial: 0, logMaxFiles: 0, logMaxBytes: 0n },
      openStdin: choice.openStdin ?? false,
      terminalSize: { rows: 24, columns: 80 },
      cgroup: planCgroupExec({ layout, path: '/mydocker-1/c' }, taking(slots)),
    },
    slots,
  );
}

export function workerPlan(layout: CgroupLayout = LAYOUTS.v2): Plan {
  const slots = slotAllocator(3);
  return planWorker(
    {
      name: 'unpack',
      args: ['/usr/bin/node', 'worker.ts'],
      env: ['A=1'],
      descriptors: [0, 1, 2].map((slot) => [slot, slot]),
      folder: { path: '/root/layers/new', descriptor: 3 },
      readOnlyBinds: [
        { path: '/usr/bin/node', isFolder: false },
        { path: '/usr/lib', isFolder: true },
      ],
      capabilities: ['CHOWN', 'DAC_OVERRIDE'],
      cgroup: planCgroup({ layout, path: '/mydocker-1/worker' }, { pidsMax: 64n }, taking(slots)),
      mountPoint: '/run/mydocker/mount/root',
    },
    slots,
  );
}

/** One of each kind, by name. */
export function allPlans(): ReadonlyMap<string, Plan> {
  const plans = new Map<string, Plan>();
  for (const [kind, layout] of Object.entries(LAYOUTS)) {
    const resources: Resources = { memoryLimitBytes: 1n << 26n };
    plans.set(`start with pipes on ${kind}`, launchPlan({ layout, config: { openStdin: true }, user: USER }));
    plans.set(
      `start on a terminal on ${kind}`,
      launchPlan({
        layout,
        config: { terminal: true, readOnlyRootfs: true },
        deviceProgram: true,
        resources,
      }),
    );
    const disk = { destination: '/disk', type: 'ext4', device: '/dev/sdb1', options: ['ro', 'commit=10'] };
    const part = { ...disk, destination: '/part', subpath: 'a/b' };
    plans.set(`start with a disk on ${kind}`, launchPlan({ layout, config: { filesystems: [disk, part] } }));
    const memory = { destination: '/memory', readOnly: true, options: ['size=1m'], subpath: 'a' };
    plans.set(`start with shared memory on ${kind}`, launchPlan({ layout, memory }));
    const idMap = { uids: [{ containerID: 0, hostID: 1000, size: 1 }], gids: [] };
    const mapped = { source: '/data', destination: '/mapped', readOnly: true, idMap };
    plans.set(
      `start with mapped owners on ${kind}`,
      launchPlan({
        layout,
        config: { mounts: [mapped] },
        maps: [{ slot: 0, destinations: ['/mapped'] }],
      }),
    );
    plans.set(
      `shared memory on ${kind}`,
      planMemory('memory', tmpfsMount(memory), '/run/mydocker/mount/root', 0, slotAllocator(1)),
    );
    plans.set(`start with an init on ${kind}`, launchPlan({ layout, config: { init: true } }));
    plans.set(
      `start by a launcher on ${kind}`,
      launchPlan({ layout, resources, waiting: '/mydocker-1/launcher-1' }),
    );
    plans.set(
      `launcher on ${kind}`,
      planParking('mydocker-launcher /run/mydocker', planWaitingGroups(layout, '/mydocker-1/launcher-1'), [
        loopbackUp,
      ]),
    );
    const other = { slot: 0, container: 'other' };
    plans.set(
      `start in namespaces of others on ${kind}`,
      launchPlan({
        layout,
        config: { network: 'container', namespaces: SHARED },
        joins: { pid: other, ipc: { ...other, slot: 1 }, network: { ...other, slot: 2 } },
      }),
    );
    plans.set(`start in a network on ${kind}`, launchPlan({ layout, config: { network: 'networks' } }));
    plans.set(
      `start of a folder on the host's network on ${kind}`,
      launchPlan({ layout, config: { network: 'host' }, rootfs: { kind: 'directory', path: '/srv' } }),
    );
    plans.set(`additional process on ${kind}`, execPlan({ openStdin: true, credentials: USER }, layout));
    plans.set(`additional process on a terminal on ${kind}`, execPlan({ terminal: true }, layout));
    plans.set(`worker on ${kind}`, workerPlan(layout));
  }
  return plans;
}
