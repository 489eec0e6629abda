/**
 * mydockerd: builds everything, in the order in which one needs the other, and takes it down the other way
 * round. The only place that knows all the parts; it decides nothing.
 */
import { readFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadDeviceProgram } from '../native/bpf.ts';
import { notify } from '../native/notify.ts';
import { exitNow } from '../native/process.ts';
import { widenSendBuffer } from '../native/socket.ts';
import { DEFAULT_DEVICE_RULES, deviceProgram } from './cgroup/devices.ts';
import { hasDeviceProgram, readCgroupLayout } from './cgroup/layout.ts';
import { CgroupParents, removeCgroupParent } from './cgroup/parent.ts';
import { requireSystemd } from './cgroup/slices.ts';
import { joinWarmer } from './cgroup/warm-joins.ts';
import { DEFAULT_ROOT, HELP, parseInvocation, type ServerConfig } from './config.ts';
import { configureFailpoints } from './failpoint.ts';
import { socketPath } from './grpc/listen.ts';
import { type Api, createApi } from './grpc/server.ts';
import { ARCHIVE_LIMITS } from './image/archive-limits.ts';
import { createBlobStore } from './image/blob-store.ts';
import { createIngest } from './image/ingest.ts';
import { createLayerStore } from './image/layer-store.ts';
import { createTreeCopier } from './image/tree-copier.ts';
import { WORKER_FD } from './image/worker-protocol.ts';
import { createLog } from './log.ts';
import { toMydockerError } from './model/error.ts';
import type { Logger } from './model/logger.ts';
import { REGISTRY_LIMITS } from './model/registry.ts';
import { nowNs } from './model/time.ts';
import { ownSlice } from './model/unit.ts';
import { DEFAULT_POOLS } from './network/subnets.ts';
import { recoverNetworks } from './ops/connect-network.ts';
import { leaveOwnSlice } from './ops/container-scope.ts';
import { sweepVolumes } from './ops/container-volumes.ts';
import { discardsDone } from './ops/discard-folder.ts';
import { type Engine, shimsFolder, zygoteTitle } from './ops/engine.ts';
import { FirstCopies } from './ops/first-copies.ts';
import { Garbage } from './ops/garbage.ts';
import { HeldVolumes } from './ops/held-volumes.ts';
import { workerLauncher } from './ops/launch-worker.ts';
import { MemoryVolumes } from './ops/memory-volumes.ts';
import { ObjectQueues } from './ops/object-queues.ts';
import { parkLauncher } from './ops/park-launcher.ts';
import { highestSerial, type Prepared, prepareFolders, readRecoverable } from './ops/prepare-folders.ts';
import { networkEngine } from './ops/prepare-network.ts';
import { probeStorage } from './ops/probe-storage.ts';
import { restorePorts } from './ops/publish-ports.ts';
import { recover } from './ops/recover.ts';
import { sweepContainers } from './ops/sweep-containers.ts';
import { sweepImages } from './ops/sweep-images.ts';
import { watchNetworks } from './ops/watch-networks.ts';
import { Downloads } from './registry/downloads.ts';
import { proxiesOf } from './registry/proxies.ts';
import { createRegistryAccess } from './registry/registries.ts';
import type { Storage } from './snapshot/drivers.ts';
import { ensureInitLayer } from './snapshot/init-layer.ts';
import { overlaySnapshotter } from './snapshot/overlay.ts';
import { vfsSnapshotter } from './snapshot/vfs.ts';
import { readHostFacts } from './spec/defaults.ts';
import { openStore } from './store/open.ts';
import type { Store } from './store/store.ts';
import { createUnits } from './systemd/units.ts';
import { Launchers } from './task/launchers.ts';
import { Runs } from './task/runs.ts';
import { Zygote } from './task/zygote.ts';

const PROJECT = new URL('../', import.meta.url).pathname;
const RUN_ID_CHARS = 16;
/** How long deletions may go on when the server stops. */
const DELETE_GRACE_MS = 3000;
/** A container's log: ten files of 100 MiB, then the oldest goes. */
const LOG_MAX_FILES = 9;
const LOG_MAX_BYTES = 100n << 20n;
/** Started ahead unless a file says otherwise. */
const LAUNCHERS = 1;

function version(): string {
  const { version } = JSON.parse(readFileSync(`${PROJECT}package.json`, 'utf8')) as { version: string };
  return version;
}

