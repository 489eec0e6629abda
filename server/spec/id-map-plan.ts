/** User namespaces that nobody stands in: they say whose files are whose in a mount. */
import { CLONE, type Op, type Plan, type Slot } from '../model/plan.ts';
import { close } from './ops.ts';

/** A user namespace in a slot of a plan. */
export interface MapSlot {
  readonly slot: Slot;
  /** Which mounts it is for. */
  readonly destinations: readonly string[];
}

/**
 * A process that makes one and waits in it until somebody has written its maps and opened it.
 * @param gate - slot of a pipe that never says anything; its end ends the process.
 */
export const planUserNamespace = (gate: Slot): Plan => ({
  cloneFlags: CLONE.newUser,
  head: '',
  title: 'mydocker-shim owners',
  sections: {
    'parent-before': [],
    'parent-after': [],
    child: [{ name: 'gate', a: gate, about: 'wait until somebody holds the namespace' }],
    'after-exit': [],
  },
});

/** In the shim, after the clone: the mounts keep what they need. */
export const closeMaps = (maps: readonly MapSlot[]): Op[] =>
  maps.map(({ slot, destinations }) =>
    close(slot, `leave the owners of ${destinations.join(', ')} to the container`),
  );
