/**
 * Questions about the rest of the world, asked on behalf of containers from where the server stands. Messages pass
 * unread but for their ids; each question has a socket, so a port, of its own, connected to whom it is for.
 */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';

/** How long one server has for its answer, in ms; then the next one is asked. */
const PATIENCE_MS = 2000;
const DNS_PORT = 53;
/** Length that stands before a message over TCP. */
const LENGTH_BYTES = 2;

/** How a message travels. */
export type Transport = 'udp' | 'tcp';

/**
 * @param servers - addresses, asked one after the other.
 * @returns the answer under the question's id; undefined when nobody answers.
 */
export async function forward(
  message: Buffer,
  servers: readonly string[],
  transport: Transport,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  for (const server of servers) {
    if (signal.aborted) return undefined;
    const asked = Buffer.from(message);
    asked.writeUInt16BE(randomInt(0x10000), 0);
    const give = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
    const answer = await (transport === 'udp' ? overUdp(asked, server, give) : overTcp(asked, server, give));
    if (answer === undefined) continue;
    message.copy(answer, 0, 0, 2);
    return answer;
  }
  return undefined;
}

const isAnswer = (asked: Buffer, answer: Buffer): boolean =>
  answer.length >= 12 && answer.readUInt16BE(0) === asked.readUInt16BE(0) && (answer[2] ?? 0) >= 0x80;

function overUdp(asked: Buffer, server: string, signal: AbortSignal): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  const socket = createSocket(isIPv6(server) ? 'udp6' : 'udp4');
  const end = (answer?: Buffer): void => {
    resolve(answer);
    signal.removeEventListener('abort', giveUp);
    socket.close();
  };
  const giveUp = (): void => end();
  signal.addEventListener('abort', giveUp, { once: true });
  // Refused, or no way there.
  socket.once('error', () => end());
  socket.on('message', (answer) => {
    if (isAnswer(asked, answer)) end(answer);
  });
  socket.connect(DNS_PORT, server, () => socket.send(asked));
  return promise.finally(() => socket.removeAllListeners('message'));
}

async function overTcp(asked: Buffer, server: string, signal: AbortSignal): Promise<Buffer | undefined> {
  const socket = connect({ port: DNS_PORT, host: server, signal });
  try {
    socket.write(withLength(asked));
    let got = Buffer.alloc(0);
    for await (const piece of socket) {
      got = Buffer.concat([got, piece as Buffer]);
      const [answer] = takeMessages(got).messages;
      if (answer !== undefined) return isAnswer(asked, answer) ? answer : undefined;
    }
    return undefined;
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}

/** As a message travels over TCP. */
export function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** The whole messages of what came over TCP so far, and what is left. */
export function takeMessages(bytes: Buffer): { readonly messages: Buffer[]; readonly rest: Buffer } {
  const messages: Buffer[] = [];
  let at = 0;
  while (at + LENGTH_BYTES <= bytes.length) {
    const end = at + LENGTH_BYTES + bytes.readUInt16BE(at);
    if (end > bytes.length) break;
    messages.push(Buffer.from(bytes.subarray(at + LENGTH_BYTES, end)));
    at = end;
  }
  return { messages, rest: bytes.subarray(at) };
}