/** @param isReady - whether a launcher waits, which has joined its groups. */
function buildCgroups(
  config: ServerConfig,
  { paths, instance }: Prepared,
  isReady: () => boolean,
): Engine['cgroups'] {
  const layout = readCgroupLayout();
  const isSystemd = config.cgroupDriver === 'systemd';
  if (isSystemd) requireSystemd();
  const folder = `/mydocker-${instance}`;
  const parent = config.cgroupParent ?? (isSystemd ? ownSlice(instance) : folder);
  const helpers = isSystemd ? folder : parent;
  const warmJoins = joinWarmer(layout);
  const parents = new CgroupParents(layout, helpers, `${paths.state}/cgroup-parents.json`);
  return {
    ...{ layout, parent, helpers },
    ...(isSystemd ? { systemd: createUnits() } : {}),
    warmJoins: () => {
      if (!isReady()) warmJoins();
    },
    prepare: (path) => parents.prepare(path),
    hold: (path) => parents.hold(path),
    reserve: (group, isOver) => parents.reserve(group, isOver),
    release: (path) => parents.release(path),
  };
}

function buildEngine(
  config: ServerConfig,
  prepared: Prepared,
  storage: Storage,
  store: Store,
  log: Logger,
): Engine {
  const { paths, instance } = prepared;
  const cgroups = buildCgroups(config, prepared, () => launchers.isReady);
  const { layout } = cgroups;
  const zygote = new Zygote({
    program: process.env['MYDOCKER_SHIM'] ?? `${PROJECT}build/mydocker-shim`,
    title: zygoteTitle(paths),
    titleLength: `mydocker-shim ${shimsFolder(paths)}/`.length + RUN_ID_CHARS,
  });
  const launchers = new Launchers({
    // Groups that wait cannot become a unit's.
    size: cgroups.systemd === undefined ? (config.launchers ?? LAUNCHERS) : 0,
    park: () => parkLauncher({ cgroups, paths, zygote, log }),
    log,
  });
  const program = hasDeviceProgram(layout)
    ? { deviceProgram: loadDeviceProgram(deviceProgram(DEFAULT_DEVICE_RULES)) }
    : {};
  const queues = new ObjectQueues();
  const blobs = createBlobStore(paths.root, config.keepsLayers);
  const launch = workerLauncher({ cgroups, paths, zygote, ...program }, WORKER_FD.directory);
  const { copyTree, fillTree } = createTreeCopier(launch);
  const limits = { ...ARCHIVE_LIMITS, ...config.archiveLimits };
  const layers = createLayerStore(paths.root, launch, log, limits);
  const ingest = createIngest(paths.root, launch, layers.removeFolder, limits);
  const registryLimits = config.registryLimits ?? REGISTRY_LIMITS;
  const registries = createRegistryAccess(
    config.registries ?? {},
    registryLimits,
    proxiesOf(config.proxies ?? {}, process.env),
  );
  const downloads = new Downloads(paths.root, registryLimits, log);
  return {
    config: { version: version(), logMaxFiles: LOG_MAX_FILES, logMaxBytes: LOG_MAX_BYTES },
    ...{ paths, instance, log, store, zygote, launchers, cgroups, queues, layers, blobs, ingest, ...program },
    ...{ registries, registryLimits, downloads },
    garbage: new Garbage({ store, queues, layers, blobs, log }),
    heldVolumes: new HeldVolumes(queues),
    memory: new MemoryVolumes(),
    ...{ copyTree, fillTree },
    storage,
    snapshotters: { overlay: overlaySnapshotter(paths.root), vfs: vfsSnapshotter(paths.root, copyTree) },
    networks: networkEngine({
      ...{ store, zygote, instance, log },
      isDefaultRoot: paths.root === DEFAULT_ROOT,
      pools: config.networkPools ?? DEFAULT_POOLS,
    }),
    runs: new Runs(),
    firstCopies: new FirstCopies(),
    host: readHostFacts(),
    bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  };
}

/**
 * What a client may leave unread before its connection makes the server wait: twice the widest window that clients
 * ask for. An end that waits to write does not read (node:http2 is so); where both ends do that, as with a client of
 * Node that sends as much as it gets, neither goes on.
 */
const UNREAD_BYTES = 16 << 20;

