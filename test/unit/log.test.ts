/** The log is one JSON object a line, with levels as words and secrets blacked out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLog } from '../../server/log.ts';
import { notFound } from '../../server/model/error.ts';

function logged(
  debug: boolean,
  write: (log: ReturnType<typeof createLog>) => void,
): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLog({ debug, stream: { write: (line: string) => void lines.push(line) } }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('lines are JSON with level, time and fields; debug only when asked for', () => {
  const write = (log: ReturnType<typeof createLog>): void => {
    log.debug({}, 'detail');
    log.child({ container: 'web' }).info({ ms: 3 }, 'started');
  };
  assert.equal(logged(true, write).length, 2);
  const [line] = logged(false, write);
  assert.equal(line?.['level'], 'info');
  assert.equal(line?.['msg'], 'started');
  assert.equal(line?.['container'], 'web');
  assert.match(String(line?.['time']), /^\d{4}-\d\d-\d\dT.*Z$/);
});

test('environments and credentials are blacked out, errors keep their cause', () => {
  const [line] = logged(false, (log) => {
    const err = notFound('image', 'x');
    log.error(
      { config: { env: ['PASSWORD=1'] }, env: ['A=1'], auth: { token: 't', password: 'p' }, err },
      'failed',
    );
  });
  assert.ok(!/PASSWORD=1|A=1|"t"|"p"/.test(JSON.stringify(line)));
  assert.match(JSON.stringify(line), /cannot find image x/);
});
