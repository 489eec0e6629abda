/** A launch plan for reading: what the server does, then every operation in order, each with its reason. */
import {
  type ExplainContainerResponse,
  type PlanSection,
  PlanSectionKind,
} from '../../proto/gen/mydocker/v1/containers.ts';
import { printable } from './printable.ts';

const TITLES: Readonly<Record<number, string>> = {
  [PlanSectionKind.PARENT_BEFORE]: 'parent-before: the shim, before it clones the process',
  [PlanSectionKind.PARENT_AFTER]: 'parent-after: the shim, from the clone on',
  [PlanSectionKind.CHILD]: 'child: the process itself, up to its exec',
  [PlanSectionKind.AFTER_EXIT]: 'after-exit: the shim, when the process has ended',
};

/** Column at which system calls begin, where the words before them are short enough. */
const CALL_COLUMN = 48;

/** The plan as text, a section after the other: what each operation is for, then the system call. */
export function renderPlan(plan: ExplainContainerResponse): string {
  const { sections, serverSteps, formatVersion, sizeBytes } = plan;
  const server = serverSteps.map((step, index) => `${position(index + 1)}${show(step)}\n`);
  const size = sizeBytes === 0 ? '' : `, ${sizeBytes} bytes`;
  const parts = [
    ...(server.length === 0 ? [] : [`server: before and after the plan\n${server.join('')}`]),
    ...sections.map(renderSection),
    `plan format ${formatVersion}${size}\n`,
  ];
  return parts.join('\n');
}

function renderSection({ kind, operations }: PlanSection): string {
  const lines = operations.map(({ index, name, text, why }) => {
    const words = show(why === '' ? name : why);
    return `${position(index)}${words.padEnd(CALL_COLUMN)}  ${show(text)}`.trimEnd();
  });
  return `${TITLES[kind] ?? `section ${kind}`}\n${lines.map((line) => `${line}\n`).join('')}`;
}

function position(index: number): string {
  return `${String(index).padStart(4)}  `;
}

/** Ids are cut as everywhere, or their paths would fill the screen. */
function show(text: string): string {
  return printable(text).replaceAll(/(?<![0-9a-f])([0-9a-f]{12})[0-9a-f]{52}(?![0-9a-f])/g, '$1…');
}
