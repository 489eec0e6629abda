/** What a launcher that is started ahead makes: groups and namespaces, and nothing that is one container's own. */
import { CLONE, type Op, type Plan } from '../model/plan.ts';

/** Namespaces that a launcher has; no mount namespace, which would hold the host's mounts as they are now. */
export const LAUNCHER_NAMESPACES = ['network', 'ipc', 'uts'] as const;

/**
 * @param title - what ps shows for the shim, until it has a container.
 * @param groups - that the launcher waits in.
 * @param inside - what the launcher does in its namespaces.
 */
export const planParking = (
  title: string,
  groups: { readonly parentAfter: readonly Op[]; readonly afterExit: readonly Op[] },
  inside: readonly Op[],
): Plan => ({
  cloneFlags: CLONE.newNet | CLONE.newIpc | CLONE.newUts,
  parks: true,
  head: '',
  title,
  sections: {
    'parent-before': [],
    'parent-after': groups.parentAfter,
    child: inside,
    'after-exit': groups.afterExit,
  },
});
