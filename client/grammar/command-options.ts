/** The options of every command but create and run. */

/** Of lists. */
export const FORMAT = {
  names: ['--format'],
  type: 'text',
  value: 'FORMAT',
  about: "json, table, a template ('{{.ID}}') or 'table TEMPLATE'",
} as const;
/** Of lists. */
export const NO_TRUNC = { names: ['--no-trunc'], type: 'flag', about: 'ids and texts in full' } as const;
const PRUNE_FORCE = { names: ['-f', '--force'], type: 'flag', about: 'do not ask' } as const;
const PRUNE_FILTER = {
  names: ['--filter'],
  type: 'list',
  value: 'KEY=VALUE',
  about: 'until=TIME (10m, a date), label=KEY[=VALUE] or label!=KEY[=VALUE]',
} as const;

/** Options of `ps`. */
export const PS_OPTIONS = {
  all: { names: ['-a', '--all'], type: 'flag', about: 'all containers (which is the default)' },
  running: { names: ['-r', '--running'], type: 'flag', about: 'only running ones' },
  quiet: { names: ['-q', '--quiet'], type: 'flag', about: 'ids only' },
  noTrunc: NO_TRUNC as typeof NO_TRUNC,
  format: FORMAT as typeof FORMAT,
  size: { names: ['-s', '--size'], type: 'flag', about: 'measure their files' },
  last: { names: ['-n', '--last'], type: 'text', value: 'N', about: 'only the newest N' },
  latest: { names: ['-l', '--latest'], type: 'flag', about: 'only the newest one' },
  filter: {
    names: ['-f', '--filter'],
    type: 'list',
    value: 'KEY=VALUE',
    about: 'id, name, status, image, label, network, volume, exited, health, publish, before or since',
  },
} as const;

/** Options of `stats`. */
export const STATS_OPTIONS = {
  all: { names: ['-a', '--all'], type: 'flag', about: 'those that do not run too' },
  noStream: { names: ['--no-stream'], type: 'flag', about: 'once, and no more' },
  noTrunc: NO_TRUNC as typeof NO_TRUNC,
  format: FORMAT as typeof FORMAT,
} as const;

/** Options of `images`. */
export const IMAGES_OPTIONS = {
  all: { names: ['-a', '--all'], type: 'flag', about: 'all images (which is the default)' },
  quiet: { names: ['-q', '--quiet'], type: 'flag', about: 'ids only' },
  noTrunc: NO_TRUNC as typeof NO_TRUNC,
  digests: { names: ['--digests'], type: 'flag', about: 'digests of manifests too' },
  format: FORMAT as typeof FORMAT,
  filter: {
    names: ['-f', '--filter'],
    type: 'list',
    value: 'KEY=VALUE',
    about: 'reference, dangling, label, before, since or until',
  },
} as const;

/** Options of `history`. */
export const HISTORY_OPTIONS = {
  quiet: { names: ['-q', '--quiet'], type: 'flag', about: 'ids only' },
  noTrunc: NO_TRUNC as typeof NO_TRUNC,
  human: { names: ['-H', '--human'], type: 'flag', about: 'sizes and times for people (default true)' },
  format: FORMAT as typeof FORMAT,
} as const;

/** Options of `image prune`. */
export const IMAGE_PRUNE_OPTIONS = {
  all: { names: ['-a', '--all'], type: 'flag', about: 'also images with names that no container uses' },
  force: PRUNE_FORCE as typeof PRUNE_FORCE,
  filter: PRUNE_FILTER as typeof PRUNE_FILTER,
} as const;

/** Options of `system prune`. */
export const SYSTEM_PRUNE_OPTIONS = {
  all: IMAGE_PRUNE_OPTIONS.all as typeof IMAGE_PRUNE_OPTIONS.all,
  force: PRUNE_FORCE as typeof PRUNE_FORCE,
  filter: PRUNE_FILTER as typeof PRUNE_FILTER,
  volumes: { names: ['--volumes'], type: 'flag', about: 'also anonymous volumes that no container has' },
} as const;

/** Options of `container prune`. */
export const CONTAINER_PRUNE_OPTIONS = {
  force: PRUNE_FORCE as typeof PRUNE_FORCE,
  filter: PRUNE_FILTER as typeof PRUNE_FILTER,
} as const;

