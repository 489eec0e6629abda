/**
 * docs/start.md tells the steps of a start, and is believed only because this test compares its tables with the
 * plans that the code makes: each operation that is used is explained, in the section and the order it runs in.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { OP_NAMES, type Plan, SECTIONS, type Section } from '../../server/model/plan.ts';
import { PROJECT } from '../harness/cli.ts';
import { allPlans, LAYOUTS, launchPlan } from '../unit/spec/sample-plans.ts';

const PAGE = join(PROJECT, 'docs/start.md');

/** Names in the first column of each table of operations, by the heading above it, in order. */
function operationsBySection(page: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let heading = '';
  let inTable = false;
  for (const line of page.split('\n')) {
    if (line.startsWith('#')) heading = line.replace(/^#+ */, '');
    if (!line.startsWith('|')) inTable = false;
    if (/^\| *operation *\|/.test(line)) inTable = true;
    if (!inTable) continue;
    const [, column = ''] = line.split('|');
    const names = [...column.matchAll(/`([a-z-]+)`/g)].map(([, name = '']) => name);
    found.set(heading, [...(found.get(heading) ?? []), ...names]);
  }
  return found;
}

const firsts = (names: readonly string[]): string[] => [...new Set(names)];

/** What is missing of a plan's operations in a section. */
const missing = (plan: Plan, section: Section, told: readonly string[]): string[] =>
  firsts(plan.sections[section].map(({ name }) => name)).filter((name) => !told.includes(name));

test('docs/start.md has the tables of operations', () => {
  assert.ok(existsSync(PAGE), 'docs/start.md is missing: it must tell every step of a start');
  const sections = operationsBySection(readFileSync(PAGE, 'utf8'));
  for (const section of SECTIONS)
    assert.ok((sections.get(section)?.length ?? 0) > 0, `no table below "${section}"`);
});

test('docs/start.md speaks of operations that exist', () => {
  for (const [heading, names] of operationsBySection(readFileSync(PAGE, 'utf8')))
    for (const name of names)
      assert.ok((OP_NAMES as readonly string[]).includes(name), `${heading}: ${name}`);
});

test('every operation of a start is told in the table of its section', () => {
  const told = operationsBySection(readFileSync(PAGE, 'utf8'));
  for (const [kind, plan] of allPlans())
    if (kind.startsWith('start'))
      for (const section of SECTIONS)
        assert.deepEqual(missing(plan, section, told.get(section) ?? []), [], `${kind}, ${section}`);
});

test('every operation of other plans is told somewhere', () => {
  const told = [...operationsBySection(readFileSync(PAGE, 'utf8')).values()].flat();
  for (const [kind, plan] of allPlans())
    for (const section of SECTIONS) assert.deepEqual(missing(plan, section, told), [], `${kind}, ${section}`);
});

/** The longest part of the page's list that a plan follows, step by step, is all of the plan. */
test('the steps of the child are told in the order in which they run', () => {
  const told = operationsBySection(readFileSync(PAGE, 'utf8')).get('child') ?? [];
  for (const layout of Object.values(LAYOUTS)) {
    const plan = launchPlan({
      layout,
      config: { terminal: true, readOnlyRootfs: true, network: 'networks' },
    });
    const order = firsts(told);
    const run = firsts(plan.sections.child.map(({ name }) => name));
    const places = run.map((name) => order.indexOf(name));
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
      `${run.join(' ')}\nbut told: ${order.join(' ')}`,
    );
  }
});
