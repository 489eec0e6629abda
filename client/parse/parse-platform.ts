/** `--platform`: what an image is made for. */
import type { Platform } from '../../proto/gen/mydocker/v1/types.ts';
import { UsageError } from '../usage-error.ts';

/** @throws UsageError for what is not `OS/ARCH` or `OS/ARCH/VARIANT`. */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant = '', ...more] = text.split('/');
  if (os !== '' && architecture !== '' && more.length === 0) return { os, architecture, variant };
  throw new UsageError(`invalid platform ${JSON.stringify(text)}`, { hint: 'for example linux/amd64' });
}
