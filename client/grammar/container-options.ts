/** The options of create and run: Docker's spellings, and those of the five projects that this one continues. */
import { KERNEL_OPTIONS, type KernelOptions } from './kernel-options.ts';
import { RESOURCE_OPTIONS, type ResourceOptions } from './resource-options.ts';

/** What decides how a container runs, beside its limits. */
const CREATE_ONLY = {
  name: { names: ['-n', '--name'], type: 'text', value: 'NAME', about: 'name of the container' },
  image: {
    names: ['--image'],
    type: 'text',
    value: 'IMAGE',
    about: 'image; all arguments are then the command',
  },
  rootfs: {
    names: ['--rootfs'],
    type: 'text',
    value: 'DIR',
    about: 'folder to use as root filesystem, in place; all arguments are then the command',
  },
  interactive: { names: ['-i', '--interactive'], type: 'flag', about: 'keep standard input open' },
  tty: { names: ['-t', '--tty'], type: 'flag', about: 'give the process a terminal' },
  init: {
    names: ['--init'],
    type: 'flag',
    about: 'a small init is process 1: passes signals on, reaps orphans',
  },
  rm: { names: ['--rm'], type: 'flag', about: 'remove the container when its process ends' },
  hostname: { names: ['-h', '--hostname'], type: 'text', value: 'NAME', about: 'host name inside' },
  env: {
    names: ['-e', '--env'],
    type: 'list',
    value: 'KEY[=VALUE]',
    about: 'environment variable; without a value: as it is here',
  },
  envFile: { names: ['--env-file'], type: 'list', value: 'FILE', about: 'environment variables, one a line' },
  workdir: { names: ['-w', '--workdir'], type: 'text', value: 'DIR', about: 'working directory inside' },
  user: { names: ['-u', '--user'], type: 'text', value: 'USER[:GROUP]', about: 'names or numbers' },
  volume: {
    names: ['-v', '--volume'],
    type: 'list',
    value: 'SRC:DST[:ro]',
    about: 'mount a folder or file of the host, or a volume; several may be joined with commas',
  },
  mount: {
    names: ['--mount'],
    type: 'list',
    value: 'KEY=VALUE,…',
    about: 'mount: type=bind|volume|tmpfs, src=, dst=, readonly, …',
  },
  volumesFrom: {
    names: ['--volumes-from'],
    type: 'list',
    value: 'CONTAINER[:ro]',
    about: 'mount what another container has mounted of volumes and the host',
  },
  tmpfs: {
    names: ['--tmpfs'],
    type: 'list',
    value: 'DST[:OPTIONS]',
    about: 'mount an empty file system in memory: size=64m, mode=755, exec, uid=, …',
  },
  shmSize: { names: ['--shm-size'], type: 'text', value: 'SIZE', about: 'size of /dev/shm (default 64m)' },
  groupAdd: {
    names: ['--group-add'],
    type: 'list',
    value: 'GROUP',
    about: 'one more group of the process, name or number',
  },
  addHost: {
    names: ['--add-host'],
    type: 'list',
    value: 'NAME:ADDRESS',
    about: 'one more line of /etc/hosts; host-gateway is the host',
  },
  entrypoint: {
    names: ['--entrypoint'],
    type: 'text',
    value: 'PROGRAM',
    about: 'replaces the image’s; empty: none',
  },
  network: {
    names: ['--network', '--net'],
    type: 'list',
    value: 'NETWORK',
    about:
      'none, host, container:NAME, or a network’s name, several times for several; NAME,ip=ADDRESS,alias=NAME too',
  },
  ip: { names: ['--ip'], type: 'text', value: 'ADDRESS', about: 'IPv4 address in its first network' },
  ip6: { names: ['--ip6'], type: 'text', value: 'ADDRESS', about: 'IPv6 address in its first network' },
  macAddress: {
    names: ['--mac-address'],
    type: 'text',
    value: 'MAC',
    about: 'hardware address in its first network',
  },
  networkAlias: {
    names: ['--network-alias', '--net-alias'],
    type: 'list',
    value: 'NAME',
    about: 'a further name for its neighbours in its first network',
  },
  publish: {
    names: ['-p', '--publish'],
    type: 'list',
    value: '[IP:][HOST:]PORT',
    about: 'port of the host that leads to one inside: 8080:80, 127.0.0.1:53:53/udp, 8000-8009:8000-8009, 80',
  },
  publishAll: {
    names: ['-P', '--publish-all'],
    type: 'flag',
    about: 'publish all exposed ports on free ports of the host',
  },
  expose: {
    names: ['--expose'],
    type: 'list',
    value: 'PORT',
    about: 'port that the service listens on, beside the image’s',
  },
  pid: {
    names: ['--pid'],
    type: 'text',
    value: 'WHOSE',
    about: 'process ids: host, container:NAME (default its own)',
  },
  ipc: {
    names: ['--ipc'],
    type: 'text',
    value: 'WHOSE',
    about: 'shared memory, semaphores, message queues: host, container:NAME (default its own)',
  },
  uts: { names: ['--uts'], type: 'text', value: 'WHOSE', about: 'host name: host (default its own)' },
  dns: { names: ['--dns'], type: 'list', value: 'ADDRESS', about: 'name server; default: the host’s' },
  dnsSearch: { names: ['--dns-search'], type: 'list', value: 'DOMAIN', about: 'search domain of names' },
  dnsOption: {
    names: ['--dns-option', '--dns-opt'],
    type: 'list',
    value: 'OPTION',
    about: 'option of resolv.conf',
  },
  readOnly: { names: ['--read-only'], type: 'flag', about: 'mount the root filesystem read-only' },
  stopSignal: { names: ['--stop-signal'], type: 'text', value: 'SIGNAL', about: 'what a stop sends first' },
  stopTimeout: {
    names: ['--stop-timeout'],
    type: 'text',
    value: 'SECONDS',
    about: 'how long a stop waits before SIGKILL; -1: without end',
  },
  label: { names: ['-l', '--label'], type: 'list', value: 'KEY[=VALUE]', about: 'label' },
  labelFile: { names: ['--label-file'], type: 'list', value: 'FILE', about: 'labels, one a line' },
  restart: {
    names: ['--restart'],
    type: 'text',
    value: 'POLICY',
    about: 'no, on-failure[:N], always, unless-stopped: kept, not acted on by this version',
  },
  pull: {
    names: ['--pull'],
    type: 'text',
    value: 'WHEN',
    about: 'fetch the image: missing (default), always, never',
  },
  cidfile: {
    names: ['--cidfile'],
    type: 'text',
    value: 'FILE',
    about: 'write the id to this file, which must not exist',
  },
  storageDriver: {
    names: ['-s', '--storage-driver'],
    type: 'text',
    value: 'DRIVER',
    about: 'how the root filesystem is made: overlay (also written overlay2), vfs',
  },
  explain: {
    names: ['--explain'],
    type: 'flag',
    about: 'print the launch plan; create and run nothing',
  },
  showEnv: {
    names: ['--show-env'],
    type: 'flag',
    about: 'with --explain: print values of environment variables',
  },
} as const;

