/** `--ulimit`, `--sysctl`, `--device`, `--device-cgroup-rule`: each in Docker's form. */
import type { DeviceMapping } from '../../proto/gen/mydocker/v1/config.ts';
import { type DeviceRule, DeviceType, type Ulimit } from '../../proto/gen/mydocker/v1/resources.ts';
import { UsageError } from '../usage-error.ts';

/** `nofile=1024`, `nofile=1024:2048`, `core=-1`, `core=unlimited`. @throws UsageError */
export function parseUlimit(text: string): Ulimit {
  const [, name, soft, hard] =
    /^([a-z]+)=(-1|unlimited|\d{1,18})(?::(-1|unlimited|\d{1,18}))?$/.exec(text) ?? [];
  if (name === undefined || soft === undefined)
    throw new UsageError(`invalid value ${JSON.stringify(text)} for --ulimit`, {
      hint: 'for example nofile=1024:2048',
    });
  const amount = (word: string): bigint => (word === 'unlimited' ? -1n : BigInt(word));
  return { name, soft: amount(soft), hard: amount(hard ?? soft) };
}

/** `net.core.somaxconn=1024`. @throws UsageError */
export function parseSysctls(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const cut = text.indexOf('=');
      if (cut > 0) return [text.slice(0, cut), text.slice(cut + 1)];
      throw new UsageError(`invalid value ${JSON.stringify(text)} for --sysctl`, {
        hint: 'for example net.core.somaxconn=1024',
      });
    }),
  );
}

/** `/dev/fuse`, `/dev/sda:/dev/xvda`, `/dev/sda:r`, `/dev/sda:/dev/xvda:rwm`. @throws UsageError */
export function parseDevice(text: string): DeviceMapping {
  const parts = text.split(':');
  const access = parts.length > 1 && /^[rwm]+$/.test(parts.at(-1) ?? '') ? (parts.pop() ?? '') : '';
  const [hostPath = '', containerPath = '', ...more] = parts;
  if (
    more.length === 0 &&
    hostPath.startsWith('/') &&
    (containerPath === '' || containerPath.startsWith('/'))
  )
    return { hostPath, containerPath, access };
  throw new UsageError(`invalid value ${JSON.stringify(text)} for --device`, {
    hint: 'for example /dev/sda:/dev/xvda:rwm',
  });
}

const TYPES: Readonly<Record<string, DeviceType>> = {
  a: DeviceType.UNSPECIFIED,
  b: DeviceType.BLOCK,
  c: DeviceType.CHARACTER,
};

/** `c 10:229 rwm`, `b *:* r`, `a 7:* rmw`. @throws UsageError */
export function parseDeviceRule(text: string): DeviceRule {
  const [, type = '', major, minor, access] =
    /^([abc]) (\d{1,4}|\*):(\d{1,7}|\*) ([rwm]{1,3})$/.exec(text) ?? [];
  if (access === undefined)
    throw new UsageError(`invalid value ${JSON.stringify(text)} for --device-cgroup-rule`, {
      hint: 'for example "c 10:229 rwm"; * is any number',
    });
  return {
    allow: true,
    type: TYPES[type] ?? DeviceType.UNSPECIFIED,
    ...(major === '*' ? {} : { major: Number(major) }),
    ...(minor === '*' ? {} : { minor: Number(minor) }),
    access,
  };
}

/** `FROZEN` or `THAWED`, as the kernel's file has it. @throws UsageError */
export function isFrozen(text: string): boolean {
  if (text !== 'FROZEN' && text !== 'THAWED')
    throw new UsageError(`invalid value ${JSON.stringify(text)} for --freezer-state`, {
      hint: 'FROZEN or THAWED',
    });
  return text === 'FROZEN';
}
