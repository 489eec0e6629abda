/** The options of `update`: what create knows, as far as it can be changed. */
import { RESOURCE_OPTIONS, type ResourceOptions } from './resource-options.ts';

const UPDATE_ONLY = {
  restart: {
    names: ['--restart'],
    type: 'text',
    value: 'POLICY',
    about: 'no, on-failure[:N], always, unless-stopped: kept, not acted on by this version',
  },
} as const;

/** Options of `update`. */
export const UPDATE_OPTIONS: ResourceOptions & typeof UPDATE_ONLY = { ...RESOURCE_OPTIONS, ...UPDATE_ONLY };
