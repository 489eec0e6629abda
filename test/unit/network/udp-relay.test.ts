/** Datagrams that are passed on: every caller is answered, nobody keeps others out for long, and nothing is kept for ever. */
import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { udpRelay } from '../../../server/network/udp-relay.ts';

const LIMITS = { callers: 2, unansweredMs: 60_000, answeredMs: 60_000, queuedBytes: 1 << 20 };

async function open(): Promise<{ readonly socket: Socket; readonly port: number }> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { socket, port: socket.address().port };
}

/** A service that answers with the port of whoever asks, unless it is asked for nothing, and a relay before it. */
async function ground(limits = LIMITS) {
  const [front, service, other] = [await open(), await open(), await open()];
  for (const { socket, port } of [service, other])
    socket.on('message', (message, from) => {
      if (message.length > 0) socket.send(`${port} ${from.port}`, from.port, from.address);
    });
  const relay = udpRelay(front.socket, () => false, limits);
  const target = { address: '127.0.0.1', port: service.port };
  front.socket.on('message', (message, from) => relay.pass(message, from, target));
  const callers: Socket[] = [];
  return {
    relay,
    target,
    service,
    other,
    front,
    call: async () => {
      const { socket } = await open();
      callers.push(socket);
      return {
        say: (text: string) => socket.send(text, front.port, '127.0.0.1'),
        ask: async () => {
          socket.send('who', front.port, '127.0.0.1');
          return String((await once(socket, 'message'))[0]);
        },
      };
    },
    end: () => {
      relay.end();
      for (const { socket } of [front, service, other]) socket.close();
      for (const socket of callers) socket.close();
    },
  };
}

test('each caller has a conversation of his own, which goes on', async () => {
  const { relay, call, service, other, target, end } = await ground();
  const [one, two] = [await call(), await call()];
  const [first, second] = [await one.ask(), await two.ask()];
  assert.notEqual(first, second);
  assert.deepEqual([await one.ask(), await two.ask()], [first, second]);
  // Where the port leads elsewhere, so do its callers.
  target.port = other.port;
  assert.match(await one.ask(), new RegExp(`^${other.port} `));
  target.port = service.port;
  relay.end();
  assert.equal(relay.size(), 0);
  assert.match(await two.ask(), new RegExp(`^${service.port} `));
  end();
});

test('one caller too many is not heard, and those who are there are', async () => {
  const { relay, call, end } = await ground();
  const [one, two, three] = [await call(), await call(), await call()];
  const [first] = [await one.ask(), await two.ask()];
  three.say('who');
  assert.equal(await one.ask(), first);
  assert.equal(relay.size(), 2);
  end();
});

test('who says nothing is forgotten, sooner where nobody answers', async () => {
  const { relay, call, front, end } = await ground({ ...LIMITS, unansweredMs: 50 });
  const [quiet, heard] = [await call(), await call()];
  const answer = await heard.ask();
  quiet.say('');
  await once(front.socket, 'message');
  assert.equal(relay.size(), 2);
  while (relay.size() !== 1) await sleep(5);
  assert.equal(await heard.ask(), answer);
  end();
  const short = await ground({ ...LIMITS, answeredMs: 50 });
  const caller = await short.call();
  await caller.ask();
  while (short.relay.size() !== 0) await sleep(5);
  short.end();
});
