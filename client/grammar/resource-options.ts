/** The options of limits: those that create, run and update share, and those that are settled at create. */

/** What can be changed while a container runs. */
export const RESOURCE_OPTIONS = {
  memory: {
    names: ['-m', '--memory', '--memory-limit', '--mem'],
    type: 'text',
    value: 'SIZE',
    about: 'most memory: 512m, 2g; -1: no limit',
  },
  memoryReservation: {
    names: ['--memory-reservation', '--memory-soft-limit'],
    type: 'text',
    value: 'SIZE',
    about: 'memory that is taken away last',
  },
  memorySwap: {
    names: ['--memory-swap', '--memory-swap-limit'],
    type: 'text',
    value: 'SIZE',
    about: 'most memory and swap together (default twice the memory); -1: swap without limit',
  },
  memorySwappiness: {
    names: ['--memory-swappiness'],
    type: 'text',
    value: 'N',
    about: 'tendency to swap, 0 to 100 (cgroup v1); -1: the host’s',
  },
  oomKillDisable: {
    names: ['--oom-kill-disable'],
    type: 'flag',
    about: 'wait at the memory limit instead of being killed (cgroup v1)',
  },
  kernelMemory: {
    names: ['--kernel-memory', '--kernel-memory-limit'],
    type: 'text',
    value: 'SIZE',
    about: 'most memory of the kernel (cgroup v1 of older kernels)',
  },
  kernelMemoryTcp: {
    names: ['--kernel-memory-tcp', '--kernel-memory-tcp-limit'],
    type: 'text',
    value: 'SIZE',
    about: 'most memory of TCP buffers (cgroup v1)',
  },
  cpuShares: {
    names: ['-c', '--cpu-shares', '--cpushare'],
    type: 'text',
    value: 'N',
    about: 'weight of its CPU time, 2 to 262144, against 1024 of others',
  },
  cpus: { names: ['--cpus'], type: 'text', value: 'N', about: 'most CPU time: 1.5 is one and a half CPUs' },
  cpu: { names: ['--cpu'], type: 'text', value: 'PERCENT', about: 'most CPU time in percent of one CPU' },
  cpuPeriod: {
    names: ['--cpu-period', '--cpu-cfs-period'],
    type: 'text',
    value: 'US',
    about: 'length of a scheduling period in µs, 1000 to 1000000 (default 100000)',
  },
  cpuQuota: {
    names: ['--cpu-quota', '--cpu-cfs-quota'],
    type: 'text',
    value: 'US',
    about: 'CPU time in each period in µs; -1: no limit',
  },
  cpuExceedRate: {
    names: ['--cpu-exceed-rate'],
    type: 'text',
    value: 'N',
    about: 'refuse a quota above so many times the CPUs of the host: 2.5',
  },
  cpuRtPeriod: {
    names: ['--cpu-rt-period'],
    type: 'text',
    value: 'US',
    about: 'length of a real-time period in µs (cgroup v1)',
  },
  cpuRtRuntime: {
    names: ['--cpu-rt-runtime'],
    type: 'text',
    value: 'US',
    about: 'real-time CPU time in each period in µs (cgroup v1)',
  },
  cpusetCpus: {
    names: ['--cpuset-cpus', '--cpuset'],
    type: 'text',
    value: 'LIST',
    about: 'CPUs that may be used: 0-2,4',
  },
  cpusetMems: {
    names: ['--cpuset-mems'],
    type: 'text',
    value: 'LIST',
    about: 'memory nodes that may be used',
  },
  pidsMax: {
    names: ['--pids-limit', '--pids-max'],
    type: 'text',
    value: 'N',
    about: 'most processes and threads; 0 or -1: no limit',
  },
  blkioWeight: {
    names: ['--blkio-weight'],
    type: 'text',
    value: 'N',
    about: 'weight of its block I/O, 10 to 1000',
  },
  blkioWeightDevice: {
    names: ['--blkio-weight-device'],
    type: 'list',
    value: 'DEVICE:N',
    about: 'the same on one device: /dev/sda or 8:0',
  },
  blkioLeafWeight: {
    names: ['--blkio-leaf-weight'],
    type: 'text',
    value: 'N',
    about: 'the same against its own child groups (cgroup v1 of older kernels)',
  },
  blkioLeafWeightDevice: {
    names: ['--blkio-leaf-weight-device'],
    type: 'list',
    value: 'DEVICE:N',
    about: 'the same on one device',
  },
  deviceReadBps: {
    names: ['--device-read-bps'],
    type: 'list',
    value: 'DEVICE:SIZE',
    about: 'most bytes read from a device in a second: /dev/sda:10m; 0: no limit',
  },
  deviceWriteBps: {
    names: ['--device-write-bps'],
    type: 'list',
    value: 'DEVICE:SIZE',
    about: 'most bytes written',
  },
  deviceReadIops: {
    names: ['--device-read-iops'],
    type: 'list',
    value: 'DEVICE:N',
    about: 'most read operations a second',
  },
  deviceWriteIops: {
    names: ['--device-write-iops'],
    type: 'list',
    value: 'DEVICE:N',
    about: 'most write operations',
  },
  hugepagesLimit: {
    names: ['--hugepages-limit'],
    type: 'list',
    value: 'PAGE:SIZE',
    about: 'most memory in huge pages of a size: 2MB:64m',
  },
  netClassid: {
    names: ['--net-classid'],
    type: 'text',
    value: 'ID',
    about: 'class of its packets: 0x100001 (cgroup v1)',
  },
  netPrio: {
    names: ['--net-prio'],
    type: 'list',
    value: 'INTERFACE:N',
    about: 'priority of its packets (cgroup v1)',
  },
} as const;

/** As given to each of the commands. */
export type ResourceOptions = typeof RESOURCE_OPTIONS;
