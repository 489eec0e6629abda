/** What a start would do, step by step, without doing any of it. */
import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import type { ContainerConfig } from '../model/container.ts';
import { newId } from '../model/ids.ts';
import type { Attachment } from '../model/network.ts';
import type { OciProcess } from '../model/oci-spec.ts';
import { type Op, type Plan, SECTIONS, type Section, SLOT_BASE } from '../model/plan.ts';
import { scopeName, sliceOf } from '../model/unit.ts';
import { describeMessage } from '../network/describe-message.ts';
import { OCI_VERSION } from '../spec/build-spec.ts';
import { explainOp } from '../spec/explain.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import { takePlaces } from './container-places.ts';
import { containerFolder, type Engine, runFolder } from './engine.ts';
import { findContainer } from './find-container.ts';
import { type ExecRequest, prepareExec } from './prepare-exec.ts';
import { type Launchable, type PreparedLaunch, prepareLaunch } from './prepare-launch.ts';

export interface ExplainedStep {
  readonly index: number;
  /** Operation: `mount`. */
  readonly name: string;
  /** What it is for: `mount /proc`. */
  readonly about: string;
  /** The call, readably: `mount("proc", slot 7, "proc", nosuid|nodev|noexec, "")`. */
  readonly detail: string;
}

export interface Explanation {
  /** Of the plan as it would be handed over. */
  readonly sizeBytes: number;
  /** What is behind the plan, as JSON: an OCI runtime specification; of an additional process its process alone. */
  readonly specJson: string;
  /** What the server does before and after the plan, in order, in words. */
  readonly serverSteps: readonly string[];
  readonly sections: readonly { readonly name: Section; readonly steps: readonly ExplainedStep[] }[];
}

/** Clear of any run: nothing is made in its name. */
const EXAMPLE_RUN_ID = '0000000000000000';

/** Values may be secrets; keys are not. */
function shownProcess(process: OciProcess, showEnv: boolean): OciProcess {
  return showEnv ? process : { ...process, env: process.env.map((entry) => entry.replace(/=.*$/s, '=…')) };
}

const toJson = (value: object): string =>
  JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? Number(item) : item));

/** A message in the words of ip(8), with what is patched in; anything else as the call that it becomes. */
function detailOf(op: Op, showEnv: boolean): string {
  if (op.name !== 'netlink' || !(op.s1 instanceof Uint8Array)) return explainOp(op, showEnv);
  return describeMessage(op.s1, {
    ...(typeof op.s2 === 'string' ? { index: op.s2 } : {}),
    ...(op.a === undefined ? {} : { descriptor: `fd ${SLOT_BASE + op.a}` }),
  });
}

function sectionsOf(plan: Plan, showEnv: boolean): Explanation['sections'] {
  return SECTIONS.map((name) => ({
    name,
    steps: plan.sections[name].map((op, index) => ({
      index,
      name: op.name,
      about: op.about,
      detail: detailOf(op, showEnv),
    })),
  }));
}

/** Where systemd keeps the groups. */
function unitSteps({ cgroups }: Engine, id: string, { cgroupParent }: ContainerConfig): string[] {
  if (cgroups.systemd === undefined) return [];
  const slice = sliceOf(cgroupParent ?? cgroups.parent) ?? '';
  return [
    `ask systemd for the unit ${scopeName(id)} below ${slice}, with the limits as its properties and a process that keeps it until the shim ends`,
  ];
}

function explain(
  engine: Engine,
  { id, config, endpoints = [] }: Launchable,
  { plan, spec, cgroupPath, runFolder }: PreparedLaunch,
  showEnv: boolean,
): Explanation {
  const sections = sectionsOf(plan, showEnv);
  const sizeBytes = encodePlan(plan).length;
  // The numbered steps of start-task.ts.
  const missing = config.mounts.filter(({ source }) => !existsSync(source));
  const { uid, gid } = spec.process.user;
  const serverSteps = [
    'look whether its status allows a start',
    `decide: user ${config.user === '' ? 'root' : config.user} is ${uid}:${gid}, cgroup ${cgroupPath}, this plan`,
    ...unitSteps(engine, id, config),
    `make ${posix.dirname(cgroupPath)} in the cgroup trees, and ${containerFolder(engine.paths, id)}, where they are missing`,
    ...missing.map(({ source, destination }) => `make the folder ${source}, to be mounted at ${destination}`),
    ...endpoints.map(
      ({ ipv4 }) =>
        `make the bridge and the rules of its network where they are missing; its address is ${ipv4}`,
    ),
    `hand the plan, ${sizeBytes} bytes, to the zygote, which forks a shim with the folder ${runFolder}; or to a launcher that waits and fits: groups that it has joined are then renamed, not made and joined`,
    'meanwhile write down that it starts: synced, and before anything of the user’s can run',
    'commit: from here the shim outlives the server, and opens the start gate when the process exists',
    'wait until the process exists with everything mounted, then until its program is executed',
    'write down that it runs, with its pid, and wait for its end',
    `after its end: record how it ended, remove the cgroup and ${runFolder}${config.autoRemove ? ', then the container' : ''}`,
  ];
  return {
    sections,
    serverSteps,
    sizeBytes,
    specJson: toJson({ ...spec, process: shownProcess(spec.process, showEnv) }),
  };
}

/**
 * @param subject - a container that exists, or the configuration of one that does not.
 * @param showEnv - else the values of the environment are left out.
 * @throws MydockerError as a start that fails before its first step.
 */
export async function explainLaunch(
  engine: Engine,
  subject:
    | { readonly container: string }
    | {
        readonly config: ContainerConfig;
        readonly layers: readonly bigint[];
        readonly attachments: readonly Attachment[];
      },
  showEnv: boolean,
): Promise<Explanation> {
  const found: Launchable =
    'container' in subject ? findContainer(engine, subject.container) : { id: newId(), ...subject };
  // The address that it would get now; it is not kept.
  using places = await takePlaces(engine, found, 'container' in subject ? [] : subject.attachments);
  const launchable = places.endpoints === undefined ? found : { ...found, endpoints: places.endpoints };
  using prepared = prepareLaunch(engine, launchable, EXAMPLE_RUN_ID, { rows: 0, columns: 0 });
  return explain(engine, launchable, prepared, showEnv);
}

/**
 * What an exec would do.
 * @throws MydockerError as an exec that fails before its first step.
 */
export function explainExec(engine: Engine, request: ExecRequest, showEnv: boolean): Explanation {
  const { record, init, process, plan } = prepareExec(engine, request, EXAMPLE_RUN_ID);
  const sizeBytes = encodePlan(plan).length;
  const folder = runFolder(engine.paths, EXAMPLE_RUN_ID);
  // As in exec-task.ts.
  const serverSteps = [
    'look whether the container runs',
    `decide: user ${process.user.uid}:${process.user.gid}, environment, working directory, this plan`,
    `open process ${init.pid}, the container's first, and see that it is still the same one`,
    'make a pair of sockets for its stdio, so that a client is there before its first byte',
    `hand the plan, ${sizeBytes} bytes, to the zygote, which forks a shim with the folder ${folder}`,
    'commit: from here the shim outlives the server; nothing is written down, as it ends with the container',
    'wait until the process exists, then until its program is executed',
    `after its end: tell who waits for it, remove ${folder}`,
  ];
  return {
    sections: sectionsOf(plan, showEnv),
    serverSteps,
    sizeBytes,
    specJson: toJson({
      ociVersion: OCI_VERSION,
      process: shownProcess(process, showEnv),
      linux: { cgroupsPath: record.run?.cgroupPath ?? '' },
    }),
  };
}
