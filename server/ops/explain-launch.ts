/** What a start would do, step by step, without doing any of it. */
import type { ContainerConfig } from '../model/container.ts';
import { newId } from '../model/ids.ts';
import { type Plan, SECTIONS, type Section } from '../model/plan.ts';
import { explainOp } from '../spec/explain.ts';
import type { Engine } from './engine.ts';
import { findContainer } from './find-container.ts';
import { type Launchable, prepareLaunch } from './prepare-launch.ts';

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
  readonly text: string;
  readonly sections: readonly { readonly name: Section; readonly steps: readonly ExplainedStep[] }[];
}

const HEADINGS: Readonly<Record<Section, string>> = {
  'parent-before': 'the shim, before the clone',
  'parent-after': 'the shim, after the clone',
  child: 'the new process',
  'after-exit': 'the shim, when the process has ended',
};

/** Clear of any run: nothing is made in its name. */
const EXAMPLE_RUN_ID = '0000000000000000';

function explain(plan: Plan, showEnv: boolean): Explanation {
  const sections = SECTIONS.map((name) => ({
    name,
    steps: plan.sections[name].map((op, index) => ({
      index,
      name: op.name,
      about: op.about,
      detail: explainOp(op, showEnv),
    })),
  }));
  const lines = sections.flatMap(({ name, steps }) => [
    `${name}: ${HEADINGS[name]}`,
    ...steps.map((s) => `  ${String(s.index).padStart(3)}  ${s.about.padEnd(48)}  ${s.detail}`),
    '',
  ]);
  return { sections, text: lines.join('\n') };
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
  const { plan } = prepareLaunch(engine, launchable, EXAMPLE_RUN_ID, { rows: 0, columns: 0 });
  return explain(plan, showEnv);
}
