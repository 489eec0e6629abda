/**
 * From a container's configuration to the OCI runtime specification: defaults joined with what was asked for.
 * Pure; the launch plan is made from the result and from nothing else.
 */
import type { ContainerConfig } from '../model/container.ts';
import type { OciDevice, OciNamespace, OciProcess, OciSpec } from '../model/oci-spec.ts';
import type { Credentials } from '../model/user-spec.ts';
import {
  DEFAULT_CAPABILITIES,
  DEFAULT_DEVICES,
  DEFAULT_NAMESPACES,
  DEFAULT_PATH,
  type HostFacts,
  NETWORK_SYSCTLS,
} from './defaults.ts';
import { withUlimits } from './rlimits.ts';
import { defaultMounts, isSlave, userMounts } from './spec-mounts.ts';

/** Of the runtime specification that is written here. */
export const OCI_VERSION = '1.2.0';

const hasKey = (env: readonly string[], key: string): boolean =>
  env.some((entry) => entry.startsWith(`${key}=`));

/** PATH, HOSTNAME, TERM (on a terminal) and HOME are there, as with Docker, unless somebody set them. */
export function completeEnv(
  env: readonly string[],
  facts: { readonly hostname: string; readonly home: string; readonly terminal: boolean },
): string[] {
  const out: string[] = [];
  if (!hasKey(env, 'PATH')) out.push(DEFAULT_PATH);
  if (!hasKey(env, 'HOSTNAME')) out.push(`HOSTNAME=${facts.hostname}`);
  if (facts.terminal && !hasKey(env, 'TERM')) out.push('TERM=xterm');
  out.push(...env);
  if (!hasKey(env, 'HOME')) out.push(`HOME=${facts.home}`);
  return out;
}

/**
 * @param user - who the process is, looked up in the image.
 * @param cgroupsPath - of this container.
 * @param host - what this machine decides.
 * @param devices - of the host's, beside the usual ones.
 */
export function buildSpec(
  config: Parameters<typeof userMounts>[0],
  user: Credentials,
  cgroupsPath: string,
  host: HostFacts,
  devices: readonly OciDevice[] = [],
): OciSpec {
  const ownNetwork = config.network !== 'host' && config.network !== 'container';
  const shared: Partial<Record<OciNamespace, unknown>> = config.namespaces ?? {};
  const { terminal, hostname } = config;
  return {
    ociVersion: OCI_VERSION,
    hostname,
    process: {
      terminal,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
      args: config.args,
      env: completeEnv(config.env, { hostname, home: user.home, terminal }),
      cwd: config.workingDir,
      capabilities: config.privileged === true ? host.capabilities : DEFAULT_CAPABILITIES,
      rlimits: withUlimits(host.rlimits, config.ulimits),
      noNewPrivileges: false,
      ...oomScoreOf(config),
    },
    root: { readonly: config.readOnlyRootfs },
    mounts: [...defaultMounts(config), ...userMounts(config)],
    linux: {
      namespaces: DEFAULT_NAMESPACES.filter((name) =>
        name === 'network' ? ownNetwork : shared[name] === undefined,
      ),
      cgroupsPath,
      devices: withDevices(devices),
      maskedPaths: config.privileged === true ? [] : host.maskedPaths,
      readonlyPaths: config.privileged === true ? [] : host.readonlyPaths,
      sysctl: { ...(ownNetwork ? NETWORK_SYSCTLS : {}), ...config.sysctls },
      rootfsPropagation: config.mounts.some(isSlave) ? 'rslave' : 'rprivate',
    },
  };
}

const oomScoreOf = ({ oomScoreAdj }: ContainerConfig): Pick<OciProcess, 'oomScoreAdj'> =>
  oomScoreAdj === undefined ? {} : { oomScoreAdj };

/** A device of the host may stand in the place of a usual one. */
function withDevices(devices: readonly OciDevice[]): readonly OciDevice[] {
  if (devices.length === 0) return DEFAULT_DEVICES;
  return [...new Map([...DEFAULT_DEVICES, ...devices].map((device) => [device.path, device])).values()];
}

/** What an additional process may choose for itself. */
export interface ExecChoice {
  /** argv, at least one element. */
  readonly args: readonly string[];
  /** `KEY=VALUE`, added to the container's. */
  readonly env: readonly string[];
  /** Default: the container's. */
  readonly workingDir?: string | undefined;
  /** Default: the container's. */
  readonly user?: string | undefined;
  readonly terminal: boolean;
  /** All capabilities that the server has. Default: the container's. */
  readonly privileged?: boolean;
}

/** The last one of a key wins, in the place of the first: getenv(3) would find the first of two. */
function joinEnv(entries: readonly string[]): string[] {
  return [...new Map(entries.map((entry) => [entry.split('=', 1)[0], entry])).values()];
}

/**
 * An additional process: the container's settings where it has no own.
 * @param userOf - looks a user up in the container.
 */
export function buildExecProcess(
  config: ContainerConfig,
  choice: ExecChoice,
  host: HostFacts,
  userOf: (user: string) => Credentials,
): OciProcess {
  const user = userOf(choice.user ?? config.user);
  const { terminal } = choice;
  return {
    terminal,
    user: { uid: user.uid, gid: user.gid, additionalGids: user.groups },
    args: choice.args,
    env: completeEnv(joinEnv([...config.env, ...choice.env]), {
      hostname: config.hostname,
      home: user.home,
      terminal,
    }),
    cwd: choice.workingDir ?? config.workingDir,
    capabilities:
      choice.privileged === true || config.privileged === true ? host.capabilities : DEFAULT_CAPABILITIES,
    rlimits: withUlimits(host.rlimits, config.ulimits),
    noNewPrivileges: false,
    ...oomScoreOf(config),
  };
}
