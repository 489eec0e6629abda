/**
 * From what a client typed to the record it means; every operation on a container begins here.
 */
import type { ContainerRecord } from '../model/container.ts';
import { aborted, cannot, invalidArgument, notFound, quoteId } from '../model/error.ts';
import { resolveContainer } from '../model/resolve.ts';
import type { Engine } from './engine.ts';

/**
 * The container that a text means: id, name or unique prefix of an id, in this order.
 * @throws MydockerError `not-found`; `invalid-argument` when the text is empty or means several.
 */
export function findContainer(engine: Pick<Engine, 'store'>, text: string): ContainerRecord {
  const { containers } = engine.store;
  if (text === '') {
    throw invalidArgument('cannot find container: none was named', { reason: 'CONTAINER_MISSING' });
  }
  const id = resolveContainer(text, { ids: containers.ids(), idByName: (name) => containers.idByName(name) });
  const record = containers.get(id);
  if (record === undefined) throw notFound('container', text);
  return record;
}

/**
 * Refuses a change that was meant for another state of the container.
 * @param expected - rev that the client saw; 0n is "whatever".
 * @throws MydockerError `aborted`, reason REV_MISMATCH.
 */
export function expectRev(verb: string, record: ContainerRecord, expected: bigint): void {
  if (expected === 0n || record.rev === expected) return;
  throw aborted(`cannot ${verb} container ${record.name}: it was changed meanwhile`, {
    reason: 'REV_MISMATCH',
    hint: 'read it again, then decide again',
    metadata: { container: record.id, expected: String(expected), rev: String(record.rev) },
  });
}

/**
 * Refuses what was meant for a run that is over.
 * @param runId - of the container's own run or of an exec; `''` is whichever runs.
 * @throws MydockerError `failed-precondition`, reason RUN_OVER.
 */
export function expectRun(
  engine: Pick<Engine, 'runs'>,
  verb: string,
  record: ContainerRecord,
  runId: string,
): void {
  if (runId === '' || engine.runs.get(runId)?.containerId === record.id) return;
  throw cannot('failed-precondition', verb, 'container', record.name, `run ${quoteId(runId)} is over`, {
    reason: 'RUN_OVER',
    hint: 'the container may have been started again; look at its present run',
    metadata: { container: record.id, run_id: quoteId(runId) },
  });
}
