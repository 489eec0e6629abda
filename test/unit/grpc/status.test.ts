/** What of an error crosses the wire, and what does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { status } from '@grpc/grpc-js';
import { statusOf } from '../../../server/grpc/status.ts';
import { type ErrorCode, failedPrecondition, MydockerError } from '../../../server/model/error.ts';
import { wireError } from './serve-here.ts';

const CODES: Readonly<Record<ErrorCode, status>> = {
  'not-found': 5,
  'already-exists': 6,
  'invalid-argument': 3,
  'out-of-range': 11,
  'failed-precondition': 9,
  'permission-denied': 7,
  'resource-exhausted': 8,
  unavailable: 14,
  aborted: 10,
  cancelled: 1,
  'deadline-exceeded': 4,
  unimplemented: 12,
  'data-loss': 15,
  internal: 13,
};

test('each code has one of gRPC’s', () => {
  for (const [code, number] of Object.entries(CODES))
    assert.equal(statusOf(new MydockerError(code as ErrorCode, 'x')).code, number, code);
});

test('reason, facts, hint and exit status are told', () => {
  const error = wireError(
    statusOf(
      failedPrecondition('cannot start container web: no', {
        reason: 'LAUNCH_FAILED',
        hint: 'do',
        exitStatus: 127,
        metadata: { step: 'exec' },
      }),
    ),
  );
  assert.deepEqual(error, {
    code: 9,
    message: 'cannot start container web: no',
    reason: 'LAUNCH_FAILED',
    hint: 'do',
    metadata: { step: 'exec', exit_status: '127' },
  });
});

test('what is no error of ours is not told at all', () => {
  const thrown = Object.assign(new Error("ENOENT: no such file, open '/var/lib/mydocker/secret'"), {
    code: 'ENOENT',
  });
  for (const value of [thrown, 'text', undefined, { password: 'x' }]) {
    const { code, message, metadata } = wireError(statusOf(value));
    assert.deepEqual([code, message, metadata], [13, 'internal error; see the log of the server', {}]);
  }
  const cause = wireError(statusOf(failedPrecondition('short', { cause: thrown })));
  assert.ok(!JSON.stringify(cause).includes('secret'));
});

test('what the machine lacks is no fault', () => {
  const full = Object.assign(new Error('ENOSPC: /var/lib/mydocker/x'), { code: 'ENOSPC' });
  const { code, reason, message } = wireError(statusOf(full));
  assert.deepEqual([code, reason, message], [8, 'ENOSPC', 'cannot go on: no space left on the disk']);
});

test('a fault names the call that the log has it under', () => {
  assert.deepEqual(wireError(statusOf(new Error('x'), '7-1')).metadata, { call: '7-1' });
  assert.deepEqual(wireError(statusOf(failedPrecondition('x'), '7-1')).metadata, {});
});

test('an error stays small enough for a trailer, and is always text', () => {
  const metadata = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, 'v'.repeat(10_000)]));
  const { details, metadata: trailer } = statusOf(
    failedPrecondition(`${'x'.repeat(5000)}`, { hint: 'y'.repeat(5000), metadata }),
  );
  assert.ok(details.length <= 1024);
  assert.ok((trailer.get('grpc-status-details-bin')[0] as Buffer).length < 16_384);
  const half = statusOf(failedPrecondition(`${'x'.repeat(1022)}\u{1f600}\u{1f600}`)).details;
  assert.doesNotThrow(() => encodeURI(half));
});

test('states of a container have the contract’s reasons', () => {
  const state = (word: string): string =>
    wireError(statusOf(failedPrecondition('x', { reason: 'CONTAINER_STATUS', metadata: { status: word } })))
      .reason;
  assert.deepEqual(['running', 'starting', 'stopped'].map(state), [
    ...['CONTAINER_RUNNING', 'CONTAINER_RUNNING', 'CONTAINER_NOT_RUNNING'],
  ]);
});
