/** The keys that leave, however they arrive. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detachDetector } from '../../../../client/attach/detach-detector.ts';

/** Types pieces; what went on, and whether the keys were found. */
function typed(keys: string, ...pieces: string[]): [string, boolean] {
  const detect = detachDetector(Buffer.from(keys));
  let through = '';
  for (const piece of pieces) {
    const { bytes, detached } = detect(Buffer.from(piece));
    through += bytes.toString();
    if (detached) return [through, true];
  }
  return [through, false];
}

test('keys in one piece, in several, behind other input', () => {
  assert.deepEqual(typed('\x10\x11', 'ls\n\x10\x11rest'), ['ls\n', true]);
  assert.deepEqual(typed('\x10\x11', 'a', '\x10', '\x11'), ['a', true]);
});

test('what only begins like the keys goes on', () => {
  assert.deepEqual(typed('\x10\x11', '\x10', 'x'), ['\x10x', false]);
  assert.deepEqual(typed('\x10\x11', '\x10\x10\x11'), ['\x10', true]);
  assert.deepEqual(typed('aab', 'aaab'), ['a', true]);
  assert.deepEqual(typed('abac', 'ababac'), ['ab', true]);
  assert.deepEqual(typed('aab', 'aacaad', 'aab'), ['aacaad', true]);
});

test('without keys everything goes on', () => {
  assert.deepEqual(typed('', 'abc'), ['abc', false]);
});
