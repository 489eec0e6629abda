/** mydocker.v1.ContainersService: decode, one operation, encode. */
import {
  type ContainersServiceDefinition,
  type ExplainContainerRequest,
  type ExplainContainerResponse,
  PlanSectionKind,
} from '../../proto/gen/mydocker/v1/containers.ts';
import { invalidArgument } from '../model/error.ts';
import { createContainer, planContainer } from '../ops/create-container.ts';
import { containerBytes } from '../ops/disk-usage.ts';
import type { Engine } from '../ops/engine.ts';
import { type Explanation, explainExec, explainLaunch } from '../ops/explain-launch.ts';
import { getContainer } from '../ops/get-container.ts';
import { listContainers } from '../ops/list-containers.ts';
import { pruneContainers } from '../ops/prune-containers.ts';
import { removeContainer } from '../ops/remove-container.ts';
import { renameContainer } from '../ops/rename-container.ts';
import { versions } from '../ops/system-info.ts';
import { updateContainer } from '../ops/update-container.ts';
import { decodeConfig } from './decode-config.ts';
import { decodeContainerFilter, decodePrune } from './decode-filter.ts';
import { decodeProcess, sizeOrUsual } from './decode-task.ts';
import { decodeUpdate } from './decode-update.ts';
import { encodeContainer, encodeSize, encodeSummary, summarySize } from './encode-container.ts';
import { encodeExit } from './encode-run.ts';
import type { Implementation } from './handlers.ts';
import { pages } from './streams.ts';

export function containersService(engine: Engine): Implementation<typeof ContainersServiceDefinition> {
  return {
    createContainer: async ({ name, config }) => {
      const { record, warnings } = await createContainer(engine, { name, options: decodeConfig(config) });
      return { id: record.id, name: record.name, rev: record.rev, warnings };
    },
    getContainer: async ({ container, size }, { signal }) => {
      const details = getContainer(engine, container);
      const [bytes] = size ? await containerBytes(engine, [details.record], signal) : [];
      return { container: { ...encodeContainer(details), size: encodeSize(bytes) } };
    },
    async *listContainers(request, { signal }) {
      const filter = decodeContainerFilter(request);
      const found = filter === undefined ? [] : listContainers(engine, filter);
      const bytes = request.size ? await containerBytes(engine, found, signal) : [];
      const summaries = found.map((record, index) => ({
        ...encodeSummary(engine, record),
        size: encodeSize(bytes[index]),
      }));
      for (const containers of pages(summaries, summarySize)) yield { containers };
    },
    removeContainer: async ({ container, force, volumes, expectedRev }, { signal }) => {
      const { id, exit } = await removeContainer(engine, {
        container,
        force,
        volumes,
        expectedRev,
        abort: signal,
      });
      return { id, exit: exit === undefined ? undefined : encodeExit(exit.runId, exit.exit) };
    },
    renameContainer: async ({ container, newName, expectedRev }) => {
      const { id, rev } = await renameContainer(engine, { container, newName, expectedRev });
      return { id, rev };
    },
    updateContainer: async (request) => {
      const { id, rev } = await updateContainer(engine, decodeUpdate(request));
      return { id, rev, warnings: [] };
    },
    pruneContainers: ({ filter }, { signal }) =>
      pruneContainers(engine, { ...decodePrune(filter), abort: signal }),
    explainContainer: (request) => explain(engine, request),
  };
}

const SECTION = {
  'parent-before': PlanSectionKind.PARENT_BEFORE,
  'parent-after': PlanSectionKind.PARENT_AFTER,
  child: PlanSectionKind.CHILD,
  'after-exit': PlanSectionKind.AFTER_EXIT,
} as const;

async function explain(
  engine: Engine,
  { subject, showValues }: ExplainContainerRequest,
): Promise<ExplainContainerResponse> {
  if (subject === undefined)
    throw invalidArgument('cannot explain: no subject was given', { reason: 'SUBJECT_MISSING' });
  const { sections, serverSteps, sizeBytes, specJson } = await explanationOf(engine, subject, showValues);
  return {
    sections: sections.map(({ name, steps }) => ({
      kind: SECTION[name],
      operations: steps.map(({ index, name, about, detail }) => ({
        index,
        name,
        text: detail,
        arguments: {},
        why: about,
      })),
    })),
    ociSpecJson: specJson,
    formatVersion: versions(engine).planFormat,
    sizeBytes,
    serverSteps,
  };
}

type Subject = NonNullable<ExplainContainerRequest['subject']>;

async function explanationOf(engine: Engine, subject: Subject, showEnv: boolean): Promise<Explanation> {
  switch (subject.$case) {
    case 'container':
      return await explainLaunch(engine, { container: subject.value }, showEnv);
    case 'create':
      return await explainLaunch(
        engine,
        await planContainer(engine, decodeConfig(subject.value.config)),
        showEnv,
      );
    case 'exec': {
      const { container, process } = subject.value;
      const terminalSize = sizeOrUsual(undefined);
      return explainExec(engine, { container, terminalSize, ...decodeProcess(process) }, showEnv);
    }
  }
}
