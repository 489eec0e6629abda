/** What is typed and what is understood: Docker's spellings, those of the ancestors, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CREATE_OPTIONS, RUN_OPTIONS } from '../../../../client/grammar/container-options.ts';
import { findCommand, GROUPS } from '../../../../client/grammar/find-command.ts';
import { commandHelp, GLOBAL_OPTIONS, helpOption, programHelp } from '../../../../client/grammar/help.ts';
import type { Options } from '../../../../client/grammar/option.ts';
import { parseArguments } from '../../../../client/grammar/parse-arguments.ts';
import { UsageError } from '../../../../client/usage-error.ts';

/** What was given, without what was not. */
function given(line: string, interspersed = false): Record<string, unknown> {
  const tokens = line.split(' ').filter(Boolean);
  const { options, positionals } = parseArguments(RUN_OPTIONS, tokens, { interspersed });
  const some = Object.entries(options).filter(([, value]) => value !== undefined && String(value) !== '');
  return { ...Object.fromEntries(some), _: positionals.join(' ') };
}

const CASES: readonly (readonly [line: string, expected: Record<string, unknown>])[] = [
  ['busybox', { _: 'busybox' }],
  ['-it busybox sh', { interactive: true, tty: true, _: 'busybox sh' }],
  ['-ti busybox sh', { interactive: true, tty: true, _: 'busybox sh' }],
  ['-i -t busybox', { interactive: true, tty: true, _: 'busybox' }],
  ['-dit busybox', { detach: true, interactive: true, tty: true, _: 'busybox' }],
  ['-m512m busybox', { memory: '512m', _: 'busybox' }],
  ['-m 512m busybox', { memory: '512m', _: 'busybox' }],
  ['-m=512m busybox', { memory: '512m', _: 'busybox' }],
  ['-m -1 busybox', { memory: '-1', _: 'busybox' }],
  ['-mem 100m busybox', { memory: '100m', _: 'busybox' }],
  ['--memory-limit=100 busybox', { memory: '100', _: 'busybox' }],
  ['-net none busybox', { network: ['none'], _: 'busybox' }],
  ['-net=none busybox', { network: ['none'], _: 'busybox' }],
  ['--net a --network b busybox', { network: ['a', 'b'], _: 'busybox' }],
  ['-name web busybox', { name: 'web', _: 'busybox' }],
  ['-n web busybox', { name: 'web', _: 'busybox' }],
  ['-nweb busybox', { name: 'web', _: 'busybox' }],
  ['-cpushare 256 busybox', { cpuShares: '256', _: 'busybox' }],
  ['-c 256 busybox', { cpuShares: '256', _: 'busybox' }],
  ['-cpuset 0,1 busybox', { cpusetCpus: '0,1', _: 'busybox' }],
  ['-cpu 50 busybox', { cpu: '50', _: 'busybox' }],
  ['-rm busybox', { rm: true, _: 'busybox' }],
  ['--rm=false busybox', { rm: false, _: 'busybox' }],
  ['--sig-proxy=false busybox', { sigProxy: false, _: 'busybox' }],
  ['-e A=b=c -eD=e --env F busybox', { env: ['A=b=c', 'D=e', 'F'], _: 'busybox' }],
  ['-de X=1 busybox', { detach: true, env: ['X=1'], _: 'busybox' }],
  ['-v /a:/b -v /c:/d:ro busybox', { volume: ['/a:/b', '/c:/d:ro'], _: 'busybox' }],
  ['--name a --name b busybox', { name: 'b', _: 'busybox' }],
  // options end at the first positional
  ['busybox ls -l --rm', { _: 'busybox ls -l --rm' }],
  ['-d -- -odd-', { detach: true, _: '-odd-' }],
  ['-d busybox -- x', { detach: true, _: 'busybox -- x' }],
  ['-d - x', { detach: true, _: '- x' }],
];

for (const [line, expected] of CASES) {
  test(`run ${line}`, () => assert.deepEqual(given(line), expected));
}

test('options may follow names where names cannot be commands', () => {
  assert.deepEqual(given('web -d other', true), { detach: true, _: 'web other' });
  assert.deepEqual(given('web -- -d', true), { _: 'web -d' });
});

for (const [line, message, hint] of [
  ['--nmae x', /^unknown option --nmae$/, 'did you mean --name?'],
  ['-x', /^unknown option -x$/, undefined],
  ['-dx', /^unknown option -dx$/, undefined],
  ['--name', /^option --name needs a value$/, undefined],
  ['-m', /^option -m needs a value$/, undefined],
  ['--rm=maybe', /^option --rm is true or false, not "maybe"$/, undefined],
] as const) {
  test(`run ${line} is refused`, () => {
    assert.throws(
      () => given(line),
      (error) => error instanceof UsageError && message.test(error.message) && error.hint === hint,
    );
  });
}

test('no spelling means two options, and every table can be read', () => {
  const tables: Options[] = Object.values(GROUPS)
    .flat()
    .map(({ options }) => ({ ...options, ...helpOption(options) }));
  assert.ok(tables.length > 30);
  for (const table of [...tables, GLOBAL_OPTIONS, CREATE_OPTIONS]) {
    const names = Object.values(table).flatMap((option) => option.names);
    assert.equal(new Set(names).size, names.length, names.join(' '));
    for (const option of Object.values(table)) {
      assert.equal(option.value === undefined, option.type === 'flag', option.names.join(' '));
    }
  }
});

test('commands are found by one word and by two, and every name is the only one', () => {
  const names = Object.values(GROUPS)
    .flat()
    .flatMap((command) => command.names);
  assert.equal(new Set(names).size, names.length);
  for (const same of ['images', 'image ls', 'image list']) {
    assert.equal(findCommand(same.split(' ')).command.names[0], 'images');
  }
  for (const same of ['rmn x', 'network rm x', 'network remove x']) {
    const found = findCommand(same.split(' '));
    assert.equal(found.command.names[0], 'rmn');
    assert.deepEqual(found.rest, ['x']);
  }
  assert.throws(() => findCommand(['imagse']), /unknown command "imagse"/);
  assert.throws(() => findCommand(['image', 'lsx']), /unknown command "image lsx"/);
});

test('help shows every command and every option', () => {
  const program = programHelp();
  for (const title of ['NAME:', 'USAGE:', 'VERSION:', 'COMMANDS:', 'GLOBAL OPTIONS:'])
    assert.ok(program.includes(title));
  for (const command of Object.values(GROUPS).flat()) {
    const [name = ''] = command.names;
    assert.match(program, new RegExp(`^ +${name} {2}`, 'm'));
    const help = commandHelp(command, name);
    for (const { names } of Object.values(command.options))
      for (const spelled of names) assert.ok(help.includes(spelled));
  }
});