/** Everything up to the moment when clients are served. */
async function start(config: ServerConfig, log: Logger): Promise<{ engine: Engine; api: Api }> {
  const startedAt = nowNs();
  // What cannot be served is said before anything is touched.
  for (const address of config.listen) socketPath(address);
  const prepared = prepareFolders(config);
  const { root } = prepared.paths;
  // Its lock is what keeps a second server away, so that nothing is touched before it is held.
  const store = await openStore({
    root,
    recoverable: () => readRecoverable(root),
    highestSerial: highestSerial(root),
    log,
  });
  try {
    const storage = probeStorage(root, config.storageDriver);
    const engine = buildEngine(config, prepared, storage, store, log);
    await engine.layers.prepare();
    ensureInitLayer(root);
    await recover(engine);
    await restorePorts(engine);
    await recoverNetworks(engine);
    await sweepContainers(engine);
    await sweepVolumes(engine);
    await sweepImages(engine);
    const { listen, debug } = config;
    const api = createApi(engine, { startedAt, listen, debug }, log, (socket) =>
      widenSendBuffer(socket, UNREAD_BYTES),
    );
    watchNetworks(engine);
    for (const address of listen) await api.listen(address, prepared.socketGid);
    await store.events.append({ type: 'system.start', kind: 'system', id: '' }, { sync: false });
    return { engine, api };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Containers run on: their shims are nobody's children. */
async function stop({ engine, api }: { engine: Engine; api: Api }): Promise<void> {
  await api.stop();
  await engine.store.events.append({ type: 'system.stop', kind: 'system', id: '' }, { sync: false });
  // What is not deleted by then is deleted by the next server.
  const deleted = Promise.all([discardsDone(), engine.garbage.idle().then(() => engine.layers.idle())]);
  await Promise.race([deleted, sleep(DELETE_GRACE_MS, undefined, { ref: false })]);
  engine.registries.close();
  await engine.networks.resolver.stop();
  await engine.launchers.close();
  engine.zygote.close();
  await engine.store.close();
  await leaveOwnSlice(engine);
  removeCgroupParent(engine.cgroups.layout, engine.cgroups.helpers);
}

/** To a supervisor that asked for it. Source: sd_notify(3). */
function tell(state: string, log: Logger): void {
  const path = process.env['NOTIFY_SOCKET'];
  if (path === undefined || path === '') return;
  try {
    notify(path, state);
  } catch (err) {
    log.warn({ err, state }, 'the supervisor cannot be told');
  }
}

async function serve(config: ServerConfig): Promise<void> {
  const log = createLog({ debug: config.debug });
  // A promise that nobody waited for is a bug to be logged; the containers' server goes on.
  process.on('unhandledRejection', (err) =>
    log.error({ err }, 'a promise was rejected and nobody handled it'),
  );
  // Heeded once everything stands; clients can connect a moment before that.
  const asked = new Promise<string>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve);
  });
  const server = await start(config, log);
  const { paths, instance, storage } = server.engine;
  const { version } = server.engine.config;
  log.info({ listen: config.listen, ...paths, instance, version, storage }, 'listening');
  tell('READY=1', log);
  const signal = await asked;
  log.info({ signal }, 'stopping');
  tell('STOPPING=1', log);
  try {
    await stop(server);
    // An end at once does not write it.
    flushCompileCache();
    exitNow(0);
  } catch (err) {
    log.error({ err }, 'cannot stop in good order');
    exitNow(1);
  }
}

/** What went wrong before there was a server, for the one who started it. */
function complain(thrown: unknown, config?: ServerConfig): never {
  const error = toMydockerError(thrown);
  // An unknown error has its words in its cause only.
  const why = error.code === 'internal' && error.cause instanceof Error ? `: ${error.cause.stack}` : '';
  const hint = error.hint === undefined ? '' : `  hint: ${error.hint}\n`;
  const where = config === undefined ? '' : `  root: ${config.root}\n  state: ${config.state}\n`;
  process.stderr.write(`mydockerd: ${error.message}${why}\n${where}${hint}`);
  process.exit(1);
}

function read(): ReturnType<typeof parseInvocation> {
  try {
    configureFailpoints(process.env['MYDOCKER_FAILPOINTS']);
    return parseInvocation(process.argv.slice(2));
  } catch (thrown) {
    return complain(thrown);
  }
}

const invocation = read();
if (invocation.kind === 'serve')
  await serve(invocation.config).catch((thrown: unknown) => complain(thrown, invocation.config));
else process.stdout.write(invocation.kind === 'help' ? HELP : `mydockerd ${version()}\n`);
