/** `--pid`, `--ipc`, `--uts`, `--cgroupns`: whose namespace it is. */
import { NamespaceMode } from '../../proto/gen/mydocker/v1/config.ts';
import { UsageError } from '../usage-error.ts';

/** Docker's further words for one of its own: every container of ours can be joined. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  '--pid': ['', 'private'],
  '--ipc': ['', 'private', 'shareable'],
  '--uts': ['', 'private'],
  '--cgroupns': ['', 'private'],
};

/**
 * @param option - as typed.
 * @param text - `host`, `container:NAME`, `private`.
 * @throws UsageError
 */
export function parseNamespace(option: string, text: string): { mode: NamespaceMode; container: string } {
  if (OWN[option]?.includes(text)) return { mode: NamespaceMode.PRIVATE, container: '' };
  if (text === 'host') return { mode: NamespaceMode.HOST, container: '' };
  const isOwnOrHost = option === '--uts' || option === '--cgroupns';
  const container = isOwnOrHost ? undefined : /^container:(.+)$/.exec(text)?.[1];
  if (container !== undefined) return { mode: NamespaceMode.CONTAINER, container };
  throw new UsageError(`invalid value ${JSON.stringify(text)} for ${option}`, {
    hint: isOwnOrHost ? 'it is host or private' : 'it is host, private or container:NAME',
  });
}
