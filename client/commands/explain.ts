/** `mydocker explain`, and `--explain` of create and run: prints a launch plan and runs nothing. */
import {
  type CreateContainerRequest,
  ExplainContainerRequest,
} from '../../proto/gen/mydocker/v1/containers.ts';
import { explainContainer } from '../api/containers.ts';
import type { Context } from '../context.ts';
import type { Action } from '../grammar/command.ts';
import type { EXPLAIN_OPTIONS } from '../grammar/command-options.ts';
import { print } from '../output.ts';
import { renderPlan } from '../render/plan.ts';

type Subject = NonNullable<Parameters<typeof ExplainContainerRequest.create>[0]>['subject'];

export const explain: Action<typeof EXPLAIN_OPTIONS> = async ({ options, positionals }, context) => {
  const [container = '', ...words] = positionals;
  const args = words[0] === '--' ? words.slice(1) : words;
  const subject: Subject =
    args.length === 0
      ? { $case: 'container', value: container }
      : { $case: 'exec', value: { container, process: { args } } };
  return await showPlan(context, subject, options.showEnv ?? false);
};

/** Prints the plan of a container that is not created. @returns the exit status. */
export async function explainCreate(
  context: Context,
  request: CreateContainerRequest,
  showValues: boolean,
): Promise<number> {
  return await showPlan(context, { $case: 'create', value: request }, showValues);
}

async function showPlan(context: Context, subject: Subject, showValues: boolean): Promise<number> {
  const request = ExplainContainerRequest.create({ subject, showValues });
  print(renderPlan(await context.connect().unary(explainContainer, request)));
  return 0;
}
