/** What every prune is asked: how old, with which labels. */
import { type LabelCondition, labelsMatch } from './list-containers.ts';

/** Which objects to look at. */
export interface PruneFilter {
  /** ns since epoch; absent: whenever. */
  readonly createdBefore?: bigint;
  readonly labels: readonly LabelCondition[];
}

/** Whether an object is one that was asked for. */
export function isMeant(
  { createdBefore, labels }: PruneFilter,
  object: { readonly createdAt: bigint; readonly labels: Readonly<Record<string, string>> },
): boolean {
  return (
    (createdBefore === undefined || object.createdAt < createdBefore) && labelsMatch(object.labels, labels)
  );
}
