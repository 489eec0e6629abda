/** What a start would do, step by step, without doing any of it. */
import type { ContainerConfig } from '../model/container.ts';
import { newId } from '../model/ids.ts';
import type { OciSpec } from '../model/oci-spec.ts';
import { SECTIONS, type Section } from '../model/plan.ts';
import { explainOp } from '../spec/explain.ts';
import { encodePlan } from '../spec/plan-codec.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';
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
  /** The OCI runtime specification behind the plan, as JSON. */
  readonly specJson: string;
  readonly sections: readonly { readonly name: Section; readonly steps: readonly ExplainedStep[] }[];
}

/** Clear of any run: nothing is made in its name. */
const EXAMPLE_RUN_ID = '0000000000000000';

/** Values may be secrets; keys are not. */
function specJson(spec: OciSpec, showEnv: boolean): string {
  const env = showEnv ? spec.process.env : spec.process.env.map((entry) => entry.replace(/=.*$/s, '=…'));
  const shown = { ...spec, process: { ...spec.process, env } };
  return JSON.stringify(shown, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value));
}

function explain({ plan, spec }: PreparedLaunch, showEnv: boolean): Explanation {
  const sections = SECTIONS.map((name) => ({
    name,
    steps: plan.sections[name].map((op, index) => ({
      index,
      name: op.name,
      about: op.about,
      detail: explainOp(op, showEnv),
    })),
  }));
  return { sections, sizeBytes: encodePlan(plan).length, specJson: specJson(spec, showEnv) };
}

/**
 * @param subject - a container that exists, or the configuration of one that does not.
 * @param showEnv - else the values of the environment are left out.
 * @throws MydockerError as a start that fails before its first step.
 */
export function explainLaunch(
  engine: Engine,
  subject:
    | { readonly container: string }
    | { readonly config: ContainerConfig; readonly layers: readonly bigint[] },
  showEnv: boolean,
): Explanation {
  const launchable: Launchable =
    'container' in subject ? findContainer(engine, subject.container) : { id: newId(), ...subject };
  return explain(prepareLaunch(engine, launchable, EXAMPLE_RUN_ID, { rows: 0, columns: 0 }), showEnv);
}
