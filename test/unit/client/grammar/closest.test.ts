/** A hint that guesses wildly is worse than none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest } from '../../../../client/grammar/closest.ts';

const WORDS = ['ps', 'top', 'start', 'stop', 'kill', '--name'];

test('what is nearly right is recognized', () => {
  const meant = { pss: 'ps', strat: 'start', kil: 'kill', '--nam': '--name', sto: 'stop', tpo: undefined };
  for (const [typed, word] of Object.entries(meant)) assert.equal(closest(typed, WORDS), word, typed);
});

test('what is something else is not guessed at', () => {
  for (const typed of ['', 'x', 'foo', 'build', 'abcdefgh'])
    assert.equal(closest(typed, WORDS), undefined, typed);
});
