/** `--mount`, `--tmpfs` and `--add-host`: strict, and the error names what is wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHost } from '../../../../client/parse/parse-host.ts';
import { parseMount, parseTmpfs } from '../../../../client/parse/parse-mount.ts';
import { parseVolumes } from '../../../../client/parse/parse-volume.ts';
import { MountPropagation } from '../../../../proto/gen/mydocker/v1/config.ts';

const mount = (text: string): ReturnType<typeof parseMount> => parseMount(text, '/here');

test('the three types of --mount', () => {
  assert.deepEqual(mount('type=bind,source=/a,target=/b,readonly,bind-propagation=rslave'), {
    destination: '/b',
    readOnly: true,
    source: {
      $case: 'bind',
      value: {
        ...{ source: '/a', requireSource: true, propagation: MountPropagation.RSLAVE },
        ...{ nonRecursive: false, readOnlyTop: false },
      },
    },
  });
  assert.deepEqual(mount('dst=/v,volume-nocopy'), {
    destination: '/v',
    readOnly: false,
    source: { $case: 'volume', value: { name: '', noCopy: true, subpath: '', options: {}, labels: {} } },
  });
  assert.deepEqual(mount('Type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=0755,ro=true'), {
    destination: '/t',
    readOnly: true,
    source: { $case: 'tmpfs', value: { sizeBytes: 1n << 20n, mode: 0o755 } },
  });
  assert.equal(mount('type=bind,src=./x,dst=/b,ro=0').readOnly, false);
  const { source } = mount('type=bind,src=./x,dst=/b,bind-nonrecursive=1');
  assert.ok(source?.$case === 'bind' && source.value?.source === '/here/x' && source.value.nonRecursive);
  const quoted = mount('type=bind,"src=/a,""b""",dst=/b').source;
  assert.ok(quoted?.$case === 'bind' && quoted.value?.source === '/a,"b"');
});

test('idmap as podman writes it', () => {
  const maps = 'idmap=uids=0-1-10#10-11-10;gids=0-100-10';
  const wanted = {
    uids: [
      { containerId: 0, hostId: 1, count: 10 },
      { containerId: 10, hostId: 11, count: 10 },
    ],
    gids: [{ containerId: 0, hostId: 100, count: 10 }],
  };
  assert.deepEqual(mount(`type=bind,src=/a,dst=/b,${maps}`).idMap, wanted);
  assert.deepEqual(mount(`src=v,dst=/b,${maps}`).idMap, wanted);
  assert.deepEqual(parseVolumes(`/a:/b:ro,${maps}`, '/')[0]?.idMap, wanted);
  assert.deepEqual(mount('src=v,dst=/b,idmap=gids=@5-6-1').idMap, {
    uids: [],
    gids: [{ containerId: 5, hostId: 6, count: 1 }],
  });
  assert.deepEqual(mount('src=v,dst=/b,idmap').idMap, { uids: [], gids: [] });
  assert.equal(mount('src=v,dst=/b').idMap, undefined);
});

test('what is wrong with a --mount is named', () => {
  for (const [text, said] of [
    ['', /empty part/],
    ['type=bind,src=/a', /target is missing/],
    ['type=bind,dst=/a', /source is missing/],
    ['type=bind,src=a,dst=/b', /source "a" is not absolute/],
    ['type=bind,src=/a,dst=b', /target "b" is not absolute/],
    ['type=npipe,src=/a,dst=/b', /unknown type "npipe"/],
    ['type=bind,src=/a,dst=/b,colour=red', /unknown key "colour"/],
    ['type=bind,src=/a,src=/c,dst=/b', /source is given twice/],
    ['type=bind,source=/a,src=/c,dst=/b', /source is given twice/],
    ['type=bind,src,dst=/b', /source has no value/],
    ['type=bind,src=/a,dst=/b,readonly=maybe', /readonly is true or false, not "maybe"/],
    ['type=bind,src=/a,dst=/b,bind-propagation=all', /unknown bind-propagation "all"/],
    ['type=bind,src=/a,dst=/b,tmpfs-size=1m', /tmpfs-size does not go with type=bind/],
    ['type=tmpfs,src=/a,dst=/b', /source does not go with type=tmpfs/],
    ['type=tmpfs,dst=/b,tmpfs-size=big', /invalid size "big" for tmpfs-size/],
    ['type=tmpfs,dst=/b,tmpfs-size=-1', /negative/],
    ['type=tmpfs,dst=/b,tmpfs-mode=999', /tmpfs-mode is octal/],
    ['type=volume,dst=/b,volume-driver=nfs', /there is no volume-driver "nfs"/],
    ['type=volume,dst=/b,volume-opt=a', /volume-opt is KEY=VALUE/],
    ['type=bind,src=/a,dst=/b,bind-recursive=writable', /readonly is missing/],
    ['type=bind,src=/a,dst=/b,bind-recursive=deep', /bind-recursive is enabled, disabled/],
    ['type=tmpfs,dst=/b,idmap', /idmap does not go with type=tmpfs/],
    ['src=v,dst=/b,idmap=pids=0-1-1', /uids= and gids=, not "pids=0-1-1"/],
    ['src=v,dst=/b,idmap=uids=0-1', /DISK-INSIDE-COUNT, not "0-1"/],
    ['src=v,dst=/b,idmap=uids=0-1-0', /DISK-INSIDE-COUNT/],
    ['src=v,dst=/b,idmap=uids=0-4294967296-1', /has no such ids/],
    ['src=v,dst=/b,idmap=uids=0-1-1;uids=0-1-1', /uids twice/],
    ['type=bind,"src=/a,dst=/b', /quote/],
    ['type=bind,src=/a"b",dst=/b', /quote/],
    ['type=bind,src=/a,,dst=/b', /empty part/],
    ['type=bind,src=/a,__proto__=x,dst=/b', /unknown key "__proto__"/],
  ] as const)
    assert.throws(() => mount(text), said, text);
});

test('--tmpfs', () => {
  assert.deepEqual(parseTmpfs('/run'), {
    destination: '/run',
    readOnly: false,
    source: { $case: 'tmpfs', value: { options: [] } },
  });
  assert.deepEqual(parseTmpfs('/run:rw,size=64k,mode=700,exec,uid=5'), {
    destination: '/run',
    readOnly: false,
    source: { $case: 'tmpfs', value: { sizeBytes: 65_536n, mode: 0o700, options: ['exec', 'uid=5'] } },
  });
  assert.equal(parseTmpfs('/run:rw,ro').readOnly, true);
  const { source } = parseTmpfs('/run:size=50%');
  assert.deepEqual(source?.$case === 'tmpfs' ? source.value?.options : [], ['size=50%']);
  assert.throws(() => parseTmpfs('run'), /not absolute/);
  assert.throws(() => parseTmpfs('/run:mode=x'), /mode is octal/);
  assert.throws(() => parseTmpfs('/run:size=x'), /invalid size/);
});

test('--add-host', () => {
  assert.deepEqual(parseHost('db:10.0.0.7'), { hostname: 'db', address: '10.0.0.7' });
  assert.deepEqual(parseHost('db=::1'), { hostname: 'db', address: '::1' });
  assert.deepEqual(parseHost('db:[::1]'), { hostname: 'db', address: '::1' });
  assert.deepEqual(parseHost('db:::1'), { hostname: 'db', address: '::1' });
  for (const text of ['', 'db', 'db:', ':1.2.3.4', '=1'])
    assert.throws(() => parseHost(text), /NAME:ADDRESS/);
});

test('options of podman: copy is so anyway, another says what would do', () => {
  assert.deepEqual(parseVolumes('data:/v:copy', '/'), parseVolumes('data:/v', '/'));
  assert.throws(() => parseVolumes('data:/v:U', '/'), { hint: /idmap/ });
  for (const [text, why] of [
    ['/a:/v:ro,rw', /exclude each other/],
    ['data:/v:rslave', /propagation/],
  ] as const)
    assert.throws(() => parseVolumes(text, '/'), why);
  assert.deepEqual(parseVolumes('data:/v:rw', '/'), parseVolumes('data:/v', '/'));
});
