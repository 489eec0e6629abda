/** Which group a process is in, by /proc/self/cgroup: the one that may be joined without a change. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readCgroupLayout } from '../../../server/cgroup/layout.ts';
import { joinWarmer, ownGroup } from '../../../server/cgroup/warm-joins.ts';

const TEXT = '9:name=systemd:/a b\n4:memory:/x/y:z\n2:cpu,cpuacct:/\n1:cpuset:/../other\n0::/unified\n';

test('the own group is read by its controllers, whatever its path looks like', () => {
  assert.equal(ownGroup(TEXT, ['memory']), '/x/y:z');
  assert.equal(ownGroup(TEXT, ['cpu', 'cpuacct']), '/');
  assert.equal(ownGroup(TEXT, ['name=systemd']), '/a b');
  assert.equal(ownGroup(TEXT, ['cpu']), undefined);
});

test('a group outside of the view has no path to join it by', () => {
  assert.equal(ownGroup(TEXT, ['cpuset']), undefined);
});

test('warming moves nobody', async () => {
  const before = readFileSync('/proc/self/cgroup', 'utf8');
  const warm = joinWarmer(readCgroupLayout());
  for (let i = 0; i < 3; i += 1) {
    warm();
    await sleep(30);
  }
  assert.equal(readFileSync('/proc/self/cgroup', 'utf8'), before);
});
