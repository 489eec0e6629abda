/** An image as `docker image inspect` prints it. Source: Docker Engine API, ImageInspect; names only. */
import type { Image } from '../../proto/gen/mydocker/v1/images.ts';
import { showReference } from '../render/values.ts';
import { exposedPortMap, healthcheck } from './docker-parts.ts';
import { goMap, goTime, listOrNil, mapOrNil, NIL_LIST, NIL_MAP } from './go-values.ts';

/** @returns a value for JSON and templates; a field that JSON leaves out is undefined. */
export function dockerImage(image: Image): Readonly<Record<string, unknown>> {
  const { config, platform } = image;
  const size = Number(image.sizeBytes);
  return {
    Id: image.id,
    RepoTags: image.references.map(showReference),
    RepoDigests: image.repoDigests,
    Parent: '',
    Comment: '',
    Created: goTime(image.createdAt),
    Container: '',
    DockerVersion: '',
    Author: image.author,
    Config: {
      Hostname: '',
      Domainname: '',
      User: config?.user ?? '',
      AttachStdin: false,
      AttachStdout: false,
      AttachStderr: false,
      ExposedPorts: config?.exposedPorts.length ? exposedPortMap(config.exposedPorts) : undefined,
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      Env: listOrNil(config?.env),
      Cmd: listOrNil(config?.command),
      Healthcheck: healthcheck(config?.healthCheck),
      Image: '',
      Volumes: config?.volumes.length ? goMap(config.volumes.map((path) => [path, {}] as const)) : NIL_MAP,
      WorkingDir: config?.workingDir ?? '',
      Entrypoint: listOrNil(config?.entrypoint),
      OnBuild: NIL_LIST,
      Labels: mapOrNil(config?.labels ?? {}),
      StopSignal: config?.stopSignal || undefined,
    },
    Architecture: platform?.architecture ?? '',
    Variant: platform?.variant || undefined,
    Os: platform?.os ?? '',
    Size: size,
    VirtualSize: size,
    GraphDriver: { Data: NIL_MAP, Name: 'overlay' },
    RootFS: { Type: 'layers', Layers: image.layers.map(({ diffId }) => diffId) },
    Metadata: { LastTagTime: goTime(image.addedAt) },
    Mydocker: {
      Rev: Number(image.rev),
      AddedAt: goTime(image.addedAt),
      UniqueSize: Number(image.uniqueSizeBytes),
      Containers: image.containerCount,
      ChainIDs: image.layers.map(({ chainId }) => chainId),
    },
  };
}
