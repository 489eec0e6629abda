/** Containers, images and networks with Docker's fields: what its users' scripts read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ancestorContainer } from '../../../../client/inspect/ancestors.ts';
import { dockerContainer } from '../../../../client/inspect/docker-container.ts';
import { dockerImage } from '../../../../client/inspect/docker-image.ts';
import { dockerNetwork } from '../../../../client/inspect/docker-network.ts';
import { compileTemplate } from '../../../../client/render/template.ts';
import { UsageError } from '../../../../client/usage-error.ts';
import { Container } from '../../../../proto/gen/mydocker/v1/containers.ts';
import { Image } from '../../../../proto/gen/mydocker/v1/images.ts';
import { Network } from '../../../../proto/gen/mydocker/v1/networks.ts';
import { ExitReason, TaskStatus } from '../../../../proto/gen/mydocker/v1/types.ts';

const ID = 'ab'.repeat(32);
const VOLUME = 'cd'.repeat(32);
const at = (nanos: number) => ({ seconds: 1_795_317_180n, nanos });

const WEB = Container.fromPartial({
  id: ID,
  rev: 7n,
  name: 'web',
  status: TaskStatus.RUNNING,
  createdAt: at(120_000_000),
  run: { runId: '1'.repeat(16), pid: 42, startedAt: at(0) },
  paths: { folder: `/r/containers/${ID}`, upperDir: '/r/u', lowerDirs: ['/r/a', '/r/b'], logFile: '/r/l' },
  ports: [{ hostPort: 8080, containerPort: 80, count: 2 }],
  endpoints: [
    {
      networkId: 'e'.repeat(64),
      network: 'default',
      ipv4Address: '10.20.30.2/24',
      ipv4Gateway: '10.20.30.1',
      macAddress: '02:42:0a:14:1e:02',
    },
  ],
  config: {
    rootfs: { $case: 'image', value: 'busybox' },
    imageId: `sha256:${ID}`,
    args: ['sh', '-c', 'x'],
    entrypoint: { values: [] },
    command: { values: ['sh', '-c', 'x'] },
    env: ['A=1', 'PATH=/bin'],
    labels: { b: '2', 'org.example/x': 'y' },
    hostname: 'web',
    stopTimeoutMs: 10_000,
    storageDriver: 'overlay',
    mounts: [
      { destination: '/data', source: { $case: 'volume', value: { name: VOLUME } } },
      { destination: '/conf', readOnly: true, source: { $case: 'bind', value: { source: '/srv' } } },
    ],
    network: { exposedPorts: [{ containerPort: 443, count: 1 }] },
    resources: { memoryLimitBytes: 64n << 20n, nanoCpus: 1_500_000_000n },
  },
});

const fill = (template: string, value: unknown = dockerContainer(WEB)): string =>
  compileTemplate(template, { strict: true })(value);

test('what scripts ask of a container', () => {
  for (const [template, expected] of [
    ['{{.Id}} {{.Name}} {{.Image}}', `${ID} /web sha256:${ID}`],
    ['{{.State.Running}} {{.State.Status}} {{.State.Pid}} {{.State.ExitCode}}', 'true running 42 0'],
    ['{{.State.StartedAt}} {{.State.FinishedAt}}', '2026-11-22T03:13:00Z 0001-01-01T00:00:00Z'],
    ['{{.Created}}', '2026-11-22T03:13:00.12Z'],
    ['{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}}', '10.20.30.2 10.20.30.1'],
    ['{{range .NetworkSettings.Networks}}{{.IPAddress}}/{{.IPPrefixLen}}{{end}}', '10.20.30.2/24'],
    [
      '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}={{$v.MacAddress}}{{end}}',
      'default=02:42:0a:14:1e:02',
    ],
    ['{{.NetworkSettings.Networks.bridge.IPAddress}}{{len .NetworkSettings.Networks}}', '10.20.30.21'],
    ['{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', '8080'],
    [
      '{{range $p, $conf := .NetworkSettings.Ports}}{{$p}}->{{range $conf}}{{.HostPort}}{{end}} {{end}}',
      '443/tcp-> 80/tcp->8080 81/tcp->8081 ',
    ],
    [
      '{{json .NetworkSettings.Ports}}',
      '{"443/tcp":null,"80/tcp":[{"HostIp":"","HostPort":"8080"}],"81/tcp":[{"HostIp":"","HostPort":"8081"}]}',
    ],
    [
      '{{range .Mounts}}{{.Type}} {{.Name}} {{.Source}}:{{.Destination}} {{.RW}};{{end}}',
      `bind  /srv:/conf false;volume ${VOLUME} /r/volumes/${VOLUME}/data:/data true;`,
    ],
    [
      '{{json .HostConfig.Binds}} {{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}',
      '["/srv:/conf:ro"] 67108864 1500000000',
    ],
    ['{{.HostConfig.NetworkMode}} {{.HostConfig.RestartPolicy.Name}}', 'default no'],
    ['{{index .Config.Labels "org.example/x"}}|{{index .Config.Labels "no"}}|{{.Config.Labels.b}}', 'y||2'],
    [
      '{{json .Config.Env}}{{json .Config.Cmd}}{{json .Config.Entrypoint}}',
      '["A=1","PATH=/bin"]["sh","-c","x"]null',
    ],
    ['{{range .Config.Env}}{{println .}}{{end}}', 'A=1\nPATH=/bin\n'],
    ['{{.Path}} {{.Args}} {{.Config.Cmd}} {{join .Args ","}}', 'sh [-c x] [sh -c x] -c,x'],
    ['{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}', 'none'],
    ['{{.GraphDriver.Data.UpperDir}} {{.GraphDriver.Name}}', '/r/u overlay'],
    ['{{.LogPath}} {{.Platform}} {{.Driver}} {{.HostConfig.PidsLimit}}', '/r/l linux overlay <nil>'],
    ['{{len .Mounts}} {{json .State.Error}}', '2 ""'],
  ] as const)
    assert.equal(fill(template), expected, template);
});

test('a field that is not there is an error that names those that are', () => {
  assert.throws(() => fill('{{.Nosuch}}'), /no field \.Nosuch/);
  assert.throws(
    () => fill('{{.State.Stat}}'),
    (error) => error instanceof UsageError && /no field \.State\.Stat/.test(error.message),
  );
  assert.throws(() => fill('{{.State.Health.Status}}'), /\.State\.Health has no fields/);
  assert.throws(() => fill('{{.Mounts.Source}}'), /\.Mounts is a list/);
  assert.equal(fill('{{.Config.Labels.nosuch}}'), '<no value>');
});

test('a container that ended', () => {
  const ended = dockerContainer({
    ...WEB,
    status: TaskStatus.STOPPED,
    exit: {
      runId: '',
      exitStatus: 137,
      signal: 9,
      oomKilled: true,
      exitedAt: at(5),
      reason: ExitReason.EXITED,
      message: '',
    },
  });
  assert.equal(
    fill(
      '{{.State.Status}} {{.State.Running}} {{.State.ExitCode}} {{.State.OOMKilled}} {{.State.FinishedAt}}',
      ended,
    ),
    'exited false 137 true 2026-11-22T03:13:00.000000005Z',
  );
  assert.equal(fill('{{.Mydocker.ExitReason}} {{.Mydocker.ExitSignal}}', ended), 'exited 9');
});

test('images and networks', () => {
  const image = dockerImage(
    Image.fromPartial({
      id: `sha256:${ID}`,
      references: ['docker.io/library/redis:7'],
      sizeBytes: 5n,
      platform: { os: 'linux', architecture: 'amd64' },
      config: { env: ['A=1'], command: ['sh'], exposedPorts: [{ containerPort: 80 }], volumes: ['/d'] },
      layers: [{ diffId: 'sha256:1' }],
    }),
  );
  assert.equal(
    fill(
      '{{index .RepoTags 0}} {{.Os}}/{{.Architecture}} {{.Size}} {{.RootFS.Layers}} {{.Config.Cmd}}',
      image,
    ),
    'redis:7 linux/amd64 5 [sha256:1] [sh]',
  );
  assert.equal(
    fill('{{json .Config.ExposedPorts}}{{json .Config.Volumes}}{{json .Config.Labels}}', image),
    '{"80/tcp":{}}{"/d":{}}null',
  );
  const network = dockerNetwork(
    Network.fromPartial({
      name: 'default',
      driver: 'bridge',
      subnets: [{ cidr: '10.20.30.0/24', gateway: '10.20.30.1' }],
      endpoints: [{ containerId: ID, containerName: 'web', ipv4Address: '10.20.30.2/24' }],
    }),
  );
  assert.equal(
    fill(
      '{{.Name}} {{.Driver}} {{range .IPAM.Config}}{{.Subnet}} {{.Gateway}}{{end}} {{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}',
      network,
    ),
    'default bridge 10.20.30.0/24 10.20.30.1 web 10.20.30.2/24',
  );
});

test('a label cannot reach what is no data', () => {
  const labelled = Container.fromPartial({ config: { labels: JSON.parse('{"__proto__":"x"}') } });
  assert.equal(
    fill('{{index .Config.Labels "constructor"}}|{{.Config.Labels.toString}}', dockerContainer(labelled)),
    '|<no value>',
  );
});

test('the ancestors’ fields', () => {
  const { Uuid, Status, Commands, Envs, Ports, Cgroups } = ancestorContainer(WEB);
  assert.deepEqual(
    [Uuid, Status, Commands, Envs, Ports],
    [ID, 'running', ['sh', '-c', 'x'], { A: '1', PATH: '/bin' }, { 8080: 80 }],
  );
  const { Pid, Resources } = Cgroups as { Pid: number; Resources: Record<string, number> };
  const { CpuCfsPeriod, CpuCfsQuota, MemoryLimit } = Resources;
  assert.deepEqual([Pid, CpuCfsPeriod, CpuCfsQuota, MemoryLimit], [42, 100_000, 150_000, 64 << 20]);
});
