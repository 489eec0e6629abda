/** Launchers of this server's containers: where they wait, and what goes should one die before its start. */
import { existsSync } from 'node:fs';
import { planWaitingGroups } from '../cgroup/cgroup-plan.ts';
import { reapCgroup } from '../cgroup/reap.ts';
import type { ContainerConfig } from '../model/container.ts';
import { newRunId } from '../model/ids.ts';
import type { OciSpec } from '../model/oci-spec.ts';
import type { NetworkPart } from '../model/plan.ts';
import type { DeviceRule } from '../model/resources.ts';
import { loopbackUp } from '../network/loopback.ts';
import { LAUNCHER_NAMESPACES, planParking } from '../spec/park-plan.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import type { Launcher, Parked } from '../task/launchers.ts';
import { type Engine, launcherTitle } from './engine.ts';

type Host = Pick<Engine, 'cgroups' | 'paths' | 'zygote' | 'log'>;

/**
 * Starts a launcher in groups of its own below the server's parent.
 * @throws MydockerError `unavailable` when no zygote takes it, `failed-precondition` where no groups can be made.
 */
export function parkLauncher({ cgroups, paths, zygote, log }: Host): Parked {
  const { layout, parent } = cgroups;
  cgroups.prepare();
  const cgroupPath = `${parent}/launcher-${newRunId()}`;
  const plan = planParking(launcherTitle(paths), planWaitingGroups(layout, cgroupPath), [loopbackUp]);
  const connection = zygote.launch(encodePlan(plan), []);
  const clear = async (): Promise<void> => {
    // Once they are named after a container they are that one's.
    if (await connection.created.then(() => true).catch(() => false)) return;
    if (!layout.hierarchies.some(({ path }) => existsSync(`${path}${cgroupPath}`))) return;
    await reapCgroup(layout, cgroupPath);
  };
  // Where its shim could not do it.
  void connection.closed.then(clear).catch((err: unknown) => {
    log.error({ err, cgroupPath }, 'groups of a launcher stay until the next start of the server');
  });
  return { connection, cgroupPath };
}

/** The network of a container that a launcher starts: what that one has done is not done again. */
export const networkBehind = (launcher: Launcher | undefined, network: NetworkPart): NetworkPart =>
  launcher === undefined
    ? network
    : { ...network, child: network.child.filter((operation) => operation !== loopbackUp) };

/**
 * A launcher that fits: below the server's parent, for a container that has all its namespaces to itself, and may use
 * all the usual devices: rules are never taken away from a process that is making its devices.
 */
export function takeLauncher(
  { launchers }: Pick<Engine, 'launchers'>,
  { cgroupParent }: ContainerConfig,
  { linux: { namespaces } }: OciSpec,
  rules: readonly DeviceRule[],
): Launcher | undefined {
  const fits =
    cgroupParent === undefined &&
    rules.every(({ allow }) => allow) &&
    [...LAUNCHER_NAMESPACES, 'pid' as const].every((kind) => namespaces.includes(kind));
  return fits ? launchers.take() : undefined;
}
