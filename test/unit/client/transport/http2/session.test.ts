/** The client's own HTTP/2 against Node's, which is nghttp2: headers of any kind and length, windows, pings, endings. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import {
  constants,
  createServer,
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FrameSplitter } from '../../../../../client/transport/http2/frame.ts';
import { decodeHeaders, encodeHeaders } from '../../../../../client/transport/http2/hpack.ts';
import { Http2Session } from '../../../../../client/transport/http2/session.ts';
import type { Http2Stream } from '../../../../../client/transport/http2/stream.ts';

const TEXT = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
const folder = mkdtempSync(join(tmpdir(), 'mydocker-http2-'));
const path = join(folder, 's');
let server: Http2Server;
let peer: ServerHttp2Session | undefined;
let handle: (stream: ServerHttp2Stream, headers: Record<string, unknown>) => void = () => {};
let ended: Error | undefined;
let session: Http2Session;

const open = (): Http2Session =>
  new Http2Session(connect(path), (error) => {
    ended = error;
  });
const ask = (more: [string, string][] = []): Http2Stream =>
  session.request([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':authority', 'localhost'],
    [':path', '/x'],
    ...more,
  ]);

async function read(stream: Http2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream.chunks()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

before(async () => {
  server = createServer({
    paddingStrategy: constants.PADDING_STRATEGY_MAX,
    settings: { initialWindowSize: 1 << 20 },
    maxSessionMemory: 100,
  });
  server.on('session', (opened) => {
    peer = opened;
    opened.on('error', () => {});
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    handle(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  session = open();
});
after(() => {
  session.destroy();
  server.close();
  rmSync(folder, { recursive: true });
});

test('every character that a header may hold comes through, compressed or not', async () => {
  // Node compresses what becomes shorter; single rare characters do not.
  const values = [TEXT, ...TEXT.trim()].map((value, index): [string, string] => [
    `x-${index}`,
    value.trim() || '-',
  ]);
  handle = (stream) => {
    stream.respond(Object.fromEntries(values), { endStream: true });
  };
  const stream = ask();
  stream.end();
  await stream.over;
  for (const [name, value] of values) assert.equal(stream.headers.get(name), value);
  assert.equal(stream.headers.get(':status'), '200');
});

test('a request’s headers arrive, also long ones', async () => {
  let seen: Record<string, unknown> = {};
  handle = (stream, headers) => {
    seen = headers;
    stream.respond({}, { endStream: true });
  };
  const long = 'v'.repeat(3000);
  const stream = ask([
    ['te', 'trailers'],
    ['x-long', long],
    ['x-short', 'a'],
  ]);
  stream.end();
  await stream.over;
  assert.equal(seen['x-long'], long);
  assert.equal(seen[':path'], '/x');
});

test('headers of many frames are put together', async () => {
  const long = TEXT.trim().repeat(500);
  handle = (stream) => {
    stream.respond({ 'x-long': long }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-end': long }));
    stream.end('data');
  };
  const stream = ask();
  stream.end();
  assert.equal((await read(stream)).toString(), 'data');
  assert.equal(stream.headers.get('x-long'), long);
  assert.equal(stream.headers.get('x-end'), long);
});

test('data is whole both ways, though padded and in small windows', async () => {
  const sent = Buffer.from(Array.from({ length: 5 << 20 }, (_, index) => index * 7));
  handle = (stream) => {
    stream.respond({});
    stream.pipe(stream);
  };
  const stream = ask();
  const writing = (async () => {
    for (let at = 0; at < sent.length; at += 100_001) await stream.write(sent.subarray(at, at + 100_001));
    stream.end();
  })();
  assert.ok((await read(stream)).equals(sent));
  await writing;
});

test('one stream that nobody reads does not hold up another one', async () => {
  handle = (stream) => {
    stream.respond({});
    stream.end(Buffer.alloc(20 << 20));
  };
  const first = ask();
  first.end();
  await sleep(100);
  handle = (stream) => {
    stream.respond({});
    stream.end('quick');
  };
  const second = ask();
  second.end();
  assert.equal((await read(second)).toString(), 'quick');
  assert.equal((await read(first)).length, 20 << 20);
});

test('a ping is answered', async () => {
  await new Promise<void>((resolve, reject) => {
    peer?.ping((error) => (error === null ? resolve() : reject(error)));
  });
});

test('a reset ends a stream with its code, and what came before can be read', async () => {
  handle = (stream) => {
    stream.respond({});
    stream.write('before');
    setTimeout(() => stream.destroy(new Error('broken')), 50);
  };
  const stream = ask();
  assert.equal((await read(stream)).toString(), 'before');
  assert.equal(stream.resetCode, constants.NGHTTP2_INTERNAL_ERROR);
  assert.equal(await stream.write(Buffer.from('x')), false);
});

test('cancel is seen by the other side', async () => {
  const closed = new Promise<number | undefined>((resolve) => {
    handle = (stream) => {
      stream.respond({});
      stream.on('close', () => resolve(stream.rstCode));
    };
  });
  const stream = ask();
  await sleep(30);
  stream.cancel();
  assert.equal(await closed, constants.NGHTTP2_CANCEL);
  assert.equal(stream.isOver, true);
});

test('a server that goes away finishes what it began and gets no more', async () => {
  const mine = open();
  const other = session;
  session = mine;
  handle = (stream) => {
    stream.respond({});
    peer?.goaway(0, stream.id ?? 0);
    setTimeout(() => stream.end('last'), 50);
  };
  const stream = ask();
  stream.end();
  assert.equal((await read(stream)).toString(), 'last');
  assert.equal(mine.isClosed, true);
  mine.destroy();
  session = other;
});

test('a connection that breaks ends every stream', async () => {
  const mine = open();
  const other = session;
  session = mine;
  ended = undefined;
  handle = (stream) => {
    stream.respond({});
    setTimeout(() => peer?.destroy(), 20);
  };
  const stream = ask();
  assert.equal((await read(stream)).length, 0);
  assert.equal(stream.resetCode, undefined);
  assert.ok(ended !== undefined);
  session = other;
});

test('header blocks that lie are refused', () => {
  assert.deepEqual(decodeHeaders(encodeHeaders([['a', 'b'.repeat(1000)]])), [['a', 'b'.repeat(1000)]]);
  assert.deepEqual(decodeHeaders(Buffer.of(0x88, 0x20)), [[':status', '200']]);
  for (const bytes of [
    [0x80 | 62], // a field of the dynamic table, which is empty
    [0, 5, 97], // a name that is cut off
    [0, 1, 97], // a value that is not there
    [0, 0x82, 0xff, 0xff, 0], // padding of more than 7 bits
    [0, 0x84, 0xff, 0xff, 0xff, 0xff, 0], // the end-of-string symbol
    [0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // a number without end
  ]) {
    assert.throws(() => decodeHeaders(Buffer.from(bytes)), Error, Buffer.from(bytes).toString('hex'));
  }
});

test('frames are cut the same however they arrive', () => {
  const bytes = Buffer.from('0000030105000000017879ff000000040000000000', 'hex');
  for (let size = 1; size <= bytes.length; size += 1) {
    const splitter = new FrameSplitter();
    const frames = [];
    for (let at = 0; at < bytes.length; at += size)
      frames.push(...splitter.split(bytes.subarray(at, at + size)));
    assert.deepEqual(
      frames.map(({ type, flags, streamId, payload }) => [type, flags, streamId, payload.toString('hex')]),
      [
        [1, 5, 1, '7879ff'],
        [4, 0, 0, ''],
      ],
    );
  }
  assert.throws(
    () => [...new FrameSplitter().split(Buffer.from('HTTP/1.1 400 Bad'))],
    /does not speak HTTP\/2/,
  );
});
