/**
 * Writes plans of every kind where scripts/fuzz.sh begins its search, and runs a short search of its own, so that
 * the reader of plans is tried with damaged ones in every test run.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { encodePlan } from '../../../server/spec/plan-codec.ts';
import { PROJECT } from '../../harness/cli.ts';
import { compileC } from '../../harness/compile-c.ts';
import { allPlans } from './sample-plans.ts';

const CORPUS = join(PROJECT, 'build/fuzz/plan');
const SECONDS = Number(process.env['MYDOCKER_FUZZ_SECONDS'] ?? 3);
/** The same search each time, so that a failure can be seen again. */
const SEED = 20_261_122;

test('damaged plans do the reader no harm', () => {
  mkdirSync(CORPUS, { recursive: true });
  const files = [...allPlans().values()].map((plan) => {
    const bytes = encodePlan(plan);
    const file = join(CORPUS, createHash('sha1').update(bytes).digest('hex'));
    writeFileSync(file, bytes);
    return file;
  });
  const program = compileC(
    'mutate-plan',
    readFileSync(join(PROJECT, 'test/unit/spec/mutate.c'), 'utf8'),
    ['shim/plan.c', 'test/fuzz/plan.c'],
    ['-O2', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
  );
  const output = execFileSync(program, [String(SECONDS), String(SEED), ...files], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  assert.ok(Number(output) > 1000 * SECONDS, `only ${output} plans were tried`);
});
