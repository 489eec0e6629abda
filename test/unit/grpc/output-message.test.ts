/** Output encoded by hand is what the generated code would have made of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  AttachTaskResponse,
  ReadTaskLogsResponse,
  TasksServiceDefinition,
} from '../../../proto/gen/mydocker/v1/tasks.ts';
import { responseEncoder } from '../../../server/grpc/service-definition.ts';

const { attachTask, readTaskLogs } = TasksServiceDefinition.methods;

test('output of every length is encoded as the contract says', () => {
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 300_000, 2_097_152]) {
    const value = Buffer.alloc(length, 'x');
    for (const $case of ['stdout', 'stderr'] as const) {
      const message = { frame: { $case, value } };
      const attach = responseEncoder(attachTask)(message);
      assert.ok(attach.equals(AttachTaskResponse.encode(message).finish()), `attach ${$case} ${length}`);
      const logs = responseEncoder(readTaskLogs)(message);
      assert.ok(logs.equals(ReadTaskLogsResponse.encode(message).finish()), `logs ${$case} ${length}`);
    }
  }
});

test('what is encoded does not change with what it was made of', () => {
  const value = Buffer.from('first');
  const encoded = responseEncoder(attachTask)({ frame: { $case: 'stdout', value } });
  value.fill('x');
  assert.ok(encoded.includes('first'));
});

test('other messages are encoded as ever', () => {
  const message = { frame: { $case: 'dropped', value: { sizeBytes: 7n } } } as const;
  const encoded = responseEncoder(attachTask)(message);
  assert.ok(encoded.equals(AttachTaskResponse.encode(message).finish()));
  assert.equal(responseEncoder(attachTask)({ frame: undefined }).length, 0);
});
