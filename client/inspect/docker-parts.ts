/** Parts of Docker's JSON that containers and images share: ports, health checks. */
import type { HealthCheck } from '../../proto/gen/mydocker/v1/config.ts';
import { type ExposedPort, PortProtocol } from '../../proto/gen/mydocker/v1/types.ts';
import { goMap } from './go-values.ts';

/** Most ports of one range that are written out. */
const MAX_RANGE = 1000;
const NS_IN_MS = 1_000_000;

/** `tcp`, `udp`, `sctp`. */
export function protocolName(protocol: PortProtocol): string {
  return { [PortProtocol.UDP]: 'udp', [PortProtocol.SCTP]: 'sctp' }[protocol as number] ?? 'tcp';
}

/** `80/tcp` of each port of a range. */
export function portKeys({ containerPort, count, protocol }: ExposedPort): string[] {
  const length = Math.min(Math.max(count, 1), MAX_RANGE);
  return Array.from({ length }, (_, index) => `${containerPort + index}/${protocolName(protocol)}`);
}

/** `{"80/tcp": {}}`. */
export function exposedPortMap(ports: readonly ExposedPort[]): Readonly<Record<string, object>> {
  return goMap(ports.flatMap(portKeys).map((key) => [key, {}] as const));
}

/** Times in ns; undefined where there is none. */
export function healthcheck(check: HealthCheck | undefined): Readonly<Record<string, unknown>> | undefined {
  if (check === undefined) return undefined;
  if (check.disabled) return { Test: ['NONE'] };
  const [shell, option, line] = check.args;
  const isShell = shell === '/bin/sh' && option === '-c' && check.args.length === 3;
  return {
    Test: isShell ? ['CMD-SHELL', line] : ['CMD', ...check.args],
    Interval: ns(check.intervalMs),
    Timeout: ns(check.timeoutMs),
    StartPeriod: ns(check.startPeriodMs),
    Retries: check.retries === 0 ? undefined : check.retries,
  };
}

function ns(ms: number): number | undefined {
  return ms === 0 ? undefined : ms * NS_IN_MS;
}
