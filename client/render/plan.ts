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

/** Column at which reasons begin, where the operation is short enough. */
const REASON_COLUMN = 64;

/** The plan as text, a section after the other. */
export function renderPlan({
  sections,
  serverSteps,
  formatVersion,
  sizeBytes,
}: ExplainContainerResponse): string {
  const server = serverSteps.map((step, index) => `${String(index + 1).padStart(4)}  ${printable(step)}\n`);
  const parts = [
    ...(server.length === 0 ? [] : [`server: the snapshot, the folders, the plan\n${server.join('')}`]),
    ...sections.map(renderSection),
    `plan format ${formatVersion}, ${sizeBytes} bytes\n`,
  ];
  return parts.join('\n');
}

function renderSection({ kind, operations }: PlanSection): string {
  const title = TITLES[kind] ?? `section ${kind}`;
  const lines = operations.map(({ index, name, text, why }) => {
    const operation = `${String(index).padStart(4)}  ${printable(text || name)}`;
    return `${why === '' ? operation : `${operation.padEnd(REASON_COLUMN)}  # ${printable(why)}`}\n`;
  });
  return `${title}\n${lines.join('')}`;
}