/** Options of `system df`. */
export const DF_OPTIONS = {
  verbose: { names: ['-v', '--verbose'], type: 'flag', about: 'each image and container' },
  format: FORMAT as typeof FORMAT,
} as const;

/** Options of `image inspect` and `network inspect`. */
export const IMAGE_INSPECT_OPTIONS = {
  format: {
    names: ['-f', '--format'],
    type: 'text',
    value: 'FORMAT',
    about: "a template ('{{.Config.User}}'), json: a line each, api: as the contract has it, or ancestors",
  },
} as const;

/** Options of `import`. */
export const IMPORT_OPTIONS = {
  message: { names: ['-m', '--message'], type: 'text', value: 'TEXT', about: 'words for its history' },
  change: {
    names: ['-c', '--change'],
    type: 'list',
    value: 'INSTRUCTION',
    about: 'what it says about containers, as in a Dockerfile: CMD, ENTRYPOINT, ENV, USER, WORKDIR …',
  },
  platform: { names: ['--platform'], type: 'text', value: 'OS/ARCH', about: 'what it is made for' },
} as const;

/** Options of `load`. */
export const LOAD_OPTIONS = {
  input: {
    names: ['-i', '--input'],
    type: 'text',
    value: 'FILE|FOLDER',
    about: 'archive, or folder with an OCI layout; standard input',
  },
  quiet: { names: ['-q', '--quiet'], type: 'flag', about: 'no progress' },
  platform: {
    names: ['--platform'],
    type: 'text',
    value: 'OS/ARCH',
    about: 'of an image for several platforms, the one for this',
  },
  name: {
    names: ['--name'],
    type: 'text',
    value: 'REFERENCE',
    about: 'name for an image that comes without',
  },
} as const;

/** Options of `login`. */
export const LOGIN_OPTIONS = {
  username: { names: ['-u', '--username'], type: 'text', value: 'NAME', about: 'user name; it is asked for' },
  password: {
    names: ['-p', '--password'],
    type: 'text',
    value: 'PASSWORD',
    about: 'for everybody to see in the list of processes; better it is asked for',
  },
  passwordStdin: { names: ['--password-stdin'], type: 'flag', about: 'password from standard input' },
} as const;

/** Options of `pull`. */
export const PULL_OPTIONS = {
  quiet: { names: ['-q', '--quiet'], type: 'flag', about: 'only the name of what was pulled' },
  allTags: { names: ['-a', '--all-tags'], type: 'flag', about: 'every tag of the repository' },
  platform: {
    names: ['--platform'],
    type: 'text',
    value: 'OS/ARCH',
    about: "of an image for several platforms, the one for this; the server's",
  },
  policy: {
    names: ['--policy'],
    type: 'text',
    value: 'POLICY',
    about: 'when the registry is asked: always, missing, newer, never; always',
  },
} as const;

/** Options of `push`. */
export const PUSH_OPTIONS = {
  quiet: { names: ['-q', '--quiet'], type: 'flag', about: 'only the name of what was pushed' },
  allTags: { names: ['-a', '--all-tags'], type: 'flag', about: 'every tag of the repository that is here' },
  platform: {
    names: ['--platform'],
    type: 'text',
    value: 'OS/ARCH',
    about: 'that the image must be for; any',
  },
} as const;

/** Options of `logs`. */
export const LOGS_OPTIONS = {
  follow: { names: ['-f', '--follow'], type: 'flag', about: 'go on with what comes' },
  tail: { names: ['-n', '--tail'], type: 'text', value: 'N', about: 'only the last N lines; all' },
  timestamps: { names: ['-t', '--timestamps'], type: 'flag', about: 'the time before each line' },
  since: {
    names: ['--since'],
    type: 'text',
    value: 'TIME',
    about: 'only from then on: 10m, 2026-11-22T03:13:00Z',
  },
  until: { names: ['--until'], type: 'text', value: 'TIME', about: 'only until then' },
  details: { names: ['--details'], type: 'flag', about: 'accepted; lines have no further attributes' },
} as const;

const DETACH_KEYS = {
  names: ['--detach-keys'],
  type: 'text',
  value: 'KEYS',
  about: 'keys that leave it running (default ctrl-p,ctrl-q)',
} as const;
const SIG_PROXY = {
  names: ['--sig-proxy'],
  type: 'flag',
  about: 'pass signals on to the process (default true; not with a terminal)',
} as const;

