/** Values of options: what is understood, and what is refused instead of being taken for something else. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseChanges } from '../../../../client/parse/parse-changes.ts';
import { parseDetachKeys } from '../../../../client/parse/parse-detach-keys.ts';
import { labelConditions, parseFilters } from '../../../../client/parse/parse-filters.ts';
import { parseEnvironment, parseLabels } from '../../../../client/parse/parse-key-value.ts';
import { parseBillionths, parseSize, parseWhole } from '../../../../client/parse/parse-number.ts';
import { parseRestart } from '../../../../client/parse/parse-restart.ts';
import { parseVolumes } from '../../../../client/parse/parse-volume.ts';
import { parseWhen } from '../../../../client/parse/parse-when.ts';
import { UsageError } from '../../../../client/usage-error.ts';
import { MountPropagation, RestartMode } from '../../../../proto/gen/mydocker/v1/config.ts';

test('sizes', () => {
  const cases: readonly [string, bigint][] = [
    ['100', 100n],
    ['100b', 100n],
    ['1k', 1024n],
    ['512m', 512n << 20n],
    ['512MiB', 512n << 20n],
    ['1.5g', 3n << 29n],
    ['2G', 2n << 30n],
    ['-1', -1n],
    ['9007199254740993', 9007199254740993n],
  ];
  for (const [text, bytes] of cases) assert.equal(parseSize('-m', text), bytes, text);
  for (const text of ['', 'm', '1x', '-2', '1..5m', '0x10', '1e3', ' 1m']) {
    assert.throws(() => parseSize('-m', text), UsageError, text);
  }
});

test('numbers', () => {
  assert.equal(parseWhole('-n', '12', 0, 20), 12);
  assert.equal(parseWhole('-n', '-1', -1, 20), -1);
  for (const text of ['', '1.5', '12x', '21', '-2', '1e1'])
    assert.throws(() => parseWhole('-n', text, -1, 20), UsageError);
  assert.equal(parseBillionths('--cpus', '1.5'), 1_500_000_000n);
  assert.equal(parseBillionths('--cpus', '.25'), 250_000_000n);
  assert.equal(parseBillionths('--cpus', '2'), 2_000_000_000n);
  for (const text of ['', '.', '-1', '1,5', 'x'])
    assert.throws(() => parseBillionths('--cpus', text), UsageError, text);
});

test('times', () => {
  const now = Date.UTC(2026, 10, 22, 3, 13, 0);
  const at = (text: string): string => {
    const { seconds, nanos } = parseWhen('--since', text, now);
    return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}.${nanos}`;
  };
  assert.equal(at('2026-11-22T03:13:00Z'), '2026-11-22T03:13:00.0');
  assert.equal(at('2026-11-22T03:13:00.5Z'), '2026-11-22T03:13:00.500000000');
  assert.equal(at('2026-11-22T04:13:00.000000007+01:00'), '2026-11-22T03:13:00.7');
  assert.equal(at('10m'), '2026-11-22T03:03:00.0');
  assert.equal(at('1h30m'), '2026-11-22T01:43:00.0');
  assert.equal(at('1.5s'), '2026-11-22T03:12:58.500000000');
  assert.equal(at('1.000000001'), '1970-01-01T00:00:01.1');
  assert.equal(at('0'), '1970-01-01T00:00:00.0');
  for (const text of ['', 'x', '10', '10x', 'm', '2026-13-01', '1h 30m'].filter((text) => text !== '10')) {
    assert.throws(() => at(text), UsageError, text);
  }
});

test('volumes', () => {
  const shown = (text: string): string =>
    parseVolumes(text, '/here')
      .map(({ destination, readOnly, source }) => {
        const from = source.$case === 'bind' ? source.value.source : `volume ${source.value.name}`;
        return `${from} > ${destination}${readOnly ? ' ro' : ''}`;
      })
      .join(' | ');
  assert.equal(shown('/a:/b'), '/a > /b');
  assert.equal(shown('/a:/b:ro'), '/a > /b ro');
  assert.equal(shown('/a:/b:rw,z'), '/a > /b');
  assert.equal(shown('./a:/b'), '/here/a > /b');
  assert.equal(shown('../a:/b'), '/a > /b');
  assert.equal(shown('.:/b'), '/here > /b');
  assert.equal(shown('data:/b'), 'volume data > /b');
  assert.equal(shown('/b'), 'volume  > /b');
  assert.equal(shown('/a:/b,/c:/d:ro,/e:/f'), '/a > /b | /c > /d ro | /e > /f');
  assert.equal(shown('/a:/b:ro,z,/c:/d'), '/a > /b ro | /c > /d');
  assert.equal(shown('/a,b:/c'), '/a,b > /c');
  const [shared] = parseVolumes('/a:/b:rslave', '/');
  assert.equal(shared?.source.$case === 'bind' && shared.source.value.propagation, MountPropagation.RSLAVE);
  for (const text of ['', '/a:', ':/b', '/a:b', '/a:/', '/a:/b:rx', '/a:/b:ro:x', 'a/b:/c', 'relative']) {
    assert.throws(() => parseVolumes(text, '/'), UsageError, text);
  }
});

test('environment: options win over files, a name alone takes the value from here', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mydocker-env-'));
  const file = join(folder, 'env');
  writeFileSync(
    file,
    '\uFEFFFIRST=1\n# comment\nA=file\r\n\n  B= x \nQ="quoted" # no comment\nHOME \nNOWHERE\nLAST=no newline',
  );
  assert.deepEqual(parseEnvironment(['A=b=c', 'EMPTY='], [file], { HOME: '/root' }), [
    'FIRST=1',
    'A=file',
    'B= x ',
    'Q="quoted" # no comment',
    'HOME=/root',
    'LAST=no newline',
    'A=b=c',
    'EMPTY=',
  ]);
  for (const [content, said] of [
    ['A=1\n\n=2\n', /invalid variable in .*env, line 3: it has no name/],
    ['A B=1\n', /line 1: the name "A B" has a blank in it/],
    ['A =1\n', /line 1: the name "A " has a blank/],
    [Buffer.from([0x41, 0x3d, 0x0a, 0x42, 0x3d, 0xff, 0x0a]), /line 2: it is not UTF-8/],
  ] as const) {
    writeFileSync(file, content);
    assert.throws(() => parseEnvironment([], [file], {}), said);
  }
  writeFileSync(file, 'a=b\nonly\n# x\nspaced= v \n');
  assert.deepEqual(parseLabels(['a=c'], [file]), { a: 'c', only: '', spaced: ' v ' });
  rmSync(folder, { recursive: true });
  assert.throws(() => parseEnvironment(['=x'], [], {}), UsageError);
  assert.throws(() => parseEnvironment([''], [], {}), UsageError);
  assert.throws(() => parseEnvironment([], ['/nowhere/env'], {}), /cannot read \/nowhere\/env: ENOENT/);
});

test('labels and filters', () => {
  assert.deepEqual(parseLabels(['a=b=c', 'd']), { a: 'b=c', d: '' });
  assert.throws(() => parseLabels(['=x']), UsageError);
  const { label, name } = parseFilters(['label=a=b', 'name=x', 'label=c'], ['label', 'name']);
  assert.deepEqual(labelConditions(label, ['d']), [
    { key: 'a', value: 'b' },
    { key: 'c' },
    { key: 'd', absent: true },
  ]);
  assert.deepEqual(name, ['x']);
  assert.throws(() => parseFilters(['x=y'], ['name']), /unknown filter "x"/);
  assert.throws(() => parseFilters(['name'], ['name']), /is not KEY=VALUE/);
});

test('detach keys', () => {
  assert.deepEqual([...parseDetachKeys('ctrl-p,ctrl-q')], [16, 17]);
  assert.deepEqual([...parseDetachKeys('a,ctrl-@,ctrl-[')], [97, 0, 27]);
  assert.equal(parseDetachKeys('').length, 0);
  for (const text of ['ctrl-1', 'ab', ',', 'é']) assert.throws(() => parseDetachKeys(text), UsageError, text);
});

test('changes of an import', () => {
  const draft = parseChanges([
    'CMD ["a", "b c"]',
    'entrypoint echo hello',
    'ENV A=1 B="two words" C=\'x y\' D=a\\ b',
    'ENV OLD form of it',
    'EXPOSE 80 53/udp',
    'LABEL a=b',
    'USER nobody',
    'WORKDIR /srv',
    'VOLUME ["/data"]',
    'STOPSIGNAL SIGQUIT',
  ]);
  assert.deepEqual(draft.command, ['a', 'b c']);
  assert.deepEqual(draft.entrypoint, ['/bin/sh', '-c', 'echo hello']);
  assert.deepEqual(draft.env, ['A=1', 'B=two words', 'C=x y', 'D=a b', 'OLD=form of it']);
  assert.deepEqual(
    draft.exposedPorts?.map(({ containerPort }) => containerPort),
    [80, 53],
  );
  assert.deepEqual(draft.labels, { a: 'b' });
  assert.deepEqual([draft.user, draft.workingDir, draft.stopSignal], ['nobody', '/srv', 'SIGQUIT']);
  assert.deepEqual(draft.volumes, ['/data']);
  for (const change of ['', 'CMD', 'FROM x', 'EXPOSE x', 'EXPOSE 70000']) {
    assert.throws(() => parseChanges([change]), UsageError, change);
  }
});

test('restart policies', () => {
  const { NEVER, ON_FAILURE, ALWAYS, UNLESS_STOPPED } = RestartMode;
  assert.deepEqual(parseRestart('no'), { mode: NEVER, maxRetries: 0 });
  assert.deepEqual(parseRestart(''), { mode: NEVER, maxRetries: 0 });
  assert.deepEqual(parseRestart('on-failure:3'), { mode: ON_FAILURE, maxRetries: 3 });
  assert.deepEqual(parseRestart('always'), { mode: ALWAYS, maxRetries: 0 });
  assert.deepEqual(parseRestart('unless-stopped'), { mode: UNLESS_STOPPED, maxRetries: 0 });
  for (const text of [
    'yes',
    'on-failure:',
    'on-failure:x',
    'on-failure:-1',
    'always:3',
    'on-failure:1:2',
    'toString',
  ])
    assert.throws(() => parseRestart(text), UsageError, text);
});
