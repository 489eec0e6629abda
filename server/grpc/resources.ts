/** Limits of a container: from the wire, as a whole or as a change, and onto it. */
import {
  DeviceType,
  type Resources as WireResources,
  type DeviceRule as WireRule,
} from '../../proto/gen/mydocker/v1/resources.ts';
import { invalidArgument } from '../model/error.ts';
import { changeResources, type DeviceRule, type ResourceChange, type Resources } from '../model/resources.ts';

/** -1 and an empty list lift a limit, which at a create is to have none. */
export function decodeResources(resources: WireResources | undefined): Resources {
  return changeResources({}, decodeChange(resources));
}

/** What a client wants changed. @throws MydockerError `invalid-argument` for a rule that cannot be read. */
export function decodeChange(resources: WireResources | undefined): ResourceChange {
  if (resources === undefined) return {};
  const { deviceRules, netPriorities, unified, cpusetCpus, cpusetMems, oomKillDisable, ...rest } = resources;
  const { blkioWeightDevices, blkioThrottleDevices, hugepageLimits, memorySwapLimitBytes, ...amounts } = rest;
  const change: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(amounts))
    if (value !== undefined) change[key] = value === -1n ? null : value;
  for (const [key, value] of Object.entries({ cpusetCpus, cpusetMems }))
    if (value !== undefined) change[key] = value === '' ? null : value;
  const lists = { blkioWeightDevices, blkioThrottleDevices, hugepageLimits };
  for (const [key, value] of Object.entries(lists)) if (value.length > 0) change[key] = value;
  for (const [key, value] of Object.entries({ netPriorities, unified }))
    if (Object.keys(value).length > 0) change[key] = value;
  return {
    ...(change as ResourceChange),
    // Here -1 is a value: as much swap as there is.
    ...(memorySwapLimitBytes === undefined ? {} : { memorySwapLimitBytes }),
    ...(oomKillDisable === undefined ? {} : { oomKillDisable: oomKillDisable ? true : null }),
    ...(deviceRules.length === 0 ? {} : { deviceRules: deviceRules.flatMap(decodeRule) }),
  };
}

const TYPES = {
  [DeviceType.UNSPECIFIED]: ['c', 'b'],
  [DeviceType.CHARACTER]: ['c'],
  [DeviceType.BLOCK]: ['b'],
} as const;

function decodeRule({ allow, type, major, minor, access }: WireRule): DeviceRule[] {
  if (!/^r?w?m?$/.test([...access].sort((a, b) => 'rwm'.indexOf(a) - 'rwm'.indexOf(b)).join('')))
    throw invalidArgument(
      `invalid access to a device ${JSON.stringify(access)}: it is not some of r, w and m`,
      {
        reason: 'CONFIG_INVALID',
        metadata: { field: 'resources.device_rules.access' },
      },
    );
  return TYPES[type].map((each) => ({
    allow,
    type: each,
    major: major ?? null,
    minor: minor ?? null,
    access: access === '' ? 'rwm' : access,
  }));
}

/** As a create would be given them. */
export function encodeResources(resources: Resources): Parameters<typeof WireResources.fromPartial>[0] {
  const { deviceRules = [], blkioThrottleDevices, ...rest } = resources;
  return {
    ...rest,
    ...(blkioThrottleDevices === undefined ? {} : { blkioThrottleDevices }),
    deviceRules: deviceRules.map(({ allow, type, major, minor, access }) => ({
      allow,
      type: type === 'c' ? DeviceType.CHARACTER : DeviceType.BLOCK,
      access,
      ...(major === null ? {} : { major }),
      ...(minor === null ? {} : { minor }),
    })),
  };
}