/** Options of `exec`. */
export const EXEC_OPTIONS = {
  detach: { names: ['-d', '--detach'], type: 'flag', about: 'run in the background' },
  interactive: { names: ['-i', '--interactive'], type: 'flag', about: 'keep standard input open' },
  tty: { names: ['-t', '--tty'], type: 'flag', about: 'give the process a terminal' },
  env: { names: ['-e', '--env'], type: 'list', value: 'KEY[=VALUE]', about: 'environment variable' },
  envFile: { names: ['--env-file'], type: 'list', value: 'FILE', about: 'environment variables, one a line' },
  workdir: { names: ['-w', '--workdir'], type: 'text', value: 'DIR', about: 'working directory inside' },
  user: { names: ['-u', '--user'], type: 'text', value: 'USER[:GROUP]', about: 'names or numbers' },
  privileged: { names: ['--privileged'], type: 'flag', about: 'all capabilities and no filter' },
  detachKeys: DETACH_KEYS as typeof DETACH_KEYS,
} as const;

/** Options of `attach`. */
export const ATTACH_OPTIONS = {
  noStdin: { names: ['--no-stdin'], type: 'flag', about: 'do not attach standard input' },
  sigProxy: SIG_PROXY as typeof SIG_PROXY,
  detachKeys: DETACH_KEYS as typeof DETACH_KEYS,
} as const;

/** Options of `start`. */
export const START_OPTIONS = {
  attach: { names: ['-a', '--attach'], type: 'flag', about: 'attach to its output and wait for its end' },
  interactive: { names: ['-i', '--interactive'], type: 'flag', about: 'attach to its input too' },
  name: { names: ['-n', '--name'], type: 'list', value: 'NAME', about: 'the container, as an option' },
  sigProxy: SIG_PROXY as typeof SIG_PROXY,
  detachKeys: DETACH_KEYS as typeof DETACH_KEYS,
} as const;

/** Options of `stop` and `restart`. */
export const STOP_OPTIONS = {
  time: {
    names: ['-t', '--time', '--timeout'],
    type: 'text',
    value: 'SECONDS',
    about: 'how long to wait before SIGKILL (default the container’s, 10); -1: without end',
  },
  signal: { names: ['-s', '--signal'], type: 'text', value: 'SIGNAL', about: 'what to send first' },
} as const;

/** Options of `kill`. */
export const KILL_OPTIONS = {
  signal: {
    names: ['-s', '--signal'],
    type: 'text',
    value: 'SIGNAL',
    about: 'what to send (default SIGKILL)',
  },
} as const;

/** Options of `rm`. */
export const RM_OPTIONS = {
  force: { names: ['-f', '--force'], type: 'flag', about: 'kill it first where it runs' },
  volumes: { names: ['-v', '--volumes'], type: 'flag', about: 'also its anonymous volumes' },
} as const;

/** Options of `rmi`. */
export const RMI_OPTIONS = {
  force: {
    names: ['-f', '--force'],
    type: 'flag',
    about: 'also where it has several references or stopped containers use it',
  },
} as const;

/** Options of `container inspect`. */
export const CONTAINER_INSPECT_OPTIONS = {
  format: IMAGE_INSPECT_OPTIONS.format as typeof IMAGE_INSPECT_OPTIONS.format,
  size: { names: ['-s', '--size'], type: 'flag', about: 'measure a container’s files' },
} as const;

/** Options of `inspect`. */
export const INSPECT_OPTIONS = {
  type: { names: ['--type'], type: 'text', value: 'TYPE', about: 'container, network or image' },
  format: IMAGE_INSPECT_OPTIONS.format as typeof IMAGE_INSPECT_OPTIONS.format,
  size: CONTAINER_INSPECT_OPTIONS.size as typeof CONTAINER_INSPECT_OPTIONS.size,
} as const;

/** Options of `explain`. */
export const EXPLAIN_OPTIONS = {
  showEnv: { names: ['--show-env'], type: 'flag', about: 'print values of environment variables' },
} as const;

/** No options at all. */
export const NO_OPTIONS = {} as const;
