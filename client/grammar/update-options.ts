/** The options of `update`: what create knows, as far as it can be changed. */
import { KERNEL_OPTIONS, type KernelOptions } from './kernel-options.ts';
import { RESOURCE_OPTIONS, type ResourceOptions } from './resource-options.ts';

const UPDATE_ONLY = {
  restart: {
    names: ['--restart'],
    type: 'text',
    value: 'POLICY',
    about: 'no, on-failure[:N], always, unless-stopped: kept, not acted on by this version',
  },
  deviceCgroupRuleRm: {
    names: ['--device-cgroup-rule-rm'],
    type: 'list',
    value: 'RULE',
    about: 'devices that may be used no more, in the same form',
  },
  freezerState: {
    names: ['--freezer-state'],
    type: 'text',
    value: 'STATE',
    about: 'FROZEN: as pause; THAWED: as unpause',
  },
  publishAdd: {
    names: ['--publish-add'],
    type: 'list',
    value: '[IP:][HOST:]PORT',
    about: 'publish one more port, as create does',
  },
  publishRm: {
    names: ['--publish-rm'],
    type: 'list',
    value: '[IP:][HOST:]PORT',
    about: 'end the publishing of a port: 8080:80, or 80 for whatever leads to it',
  },
} as const;

/** Options of `update`. */
export const UPDATE_OPTIONS: ResourceOptions & Pick<KernelOptions, 'deviceCgroupRule'> & typeof UPDATE_ONLY =
  {
    ...RESOURCE_OPTIONS,
    deviceCgroupRule: KERNEL_OPTIONS.deviceCgroupRule,
    ...UPDATE_ONLY,
  };
