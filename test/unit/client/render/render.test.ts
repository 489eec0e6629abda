/** What people see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { containerColumns } from '../../../../client/render/container-columns.ts';
import { renderError } from '../../../../client/render/error.ts';
import { renderJson } from '../../../../client/render/json.ts';
import { printable } from '../../../../client/render/printable.ts';
import { renderTable, truncate } from '../../../../client/render/table.ts';
import {
  showAgo,
  showId,
  showInstant,
  showPort,
  showSize,
  splitReference,
} from '../../../../client/render/values.ts';
import { Code, RpcError } from '../../../../client/transport/rpc-error.ts';
import { NetworkMode, RestartMode } from '../../../../proto/gen/mydocker/v1/config.ts';
import { Container, ContainerSummary } from '../../../../proto/gen/mydocker/v1/containers.ts';
import { PortMapping, PortProtocol, TaskStatus } from '../../../../proto/gen/mydocker/v1/types.ts';

test('tables: columns stand below each other, and nothing can repaint the terminal', () => {
  const table = renderTable(
    ['A', 'LONG NAME', 'C'],
    [
      ['value', 'é', ''],
      ['x', 'y\x1b[2J', 'z'],
    ],
  );
  assert.equal(table, 'A       LONG NAME   C\nvalue   é\nx       y\\x1b[2J    z\n');
  assert.equal(printable('a\u202eb\n'), 'a\\u202eb\\x0a');
  assert.equal(truncate('abcdef', 4), 'abc…');
  assert.equal(truncate('abcd', 4), 'abcd');
});

test('values', () => {
  const hex = 'ab'.repeat(32);
  assert.equal(showId(hex), 'abababababab');
  assert.equal(showId(`sha256:${hex}`), 'abababababab');
  assert.equal(showId(hex, true), hex);
  assert.equal(showId('web'), 'web');
  assert.equal(showSize(0n), '0 B');
  assert.equal(showSize(999n), '999 B');
  assert.equal(showSize(354_900_000n), '354.9 MB');
  assert.equal(showSize(1_500_000_000_000n), '1.5 TB');
  const ago = (seconds: bigint): string => showAgo({ seconds: 1_000_000_000n - seconds, nanos: 0 }, 1e12);
  for (const [seconds, text] of [
    [0n, 'Less than a second ago'],
    [1n, '1 second ago'],
    [59n, '59 seconds ago'],
    [60n, 'About a minute ago'],
    [119n, 'About a minute ago'],
    [120n, '2 minutes ago'],
    [3600n, 'About an hour ago'],
    [7200n, '2 hours ago'],
    [47n * 3600n, '47 hours ago'],
    [13n * 86_400n, '13 days ago'],
    [14n * 86_400n, '2 weeks ago'],
    [61n * 86_400n, '2 months ago'],
    [800n * 86_400n, '2 years ago'],
  ] as const)
    assert.equal(ago(seconds), text);
  assert.equal(showAgo(undefined), '');
  assert.equal(showInstant({ seconds: 1_795_317_180n, nanos: 7 }), '2026-11-22T03:13:00.000000007Z');
  assert.deepEqual(splitReference('docker.io/library/redis:7'), { repository: 'redis', tag: '7' });
  assert.deepEqual(splitReference('docker.io/user/app:1'), { repository: 'user/app', tag: '1' });
  assert.deepEqual(splitReference('localhost:5000/app'), { repository: 'localhost:5000/app', tag: '<none>' });
  assert.deepEqual(splitReference('docker.io/library/a@sha256:00'), { repository: 'a', tag: '<none>' });
  const port = (fields: Partial<PortMapping>): string => showPort(PortMapping.create(fields));
  assert.equal(port({ hostPort: 8036, containerPort: 3306 }), '8036->3306');
  assert.equal(
    port({ hostIp: '::1', hostPort: 53, containerPort: 53, protocol: PortProtocol.UDP }),
    '[::1]:53->53/udp',
  );
  assert.equal(port({ hostPort: 80, containerPort: 8080, count: 3 }), '80-82->8080-8082');
});

test('JSON: enums by name, times as text, large numbers whole', () => {
  const json = renderJson([
    Container.create({
      id: 'x',
      rev: 2n ** 63n,
      status: TaskStatus.STOPPED,
      createdAt: { seconds: 0n, nanos: 1 },
      exit: { exitStatus: 3, reason: 1 },
      config: {
        rootfs: { $case: 'image', value: 'busybox' },
        network: { mode: NetworkMode.NONE },
        restartPolicy: { mode: RestartMode.NEVER },
        resources: { memoryLimitBytes: 1024n },
      },
    }),
  ]);
  const [container] = JSON.parse(json);
  assert.equal(container.rev, '9223372036854775808');
  assert.equal(container.status, 'stopped');
  assert.equal(container.createdAt, '1970-01-01T00:00:00.000000001Z');
  assert.equal(container.exit.reason, 'exited');
  assert.equal(container.config.image, 'busybox');
  assert.equal(container.config.rootfs, undefined);
  assert.equal(container.config.network.mode, 'none');
  assert.equal(container.config.restartPolicy.mode, 'never');
  assert.equal(container.config.resources.memoryLimitBytes, 1024);
  assert.match(json, /^\[\n {4}\{\n {8}"id": "x",\n/);
  assert.equal(renderJson([]), '[]\n');
});

test('errors: a sentence, and a hint where there is one', () => {
  const error = new RpcError(Code.NOT_FOUND, 'cannot find container w\x1b: no such container', {
    hint: 'look',
  });
  assert.equal(renderError(error), 'mydocker: cannot find container w\\x1b: no such container\nhint: look\n');
  assert.equal(renderError(new Error('x')), 'mydocker: x\n');
});

test('a range that is published is told once, with what else the container listens on', () => {
  const item = ContainerSummary.create({
    ports: [{ containerPort: 53, hostPort: 9053, count: 3, protocol: PortProtocol.UDP }],
    exposedPorts: [53, 54, 55, 56].map((containerPort) => ({ containerPort, protocol: PortProtocol.UDP })),
  });
  const column = (name: string): string | undefined =>
    containerColumns(false)
      .find((each) => each.name === name)
      ?.of(item);
  assert.equal(column('HostPorts'), '9053-9055->53-55/udp, 56/udp');
  assert.equal(column('Ports'), '0.0.0.0:9053-9055->53-55/udp, 56/udp');
});
