/** From arguments to the configuration that create sends. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ConfigFields, containerConfig } from '../../../client/container-config.ts';
import { CREATE_OPTIONS } from '../../../client/grammar/container-options.ts';
import { parseArguments } from '../../../client/grammar/parse-arguments.ts';
import { UsageError } from '../../../client/usage-error.ts';
import { VERSION } from '../../../client/version.ts';
import { NetworkMode } from '../../../proto/gen/mydocker/v1/config.ts';
import { NetworkAttachment } from '../../../proto/gen/mydocker/v1/types.ts';
import { PROJECT } from '../../harness/cli.ts';

const config = (line: string, env: Record<string, string> = {}, detached = false): ConfigFields => {
  const args = parseArguments(CREATE_OPTIONS, line.split(' ').filter(Boolean), { interspersed: false });
  return containerConfig(args, detached, { env, folder: '/here' });
};

test('the first argument is the image, the others are the command', () => {
  const { rootfs, command, entrypoint } = config('busybox echo a');
  assert.deepEqual(rootfs, { $case: 'image', value: 'busybox' });
  assert.deepEqual(command, { values: ['echo', 'a'] });
  assert.equal(entrypoint, undefined);
  assert.equal(config('busybox').command, undefined);
});

test('with --image, --rootfs or MYDOCKER_IMAGE all are the command', () => {
  assert.deepEqual(config('--image busybox echo').command, { values: ['echo'] });
  assert.deepEqual(config('--rootfs tree echo').rootfs, { $case: 'rootfsDir', value: '/here/tree' });
  assert.deepEqual(config('echo', { MYDOCKER_IMAGE: 'busybox' }).rootfs, {
    $case: 'image',
    value: 'busybox',
  });
  assert.deepEqual(config('--image other echo', { MYDOCKER_IMAGE: 'busybox' }).rootfs?.value, 'other');
  assert.throws(() => config('--image a --rootfs b c'), UsageError);
  assert.throws(() => config(''), /no image given/);
});

test('streams: input is closed with the first client only where one stays', () => {
  const { terminal, openStdin, stdinOnce } = config('-it busybox');
  assert.deepEqual([terminal, openStdin, stdinOnce], [true, true, false]);
  assert.equal(config('-i busybox').stdinOnce, true);
  assert.equal(config('-i busybox', {}, true).stdinOnce, false);
  assert.equal(config('busybox').openStdin, false);
});

test('entrypoint: given, and given empty', () => {
  assert.deepEqual(config('--entrypoint /bin/x busybox').entrypoint, { values: ['/bin/x'] });
  assert.deepEqual(config('--entrypoint= busybox').entrypoint, { values: [] });
});

test('networks', () => {
  assert.equal(config('busybox').network, undefined);
  assert.deepEqual(config('-net none busybox').network, { mode: NetworkMode.NONE });
  assert.deepEqual(config('--network host busybox').network, { mode: NetworkMode.HOST });
  assert.deepEqual(config('--net container:web busybox').network, {
    mode: NetworkMode.CONTAINER,
    container: 'web',
  });
  const wanted = (line: string): unknown => config(`${line} busybox`).network?.attachments;
  const place = (fields: object): NetworkAttachment => NetworkAttachment.create(fields);
  assert.deepEqual(wanted('--net a --net b'), [place({ network: 'a' }), place({ network: 'b' })]);
  assert.deepEqual(
    wanted(
      '--net a --net b,ip=10.0.0.7,alias=x,alias=y --ip 10.1.0.7 --network-alias www --mac-address 02:00:00:00:00:01',
    ),
    [
      place({ network: 'a', ipv4Address: '10.1.0.7', macAddress: '02:00:00:00:00:01', aliases: ['www'] }),
      place({ network: 'b', ipv4Address: '10.0.0.7', aliases: ['x', 'y'] }),
    ],
  );
  assert.deepEqual(wanted('--ip6 fd00::7'), [place({ network: 'default', ipv6Address: 'fd00::7' })]);
  assert.deepEqual(wanted('--net name=a,interface=lan0'), [place({ network: 'a', interfaceName: 'lan0' })]);
  assert.throws(() => config('--net a,nonsense busybox'), UsageError);
  assert.throws(() => config('--net host --ip 10.0.0.1 busybox'), UsageError);
  assert.throws(() => config('--net none --net a busybox'), UsageError);
});

test('limits: Docker’s and the ancestors’ spellings', () => {
  assert.equal(config('busybox').resources, undefined);
  assert.deepEqual(config('-m 1g -c 512 --cpus 1.5 --cpuset-cpus 0-1 --pids-limit 10 busybox').resources, {
    memoryLimitBytes: 1n << 30n,
    cpuShares: 512,
    nanoCpus: 1_500_000_000n,
    cpusetCpus: '0-1',
    pidsMax: 10n,
  });
  assert.deepEqual(config('-mem 100m -cpushare 2 -cpu 50 -cpuset 0 --pids-max 0 busybox').resources, {
    memoryLimitBytes: 100n << 20n,
    cpuShares: 2,
    nanoCpus: 500_000_000n,
    cpusetCpus: '0',
    pidsMax: -1n,
  });
  assert.throws(() => config('--cpus 1 --cpu 50 busybox'), UsageError);
});

test('the rest', () => {
  const it = config(
    '--hostname h -w /w -u 1:2 --read-only --rm -s overlay2 --stop-timeout 3 --stop-signal INT -l a=b -e A=1 -v /a:/b busybox',
  );
  assert.deepEqual(
    [it.hostname, it.workingDir, it.user, it.readOnlyRootfs, it.autoRemove, it.storageDriver],
    ['h', '/w', '1:2', true, true, 'overlay'],
  );
  assert.deepEqual([it.stopTimeoutMs, it.stopSignal, it.labels, it.env], [3000, 'INT', { a: 'b' }, ['A=1']]);
  assert.equal(it.mounts?.length, 1);
  assert.equal(config('--stop-timeout -1 busybox').stopTimeoutMs, -1);
});

test('the client’s version is the package’s', () => {
  const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8'));
  assert.equal(VERSION, version);
});
