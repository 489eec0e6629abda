/**
 * Answers that no registry would give, byte by byte as they come over the wire: each ends in a sentence that names the
 * registry, soon, with as much memory as before, and leads nowhere else.
 */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, test } from 'node:test';
import { digestOf } from '../../../server/model/digest.ts';
import { MydockerError } from '../../../server/model/error.ts';
import { REGISTRY_LIMITS, type RegistryLimits } from '../../../server/model/registry.ts';
import { createRegistryAccess } from '../../../server/registry/registries.ts';
import type { Repository } from '../../../server/registry/repository.ts';

const LIMITS = {
  ...REGISTRY_LIMITS,
  ...{ pauseMs: 1, retryAfterMs: 5, tries: 1 },
  ...{ documentBytes: 65_536, tokenBytes: 4096, tags: 20, headerBytes: 16_384 },
};
/** For what ends by them alone; a slow machine must not be taken for it elsewhere. */
const IMPATIENT = { ...LIMITS, answerMs: 1500, idleMs: 1000, slowMs: 2000 };
const CREDENTIALS = { username: 'me', password: 'correct-horse', identityToken: '', registryToken: '' };
const GROWN_BYTES = 96 << 20;

/** What was asked, and how it is answered. */
type Answer = (socket: Socket, request: string) => void;
let server: Server;
/** By repository: its name is in the path, or in the scope of a token. */
const answers = new Map<string, Answer>();
const seen = new Map<string, string[]>();
const open = new Set<Socket>();
before(async () => {
  server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
    let request = '';
    socket.on('data', (bytes) => {
      request += bytes.toString('latin1');
      // A client that tries TLS first hears that this is none.
      if (request.startsWith('\x16')) return void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
      if (!request.includes('\r\n\r\n')) return;
      const asked = request;
      request = '';
      const name = /case-\d+/.exec(asked)?.[0] ?? '';
      seen.get(name)?.push(asked);
      answers.get(name)?.(socket, asked);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  for (const socket of open) socket.destroy();
});
after(() => server.close());

const port = (): number => (server.address() as AddressInfo).port;
/** @returns a repository that answers so, and what it is asked. */
function repository(answer: Answer, limits: RegistryLimits = LIMITS): [from: Repository, asked: string[]] {
  const name = `case-${answers.size}`;
  const asked: string[] = [];
  answers.set(name, answer);
  seen.set(name, asked);
  return [createRegistryAccess({}, limits).repository(`localhost:${port()}`, name, CREDENTIALS), asked];
}
const text =
  (...parts: string[]): Answer =>
  (socket) =>
    socket.write(parts.join('\r\n'));
/** The same bytes until nobody wants them any more. */
const flood =
  (head: string, more: string): Answer =>
  (socket) => {
    socket.write(head);
    const go = (): void => {
      if (!socket.destroyed) socket.write(more, () => setImmediate(go));
    };
    go();
  };
const drip =
  (head: string, more: string, ms: number): Answer =>
  (socket) => {
    socket.write(head);
    const timer = setInterval(() => socket.write(more), ms);
    socket.on('close', () => clearInterval(timer));
  };
const OK = 'HTTP/1.1 200 OK\r\n';
const TYPE = 'Content-Type: application/vnd.oci.image.manifest.v1+json\r\n';

/** @returns the error in words. */
async function failing(
  answer: Answer,
  work: (from: Repository) => Promise<unknown> = (from) => from.document('1'),
  limits: RegistryLimits = LIMITS,
): Promise<string> {
  const [from, asked] = repository(answer, limits);
  const error = await work(from).then(
    () => 'nothing was wrong',
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MydockerError, String(error));
  const told = JSON.stringify([error.message, error.hint, error.metadata]);
  assert.match(told, new RegExp(`registry localhost:${port()}`));
  assert.doesNotMatch(told, /correct-horse|bWU6Y29ycmVjdC1ob3JzZQ/);
  assert.ok(asked.length <= 25, `${asked.length} requests`);
  return error.message;
}

type Case = readonly [what: string, answer: Answer, says: RegExp];
/** Of documents; they end when we have waited for long enough. */
const WAITING: readonly Case[] = [
  ['nothing', () => undefined, /no answer in 1500 ms/],
  ['a head that drips', drip(OK, 'X-A: b\r\n', 20), /no answer in 1500 ms/],
  ['hints without end', flood('', 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'), /no answer in 1500 ms/],
  ['continues without end', drip('', 'HTTP/1.1 100 Continue\r\n\r\n', 5), /no answer in 1500 ms/],
  [
    'a body that drips',
    drip(`${OK}${TYPE}Content-Length: 5000\r\n\r\n`, 'x', 50),
    /only \d+ bytes came|no answer/,
  ],
  [
    'a body that stops',
    text(`${OK}${TYPE}Content-Length: 50\r\n\r\n{`),
    /nothing came for 1000 ms|no answer/,
  ],
  [
    'chunks without end',
    flood(`${OK}${TYPE}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n'),
    /longer than 65536|only|no answer/,
  ],
];
const DOCUMENTS: readonly Case[] = [
  ['a head without end', flood(OK, `X-A: ${'b'.repeat(500)}\r\n`), /HPE_HEADER_OVERFLOW/],
  ['a line without end', flood(`${OK}X-A: `, 'b'.repeat(5000)), /HPE_HEADER_OVERFLOW/],
  ['a body without end', flood(`${OK}${TYPE}\r\n`, ' '.repeat(60_000)), /longer than 65536 bytes/],
  [
    'a chunk’s extension without end',
    flood(`${OK}${TYPE}Transfer-Encoding: chunked\r\n\r\n1;`, 'x'.repeat(5000)),
    /the connection broke/,
  ],
  [
    'trailers without end',
    flood(`${OK}${TYPE}Transfer-Encoding: chunked\r\n\r\n0\r\n`, `X-A: ${'b'.repeat(500)}\r\n`),
    /the connection broke/,
  ],
  [
    'a length that is huge',
    flood(`${OK}${TYPE}Content-Length: 9007199254740991\r\n\r\n`, ' '.repeat(60_000)),
    /longer than/,
  ],
  ['a length that is none', text(`${OK}Content-Length: -1`, '', ''), /no HTTP: HPE_/],
  ['two lengths', text(`${OK}Content-Length: 1`, 'Content-Length: 2', '', 'xx'), /no HTTP: HPE_/],
  [
    'a length and chunks',
    text(`${OK}Content-Length: 5`, 'Transfer-Encoding: chunked', '', '0', '', ''),
    /no HTTP: HPE_/,
  ],
  ['a bare line feed in a value', text(`${OK}X-A: b\n c\r\n\r\n`), /no HTTP: HPE_|is no/],
  ['another protocol', text('ICY 200 OK', '', ''), /no HTTP: HPE_/],
  [
    'another protocol from now on',
    text('HTTP/1.1 101 Switching Protocols', 'Upgrade: x', 'Connection: Upgrade', '', 'x'),
    /registry/,
  ],
  ['a part', text('HTTP/1.1 206 Partial Content', 'Content-Length: 2', '', '{}'), /status 206/],
  ['no content', text('HTTP/1.1 204 No Content', '', ''), /status 204/],
  ['not modified', text('HTTP/1.1 304 Not Modified', '', ''), /status 304/],
  [
    'packed',
    text(`${OK}${TYPE}Content-Encoding: gzip`, 'Content-Length: 1', '', 'x'),
    /content encoding gzip/,
  ],
  [
    'a digest of its own',
    text(`${OK}${TYPE}Docker-Content-Digest: sha256:zz`, 'Content-Length: 2', '', '{}'),
    /has the digest/,
  ],
  ['an end', (socket) => socket.end(), /the connection broke/],
  ['a reset', (socket) => socket.resetAndDestroy(), /the connection broke/],
  ...[
    '',
    '//evil.example:99999/',
    'http://',
    'ftp://evil.example/',
    'unix:/run/x.sock',
    'file:///etc/passwd',
    'data:,x',
    'javascript:1',
    'http://me@evil.example/',
    'http://:x@evil.example/',
  ].map(
    (location): Case => [
      `a way to ${location}`,
      text('HTTP/1.1 302 Found', `Location: ${location}`, 'Content-Length: 0', '', ''),
      /it redirects (to|more than)/,
    ],
  ),
  [
    'a way round',
    text('HTTP/1.1 308 Permanent Redirect', 'Location: 1', 'Content-Length: 0', '', ''),
    /redirects more than 5 times/,
  ],
];

test('documents', async () => {
  const { rss } = process.memoryUsage();
  for (const [what, answer, says] of DOCUMENTS) assert.match(await failing(answer), says, what);
  assert.ok(process.memoryUsage().rss - rss < GROWN_BYTES, 'memory has grown');
});

test('documents that do not come', async () => {
  const wait = (answer: Answer): Promise<string> => failing(answer, (from) => from.document('1'), IMPATIENT);
  const told = await Promise.all(WAITING.map(([, answer]) => wait(answer)));
  for (const [index, [what, , says]] of WAITING.entries()) assert.match(told[index] ?? '', says, what);
});

const page = (tags: unknown, link: string): string => {
  const body = JSON.stringify({ name: 'app', tags });
  return `${OK}Link: ${link}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

test('tags without end, and pages that lead to themselves or nowhere', async () => {
  let count = 0;
  const endless: Answer = (socket) => {
    count += 1;
    socket.write(page([`t${count}`], `</v2/app/tags/list?last=t${count}>; rel="next"`));
  };
  const tags = (from: Repository): Promise<unknown> => from.tags();
  assert.match(await failing(endless, tags), /more than 20 tags/);
  for (const some of [['one'], null]) {
    const [from] = repository((socket) => socket.write(page(some, '</v2/x/tags/list?n=1>; rel="next"')));
    assert.deepEqual(await from.tags(), some ?? []);
  }
  let pages = 0;
  const [from, asked] = repository((socket) => {
    pages += 1;
    socket.write(page([`t${pages}`], pages > 1 ? '' : '<http://evil.example/x?a=../../y>; rel=next'));
  });
  assert.deepEqual(await from.tags(), ['t1', 't2']);
  assert.match(asked[1] ?? '', /^GET \/v2\/case-\d+\/tags\/list\?a=\.\.\/\.\.\/y HTTP/);
  const unreadable = /list of tags cannot be read/;
  for (const wrong of ['x', [1], ['../x'], ['a'.repeat(129)], [['a']], { a: 1 }])
    assert.match(await failing((socket) => socket.write(page(wrong, '')), tags), unreadable);
  assert.match(await failing(text(`${OK}Content-Length: 60000`, '', '['.repeat(60_000)), tags), unreadable);
});

/** Asks for a token, and answers that as is told. */
const asking =
  (challenge: string, token: Answer): Answer =>
  (socket, request) => {
    if (request.startsWith('GET /token')) token(socket, request);
    else socket.write(`HTTP/1.1 401 Unauthorized\r\n${challenge}\r\nContent-Length: 0\r\n\r\n`);
  };
const bearer = (): string => `WWW-Authenticate: Bearer realm="http://localhost:${port()}/token"`;
const json = (body: string): Answer => text(`${OK}Content-Length: ${Buffer.byteLength(body)}`, '', body);

const WAITS = 2;

test('tokens that are none, or do not come', async () => {
  const cases: [answer: Answer, says: RegExp][] = [
    // These end when we have waited for long enough.
    [() => undefined, /no answer in 1500 ms/],
    [drip(`${OK}Content-Length: 4000\r\n\r\n`, ' ', 50), /only \d+ bytes came|no answer/],
    [flood(`${OK}\r\n`, ' '.repeat(5000)), /longer than 4096 bytes/],
    [json('{"token":"a\\r\\nX: y"}'), /has none in it/],
    [json('{"token":"a b"}'), /has none in it/],
    [json('{"token":"é"}'), /has none in it/],
    [json('{"token":["a"]}'), /has none in it/],
    [json('{"token":""}'), /has none in it/],
    [json('{"__proto__":{"token":"x"},"constructor":{"token":"x"}}'), /has none in it/],
    [json('['.repeat(4000)), /is no JSON/],
    [json('\ufeff{}'), /is no JSON|has none in it/],
    [json('{"token":"never","expires_in":1e400,"refresh_token":"x\\ny"}'), /refresh token that is none/],
    [json('{"token":"never","expires_in":1e400}'), /it refuses the credentials/],
    [json('{"token":"never","expires_in":-1}'), /it refuses the credentials/],
    [
      text('HTTP/1.1 307 Temporary Redirect', 'Location: http://evil.example/', 'Content-Length: 0', '', ''),
      /status 307/,
    ],
    [text('HTTP/1.1 503 Busy', 'Content-Length: 0', '', ''), /answers with status 503/],
  ];
  const told = await Promise.all(
    cases.map(([token], index) =>
      failing(asking(bearer(), token), (from) => from.document('1'), index < WAITS ? IMPATIENT : LIMITS),
    ),
  );
  for (const [index, [, says]] of cases.entries()) assert.match(told[index] ?? '', says, String(index));
});

test('questions for credentials that are none, or too many', async () => {
  const realm = `realm="http://localhost:${port()}/token"`;
  const cases: [challenge: string, says: RegExp][] = [
    ['X-A: b', /refuses|wants credentials|cannot be read/],
    ['WWW-Authenticate: ', /refuses|wants credentials|cannot be read/],
    ['WWW-Authenticate: Bearer', /gives out tokens at/],
    ['WWW-Authenticate: Bearer realm=', /cannot be read/],
    ['WWW-Authenticate: Bearer realm="http://x', /cannot be read/],
    ['WWW-Authenticate: Bearer realm="a"b="c"', /cannot be read/],
    [`WWW-Authenticate: ${'Basic, '.repeat(500)}Basic`, /cannot be read/],
    [
      `WWW-Authenticate: Bearer ${realm}, ${Array.from({ length: 50 }, (_, at) => `a${at}=b`).join(', ')}`,
      /cannot be read/,
    ],
    [
      'WWW-Authenticate: Bearer realm="http://127.0.0.1:1/token"',
      /wants its credentials to be sent to 127.0.0.1/,
    ],
    [`WWW-Authenticate: Bearer realm="https://evil.example/", ${realm}`, /sent to evil.example/],
    [`WWW-Authenticate: Bearer realm="http://localhost@evil.example/"`, /which has a user in it/],
    [`WWW-Authenticate: Bearer realm="http://localhost.evil.example/"`, /sent to localhost.evil.example/],
    ['WWW-Authenticate: Digest realm="x"\r\nWWW-Authenticate: Negotiate', /refuses|wants credentials/],
  ];
  for (const [challenge, says] of cases) {
    const told = await failing(asking(challenge, json('{"token":"never"}')));
    assert.match(told, says, challenge);
  }
  // Of several that which needs no password, whatever comes first.
  const both = `WWW-Authenticate: Basic realm="x"\r\n${bearer()}`;
  const [from, asked] = repository(asking(both, json('{"token":"never"}')));
  await assert.rejects(from.document('1'), /it refuses the credentials/);
  assert.ok(
    asked.every((request) => request.startsWith('GET /token') || !/authorization: Basic/i.test(request)),
  );
});

test('a small blob that is longer, shorter or other than announced', async () => {
  const blob = { digest: digestOf('config'), sizeBytes: 6 };
  const small = (from: Repository): Promise<unknown> => from.smallBlob(blob, 1000);
  for (const body of ['config!', 'confi', 'CONFIG', ''])
    assert.match(await failing(json(body), small), /what it sends for sha256:.* is something else/);
  assert.match(await failing(flood(`${OK}\r\n`, 'x'.repeat(1000)), small), /longer than 1000 bytes/);
  const [from] = repository(json('config'));
  assert.equal(String(await small(from)), 'config');
  await assert.rejects(from.smallBlob({ ...blob, sizeBytes: 2 ** 50 }, 1000), /more than 1000/);
});
