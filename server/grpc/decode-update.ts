/** A change of a container's limits and policies, from the wire: what is not given stays. */
import type { UpdateContainerRequest } from '../../proto/gen/mydocker/v1/containers.ts';
import type { UpdateRequest } from '../ops/update-container.ts';
import { decodeRestart } from './decode-config.ts';
import { decodeChange } from './resources.ts';

/** @throws MydockerError `invalid-argument`. */
export function decodeUpdate(request: UpdateContainerRequest): UpdateRequest {
  const { container, resources, restartPolicy, stopSignal, stopTimeoutMs, expectedRev } = request;
  return {
    container,
    resources: decodeChange(resources),
    ...(restartPolicy === undefined
      ? {}
      : { restartPolicy: decodeRestart(restartPolicy).restartPolicy ?? null }),
    ...(stopSignal === undefined ? {} : { stopSignal }),
    ...(stopTimeoutMs === undefined ? {} : { stopTimeoutMs }),
    setLabels: request.setLabels,
    removeLabels: request.removeLabels,
    expectedRev,
  };
}
