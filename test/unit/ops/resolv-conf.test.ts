import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { containerResolvConf, hostDns, parseResolvConf } from '../../../server/ops/resolv-conf.ts';

const folder = mkdtempSync(join(tmpdir(), 'mydocker-resolv-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const made = (host: string, resolved?: string): string =>
  containerResolvConf(
    undefined,
    hostDns(
      file('host', host),
      resolved === undefined ? join(folder, 'nothing') : file('resolved', resolved),
    ),
  );

test('resolv.conf is read as the resolver reads it', () => {
  const text =
    '# a comment\nnameserver 1.2.3.4 ; more\n\nnameserver\t2001:db8::1\ndomain old.example\n' +
    'search a.example b.example\noptions ndots:2 rotate\noptions edns0\nsortlist 1.2.3.0\n';
  assert.deepEqual(parseResolvConf(text), {
    servers: ['1.2.3.4', '2001:db8::1'],
    search: ['a.example', 'b.example'],
    options: ['ndots:2', 'rotate', 'edns0'],
  });
});

test('the servers of the host are the container’s, but for those on the loopback', () => {
  assert.equal(
    made('nameserver 127.0.0.1\nnameserver 192.0.2.1\nsearch lan\noptions ndots:1\n'),
    'nameserver 192.0.2.1\nsearch lan\noptions ndots:1\n',
  );
  const fallback = 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n';
  for (const host of [
    '',
    'nameserver 127.0.0.1\n',
    'nameserver ::1\nnameserver fe80::1%eth0\n',
    'search .\n',
  ])
    assert.equal(made(host), fallback, host);
  assert.equal(containerResolvConf(undefined, hostDns('/nonexistent')), fallback);
});

test('the stub of systemd-resolved is followed to whom it asks', () => {
  const stub = 'nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch corp\n';
  assert.equal(
    made(stub, 'nameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch corp\n'),
    'nameserver 192.0.2.53\nnameserver 192.0.2.54\nsearch corp\n',
  );
  assert.equal(made(stub), 'nameserver 8.8.8.8\nnameserver 8.8.4.4\nsearch corp\noptions edns0\n');
});

test('what is asked for replaces the host’s, each kind by itself', () => {
  const host = { servers: ['192.0.2.1'], search: ['lan'], options: ['rotate'] };
  const none = { servers: [], search: [], options: [] };
  assert.equal(
    containerResolvConf({ ...none, servers: ['127.0.0.1', '9.9.9.9'] }, host),
    'nameserver 127.0.0.1\nnameserver 9.9.9.9\nsearch lan\noptions rotate\n',
  );
  assert.equal(
    containerResolvConf({ servers: [], search: ['.'], options: ['ndots:5'] }, host),
    'nameserver 192.0.2.1\noptions ndots:5\n',
  );
});
