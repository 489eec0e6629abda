/** `--restart`: when the server shall start a container again by itself. */
import { RestartMode } from '../../proto/gen/mydocker/v1/config.ts';
import { UsageError } from '../usage-error.ts';
import { parseWhole } from './parse-number.ts';

const MODES: Readonly<Record<string, RestartMode>> = {
  '': RestartMode.NEVER,
  no: RestartMode.NEVER,
  'on-failure': RestartMode.ON_FAILURE,
  always: RestartMode.ALWAYS,
  'unless-stopped': RestartMode.UNLESS_STOPPED,
};

/**
 * @param text - `no`, `on-failure[:N]`, `always`, `unless-stopped`.
 * @throws UsageError
 */
export function parseRestart(text: string): { mode: RestartMode; maxRetries: number } {
  const [name = '', count, ...more] = text.split(':');
  const mode = Object.hasOwn(MODES, name) ? MODES[name] : undefined;
  if (mode === undefined || more.length > 0)
    throw new UsageError(`invalid restart policy ${JSON.stringify(text)}`, {
      hint: 'it is no, on-failure[:N], always or unless-stopped',
    });
  if (count !== undefined && mode !== RestartMode.ON_FAILURE)
    throw new UsageError(`invalid restart policy ${JSON.stringify(text)}: only on-failure has a number`);
  return { mode, maxRetries: count === undefined ? 0 : parseWhole('--restart', count, 0, 2_147_483_647) };
}
