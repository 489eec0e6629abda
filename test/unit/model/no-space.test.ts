/** A full disk, told from other faults and in words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNoSpace, noSpace } from '../../../server/model/no-space.ts';

test('a full disk and a full quota are told from everything else', () => {
  for (const code of ['ENOSPC', 'EDQUOT']) assert.ok(isNoSpace(Object.assign(new Error('x'), { code })));
  const others = [Object.assign(new Error('x'), { code: 'EIO' }), new Error('ENOSPC'), undefined, null, 'x'];
  for (const other of others) assert.ok(!isNoSpace(other));
});

test('it names what could not be done, and what to do', () => {
  const error = noSpace('import', 'image', 'big:1', { exitStatus: 125 });
  assert.equal(error.message, 'cannot import image big:1: no space left on the disk');
  assert.deepEqual([error.code, error.reason, error.exitStatus], ['resource-exhausted', 'NO_SPACE', 125]);
  assert.match(error.hint ?? '', /remove/);
});
