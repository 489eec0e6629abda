/** A wrong median would be believed for years. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isKept, renderDocument, renderPicture, short } from '../../bench/document.ts';
import { inFlight, measure } from '../../bench/measure.ts';
import { quantile, summarize } from '../../bench/stats.ts';
import { parseTrace } from '../../bench/trace.ts';

test('a summary has the nearest ranks and the median distance', () => {
  assert.deepEqual(summarize([5, 1, 4, 2, 3, 10, 9, 8, 7, 6]), {
    count: 10,
    median: 5,
    p90: 9,
    mad: 2,
    min: 1,
    max: 10,
  });
  assert.equal(summarize([7]).p90, 7);
  assert.equal(quantile([1, 2], 0), 1);
  assert.throws(() => summarize([]), /no samples/);
});

test('contenders take turns, and each begins one of them', async () => {
  const order: string[] = [];
  const contender = (name: string) => ({
    name,
    sample: (count: number) => {
      order.push(name + count);
      return Promise.resolve(Array.from({ length: count }, () => 1));
    },
  });
  const results = await measure([contender('a'), contender('b')], { turns: 2, perTurn: 3, warmUp: 1 });
  assert.deepEqual(order, ['a1', 'b1', 'a3', 'b3', 'b3', 'a3']);
  assert.deepEqual(
    results.map(({ name, count }) => [name, count]),
    [
      ['a', 6],
      ['b', 6],
    ],
  );
});

test('a contender that fails is named', async () => {
  const broken = { name: 'broken', sample: () => Promise.reject(new Error('no socket')) };
  await assert.rejects(measure([broken], { turns: 1, perTurn: 1, warmUp: 0 }), /broken: no socket/);
});

test('what a turn leaves behind is counted for its contender, warming up left out', async () => {
  let left = 0;
  const contender = (name: string, leaves: number) => ({
    name,
    sample: (count: number) => {
      left += leaves * count;
      return Promise.resolve([1]);
    },
  });
  const watch = () => {
    const before = left;
    return () => Promise.resolve(left - before);
  };
  const effort = { turns: 2, perTurn: 3, warmUp: 5, watch };
  const results = await measure([contender('clean', 0), contender('dirty', 1)], effort);
  assert.deepEqual(
    results.map(({ name, leftBehind }) => [name, leftBehind]),
    [
      ['clean', 0],
      ['dirty', 6],
    ],
  );
});

test('a trace has the points of each container', () => {
  const log = [
    'failpoint start.begin at 1',
    'failpoint create.begin at 10',
    '{"msg":"failpoint create.done at 11"}',
    'failpoint create.done at 12',
    'failpoint create.begin at 20',
  ].join('\n');
  assert.deepEqual(parseTrace(log), [
    new Map([
      ['create.begin', 10],
      ['create.done', 12],
    ]),
    new Map([['create.begin', 20]]),
  ]);
});

test('never more than asked for are in flight, and each runs once', async () => {
  let now = 0;
  let most = 0;
  const seen: number[] = [];
  await inFlight(20, 3, async (number) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setImmediate(resolve));
    seen.push(number);
    now -= 1;
  });
  assert.equal(most, 3);
  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    Array.from({ length: 20 }, (_, number) => number),
  );
});

test('numbers keep three digits that mean something', () => {
  assert.deepEqual([0, 0.01234, 1.2345, 12.345, 123.45, 1234.5].map(short), [
    '0',
    '0.012',
    '1.23',
    '12.3',
    '123',
    '1235',
  ]);
});

test('the document and the picture say what was measured', () => {
  const promised = { text: 'a ÷ b', measured: 1.6, limit: 1.5, sense: 'at most' as const };
  assert.equal(isKept(promised), false);
  assert.equal(isKept({ ...promised, sense: 'at least' }), true);
  const report = {
    measuredAt: '2026-11-22',
    machine: { kernel: '6.1' },
    versions: { crun: 'crun version 1.8' },
    lines: [
      {
        id: 'start',
        title: 'Start <here>',
        what: 'A start.',
        unit: 'ms',
        moreIsBetter: false,
        results: [
          { name: 'mydocker', ...summarize([1, 2, 3]), leftBehind: 0 },
          { name: 'crun', ...summarize([4, 5, 6]), leftBehind: 2 },
        ],
        why: 'A turtle is slow.',
        promises: [promised],
      },
    ],
  };
  const text = renderDocument(report);
  assert.match(text, /\| mydocker \| 2\.00 \| 3\.00 \| 1\.00 \| 3 \| 0 \|/);
  assert.match(text, /a ÷ b: at most 1\.50, measured 1\.60 — \*\*not kept\*\*/);
  assert.match(text, /left behind/);
  assert.match(text, /\| crun .*\| 2 \|/);
  assert.match(text, /A turtle is slow\./);
  const kept = report.lines.map((line) => ({ ...line, promises: [{ ...promised, measured: 1 }] }));
  assert.doesNotMatch(renderDocument({ ...report, lines: kept }), /turtle/);
  assert.match(text, /- kernel: 6\.1\n- crun: crun version 1\.8/);
  const picture = renderPicture(report);
  assert.match(picture, /Start &lt;here>/);
  assert.equal(picture.match(/class="own"/g)?.length, 1);
});
