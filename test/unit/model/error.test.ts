/** The error grammar, and that nothing a client sends can repaint a terminal through it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  alreadyExists,
  cannot,
  invalidArgument,
  MydockerError,
  notFound,
  quoteId,
  toMydockerError,
} from '../../../server/model/error.ts';

test('errors follow the grammar cannot VERB NOUN ID: CAUSE', () => {
  const error = cannot('failed-precondition', 'start', 'container', 'web', 'it is already running');
  assert.equal(error.message, 'cannot start container web: it is already running');
  assert.equal(error.code, 'failed-precondition');
  assert.equal(error.reason, 'FAILED_PRECONDITION');
  assert.equal(cannot('internal', 'open', 'metadata', '', 'why').message, 'cannot open metadata: why');
});

test('notFound and alreadyExists name their object for programs too', () => {
  const missing = notFound('container', 'web', 'look at mydocker ps');
  assert.equal(missing.message, 'cannot find container web: no such container');
  assert.deepEqual({ ...missing.metadata }, { container: 'web' });
  assert.equal(missing.reason, 'CONTAINER_NOT_FOUND');
  assert.equal(missing.hint, 'look at mydocker ps');
  assert.equal(alreadyExists('image', 'a:1').code, 'already-exists');
});

test('a cause is kept for the log and an absent one leaves no property', () => {
  const cause = new Error('EIO');
  assert.equal(invalidArgument('no', { cause }).cause, cause);
  assert.ok(!('cause' in invalidArgument('no')));
});

test('quoteId cuts long ids and escapes what a terminal would act on', () => {
  assert.equal(quoteId('web-1'), 'web-1');
  assert.ok(quoteId('x'.repeat(1_000_000)).length < 200);
  for (const bad of ['\u001b[2J', 'a\nb', '\u0000', '\u009b1m', 'a\u202eb', 'a b', '']) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.ok(!/[\u0000-\u001f\u007f-\u009f\u202e]/.test(quoteId(bad)), JSON.stringify(bad));
    assert.ok(quoteId(bad).startsWith('"'));
  }
});

test('toMydockerError keeps ours, unwraps suppressed ones and tells nothing of the rest', () => {
  const ours = notFound('image', 'x');
  assert.equal(toMydockerError(ours), ours);
  assert.equal(toMydockerError(new SuppressedError(new Error('undo failed'), ours, '')), ours);
  assert.equal(toMydockerError(AbortSignal.abort().reason).code, 'cancelled');
  assert.equal(toMydockerError(new DOMException('late', 'TimeoutError')).code, 'deadline-exceeded');
  const other = toMydockerError(new Error('password=1'));
  assert.equal(other.code, 'internal');
  assert.ok(!other.message.includes('password'));
  assert.ok(toMydockerError('text') instanceof MydockerError);
});
