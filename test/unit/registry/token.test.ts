/** Tokens are asked for once for all who want the same, and kept for those alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { REGISTRY_LIMITS, settingsOf } from '../../../server/model/registry.ts';
import type { Challenge } from '../../../server/registry/challenge.ts';
import type { HttpRequest, HttpResponse } from '../../../server/registry/http.ts';
import { type TokenContext, Tokens } from '../../../server/registry/token.ts';

const CHALLENGE: Challenge = {
  scheme: 'bearer',
  parameters: new Map([['realm', 'https://auth.r.example/token']]),
};

/** A token server that answers when it is told to, or ends with its signal. */
function server(): { context: (signal?: AbortSignal) => TokenContext; answers: ((body: string) => void)[] } {
  const answers: ((body: string) => void)[] = [];
  const send = ({ signal }: HttpRequest): Promise<HttpResponse> =>
    new Promise((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      answers.push((body) =>
        resolve({ status: 200, read: async () => Buffer.from(body) } as unknown as HttpResponse),
      );
    });
  const context = (signal?: AbortSignal): TokenContext => ({
    ...{ host: 'r.example', origin: new URL('https://r.example/'), http: { send, close: () => undefined } },
    ...{ settings: settingsOf({}, 'r.example'), limits: REGISTRY_LIMITS, credentials: undefined, signal },
  });
  return { context, answers };
}

test('one question for all, whoever leaves meanwhile', async () => {
  const { context, answers } = server();
  const tokens = new Tokens();
  const leaving = new AbortController();
  const first = tokens.get(context(leaving.signal), CHALLENGE, 'scope', '');
  const second = tokens.get(context(), CHALLENGE, 'scope', '');
  const third = tokens.get(context(new AbortController().signal), CHALLENGE, 'scope', '');
  leaving.abort(new Error('left'));
  await assert.rejects(first, /left/);
  await turn();
  assert.equal(answers.length, 2);
  answers[1]?.('{"token":"t"}');
  assert.deepEqual(await Promise.all([second, third]), ['t', 't']);
  assert.equal(await tokens.get(context(), CHALLENGE, 'scope', ''), 't');
  assert.equal(answers.length, 2);
});

test('neither for another scope, nor one that was refused, nor for a login', async () => {
  const { context, answers } = server();
  const tokens = new Tokens();
  const get = async (scope: string, stale: string, login?: { identityToken: string }): Promise<string> => {
    const asked = tokens.get({ ...context(), login }, CHALLENGE, scope, stale);
    const count = answers.length;
    answers.at(-1)?.(`{"token":"t${count}","expires_in":1e12}`);
    return await asked;
  };
  assert.equal(await get('a', ''), 't1');
  assert.equal(await get('b', ''), 't2');
  assert.equal(await get('a', 't1'), 't3');
  assert.equal(await get('a', '', { identityToken: '' }), 't4');
});
