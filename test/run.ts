/**
 * Runs the tests: an explicit list of files, because a pattern that matches nothing would be a success. Says at the
 * end how many there were, how many were skipped, and whether the machine is as it was.
 *
 *   scripts/node.sh test/run.ts [PATH...]     all, or only the files at and below the paths
 */
import { randomBytes } from 'node:crypto';
import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { FIXTURES, fixtureTar } from './fixtures/images.ts';
import { servicesArchive } from './fixtures/services-image.ts';
import { removeLeftovers } from './harness/clean.ts';
import { FILE_TIMEOUT_MS, PROJECT } from './harness/cli.ts';
import {
  cgroupMounts,
  compareSnapshots,
  listLinks,
  listMounts,
  listProcesses,
  listRules,
} from './harness/leaks.ts';

/** Each kind of test must have files: a moved folder would else pass. The quick ones come first. */
const KINDS: Readonly<Record<string, string>> = {
  arch: 'test/arch/**/*.test.ts',
  unit: 'test/unit/**/*.test.ts',
  harness: 'test/harness/**/*.test.ts',
  integration: 'test/integration/**/*.test.ts',
};

/** How many tests may be skipped on a machine that lacks something; a test that is skipped proves nothing. */
const SKIP_BUDGET = 'test/skip-budget.json';

/** What this run may not change on the machine. Names of other runs are not ours to judge. */
function machine(mark: string): Record<string, string[]> {
  return {
    mounts: listMounts('self').sort(),
    links: listLinks().sort(),
    rules: listRules(),
    cgroups: cgroupMounts()
      .flatMap((mount) => readdirSync(mount).map((name) => join(mount, name)))
      .filter((path) => path.includes(mark)),
    processes: listProcesses()
      .map(({ pid, command }) => `${pid} ${command}`)
      .filter((line) => line.includes(mark)),
    files: readdirSync('/tmp').filter((name) => name.includes(mark)),
  };
}

/** The files to run. @throws Error when a kind (of a whole run), or what was asked for, has none. */
function testFiles(paths: readonly string[]): string[] {
  const all = Object.entries(KINDS).flatMap(([kind, pattern]) => {
    const files = globSync(pattern, { cwd: PROJECT }).sort();
    if (files.length === 0 && paths.length === 0)
      throw new Error(`no test of kind ${kind}: nothing matches ${pattern}`);
    return files;
  });
  if (paths.length === 0) return all;
  return paths.flatMap((path) => {
    const wanted = path.replace(/^\.\//, '').replace(/\/$/, '');
    const files = all.filter((file) => file === wanted || file.startsWith(`${wanted}/`));
    if (files.length === 0) throw new Error(`no test at ${path}`);
    return files;
  });
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** How long each file took, in milliseconds. */
  readonly times: Map<string, number>;
}

/** How many of the slowest files are named: the suite has a quarter of an hour, and each new test takes of it. */
const SLOWEST = 12;

/** Runs the files two at a time and prints each test as it ends. */
async function runFiles(files: readonly string[]): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0, times: new Map() };
  const stream = run({
    files: files.map((file) => join(PROJECT, file)),
    concurrency: 2,
    timeout: FILE_TIMEOUT_MS,
  });
  stream.on('test:pass', (test) => {
    if (test.details.type === 'suite') return;
    if (test.skip !== undefined || test.todo !== undefined) counts.skipped += 1;
    else counts.passed += 1;
  });
  stream.on('test:fail', (test) => {
    if (test.details.type !== 'suite') counts.failed += 1;
  });
  stream.on('test:summary', ({ file, duration_ms: ms }) => {
    if (file !== undefined) counts.times.set(relative(PROJECT, file), ms);
  });
  const report = stream.compose(new spec());
  report.pipe(process.stdout);
  await new Promise((resolve) => report.once('end', resolve));
  return counts;
}

function printSlowest(times: ReadonlyMap<string, number>): void {
  if (times.size <= SLOWEST) return;
  console.log('\nthe slowest files:');
  for (const [file, ms] of [...times].sort(([, a], [, b]) => b - a).slice(0, SLOWEST))
    console.log(`${(ms / 1000).toFixed(1).padStart(7)} s  ${file}`);
}

/** @returns why the run failed, a line each. */
function judge(counts: Counts, whole: boolean, differences: readonly string[]): string[] {
  const problems = differences.map((difference) => `the machine is not as it was: ${difference}`);
  if (counts.failed > 0) problems.push(`${counts.failed} failed`);
  if (counts.passed === 0) problems.push('no test ran');
  const budget: unknown = JSON.parse(readFileSync(join(PROJECT, SKIP_BUDGET), 'utf8')).skipped;
  if (whole && counts.skipped > Number(budget)) {
    problems.push(`${counts.skipped} skipped, ${SKIP_BUDGET} allows ${budget}`);
  }
  return problems;
}

async function main(paths: readonly string[]): Promise<void> {
  const started = Date.now();
  const files = testFiles(paths);
  // Made here, where there is a network: a test's own host has none.
  for (const name of files.some((file) => file.startsWith('test/integration/')) ? FIXTURES : []) {
    if (!existsSync(await fixtureTar(name))) throw new Error(`no fixture ${name}`);
  }
  if (files.includes('test/integration/services.test.ts')) servicesArchive();
  const mark = randomBytes(4).toString('hex');
  process.env['MYDOCKER_TEST_RUN'] = mark;
  const before = machine(mark);
  const counts = await runFiles(files);
  const problems = judge(counts, paths.length === 0, compareSnapshots(before, machine(mark)));
  removeLeftovers(mark);
  printSlowest(counts.times);
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  console.log(
    `\n${files.length} files: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped, ${seconds} s`,
  );
  for (const problem of problems) console.log(`FAILED: ${problem}`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

await main(process.argv.slice(2));
