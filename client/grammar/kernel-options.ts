/** The options about what the kernel gives a container beside its limits: settled at create. */
export const KERNEL_OPTIONS = {
  ulimit: {
    names: ['--ulimit'],
    type: 'list',
    value: 'NAME=SOFT[:HARD]',
    about: 'limit of setrlimit: nofile=1024:2048; -1: no limit',
  },
  sysctl: {
    names: ['--sysctl'],
    type: 'list',
    value: 'NAME=VALUE',
    about: 'kernel parameter of its own namespaces: net.core.somaxconn=1024',
  },
  device: {
    names: ['--device'],
    type: 'list',
    value: 'HOST[:INSIDE][:rwm]',
    about: 'device of the host inside; a folder: all devices in it',
  },
  deviceCgroupRule: {
    names: ['--device-cgroup-rule'],
    type: 'list',
    value: 'RULE',
    about: 'devices that may be used though no node is made: "c 10:229 rwm"',
  },
  privileged: {
    names: ['--privileged'],
    type: 'flag',
    about: 'all capabilities and devices, nothing masked or read-only: as good as root on the host',
  },
  oomScoreAdj: {
    names: ['--oom-score-adj'],
    type: 'text',
    value: 'N',
    about: 'whom the kernel kills first when memory is short, -1000 to 1000',
  },
  cgroupParent: {
    names: ['--cgroup-parent'],
    type: 'text',
    value: 'PATH',
    about: 'cgroup below which its own is made',
  },
  cgroupns: {
    names: ['--cgroupns'],
    type: 'text',
    value: 'WHOSE',
    about: 'view of the cgroup tree: private (default), host',
  },
} as const;

/** As given to `create` and `run`. */
export type KernelOptions = typeof KERNEL_OPTIONS;