/** Options of `create`. */
export const CREATE_OPTIONS: typeof CREATE_ONLY & ResourceOptions & KernelOptions = {
  ...CREATE_ONLY,
  ...RESOURCE_OPTIONS,
  ...KERNEL_OPTIONS,
};

/** What `run` has beyond `create`. */
const RUN_ONLY = {
  detach: { names: ['-d', '--detach'], type: 'flag', about: 'run in the background and print the id' },
  attach: {
    names: ['-a', '--attach'],
    type: 'list',
    value: 'STREAM',
    about: 'attach to stdin, stdout or stderr only',
  },
  freezerState: {
    names: ['--freezer-state'],
    type: 'text',
    value: 'STATE',
    about: 'with -d: FROZEN pauses it as soon as it runs; THAWED lets it go on (default)',
  },
  sigProxy: {
    names: ['--sig-proxy'],
    type: 'flag',
    about: 'pass signals on to the process (default true)',
  },
  detachKeys: {
    names: ['--detach-keys'],
    type: 'text',
    value: 'KEYS',
    about: 'keys that leave the container running (default ctrl-p,ctrl-q)',
  },
} as const;

/** Options of `run`. */
export const RUN_OPTIONS: typeof CREATE_OPTIONS & typeof RUN_ONLY = { ...CREATE_OPTIONS, ...RUN_ONLY };

/** As given to `create`. */
export type CreateOptions = typeof CREATE_OPTIONS;
/** As given to `run`. */
export type RunOptions = typeof RUN_OPTIONS;
