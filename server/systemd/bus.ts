/**
 * A connection to systemd over D-Bus: through the system bus, or straight to systemd where no bus runs. Made when it is
 * needed, and anew when it broke: a bus may be restarted, and systemd closes its own socket when it is updated.
 */
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { cannot, MydockerError } from '../model/error.ts';
import type { BusValue } from '../model/unit.ts';
import { decodeBody } from './bus-codec.ts';
import {
  type BusCall,
  type BusMessage,
  decodeMessage,
  encodeCall,
  MESSAGE_TYPE,
  messageLength,
} from './bus-message.ts';

/** Where systemd can be spoken to. */
export interface BusAddress {
  readonly path: string;
  /** Others are there as well: one says hello, names whom a call is for, and asks for signals. */
  readonly isBus: boolean;
}

/** The public way first; the other one has no bus to need. */
const ADDRESSES: readonly BusAddress[] = [
  { path: '/run/dbus/system_bus_socket', isBus: true },
  { path: '/run/systemd/private', isBus: false },
];

export const SYSTEMD = 'org.freedesktop.systemd1';
export const MANAGER = {
  path: '/org/freedesktop/systemd1',
  interface: 'org.freedesktop.systemd1.Manager',
} as const;

/** A call that is not answered by then has failed. */
const CALL_DEADLINE_MS = 30_000;
const LINE_MAX_BYTES = 4096;

/** What systemd itself answered: its name says what it is about. */
export class BusError extends Error {
  override readonly name = 'BusError';
  /** `org.freedesktop.systemd1.NoSuchUnit` */
  readonly errorName: string;

  constructor(errorName: string, message: string) {
    super(message);
    this.errorName = errorName;
  }
}

const unreachable = (cause: unknown): MydockerError =>
  cannot('unavailable', 'reach', 'systemd', '', cause instanceof Error ? cause.message : String(cause), {
    reason: 'SYSTEMD_UNREACHABLE',
    hint: 'look at systemctl status; without systemd the server runs with --cgroup-driver cgroupfs',
    cause,
  });

interface Waiting {
  readonly resolve: (values: readonly BusValue[]) => void;
  readonly reject: (error: Error) => void;
}

/** Told of each signal: its member, and what it carries. */
type OnSignal = (member: string, body: () => readonly BusValue[]) => void;

/** One connection that is greeted and ready; it fails as a whole. */
interface Connection {
  readonly call: (call: BusCall) => Promise<readonly BusValue[]>;
  readonly isOpen: () => boolean;
  readonly close: () => void;
}

/** Speaks the text that comes before the first message: who one is, as the kernel confirms it. */
function authenticate(socket: Socket): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let got = Buffer.alloc(0);
  const read = (chunk: Buffer): void => {
    got = Buffer.concat([got, chunk]);
    const end = got.indexOf('\r\n');
    if (end < 0 && got.length < LINE_MAX_BYTES) return;
    socket.off('data', read);
    const line = got.toString('latin1', 0, Math.max(end, 0));
    if (line.startsWith('OK ')) {
      socket.write('BEGIN\r\n');
      resolve(got.subarray(end + 2));
    } else reject(new Error(`it does not let this process in: ${line}`));
  };
  socket.on('data', read);
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('the connection was closed')));
  const uid = Buffer.from(String(process.getuid?.() ?? 0)).toString('hex');
  socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);
  return promise;
}

/** Cuts what comes into messages. */
function reader(first: Buffer, onMessage: (message: BusMessage) => void): (chunk: Buffer) => void {
  let pending = first;
  return (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    for (;;) {
      const length = messageLength(pending);
      if (length === undefined || pending.length < length) return;
      const message = decodeMessage(pending.subarray(0, length));
      pending = pending.subarray(length);
      onMessage(message);
    }
  };
}

async function open(address: BusAddress, onSignal: OnSignal, onClose: () => void): Promise<Connection> {
  const socket = connect(address.path);
  // Ends of it come to whoever waits; nobody waiting is no reason to die.
  socket.on('error', () => undefined);
  const deadline = setTimeout(() => socket.destroy(new Error('nobody answers')), CALL_DEADLINE_MS);
  const first = await authenticate(socket).finally(() => clearTimeout(deadline));
  const waiting = new Map<number, Waiting>();
  let serial = 0;
  const onMessage = (message: BusMessage): void => {
    const body = (): readonly BusValue[] => decodeBody(message.signature, message.bodyBytes);
    if (message.type === MESSAGE_TYPE.signal) {
      if (message.interface === MANAGER.interface) onSignal(message.member, body);
      return;
    }
    const caller = waiting.get(message.replySerial);
    waiting.delete(message.replySerial);
    if (message.type === MESSAGE_TYPE.reply) caller?.resolve(body());
    else if (message.type === MESSAGE_TYPE.error)
      caller?.reject(new BusError(message.errorName, String(body()[0] ?? message.errorName)));
  };
  const take = reader(first, onMessage);
  const feed = (chunk: Buffer): void => {
    try {
      take(chunk);
    } catch (error) {
      socket.destroy(error as Error);
    }
  };
  let cause: unknown = new Error('the connection was closed');
  socket.on('data', feed);
  socket.once('error', (error) => {
    cause = error;
  });
  socket.once('close', () => {
    for (const { reject } of waiting.values()) reject(unreachable(cause));
    waiting.clear();
    onClose();
  });
  feed(Buffer.alloc(0));
  const call = (what: BusCall): Promise<readonly BusValue[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<readonly BusValue[]>();
    serial += 1;
    const own = serial;
    const late = setTimeout(() => {
      waiting.delete(own);
      reject(unreachable(new Error(`it does not answer ${what.member}`)));
    }, CALL_DEADLINE_MS);
    waiting.set(own, { resolve, reject });
    socket.write(encodeCall(own, address.isBus ? { destination: SYSTEMD, ...what } : what));
    return promise.finally(() => clearTimeout(late));
  };
  if (address.isBus) await greet(call);
  // Signals of jobs go to who asked for them; on its own socket systemd sends them anyway.
  await call({ ...MANAGER, member: 'Subscribe' });
  return { call, isOpen: () => !socket.destroyed, close: () => void socket.destroy() };
}

async function greet(call: (call: BusCall) => Promise<readonly BusValue[]>): Promise<void> {
  const bus = {
    destination: 'org.freedesktop.DBus',
    path: '/org/freedesktop/DBus',
    interface: 'org.freedesktop.DBus',
  };
  await call({ ...bus, member: 'Hello' });
  const rule = `type='signal',sender='${SYSTEMD}',interface='${MANAGER.interface}',path='${MANAGER.path}',member='JobRemoved'`;
  await call({ ...bus, member: 'AddMatch', signature: 's', body: [rule] });
}

/** A connection that is there whenever it is called. */
export interface Bus {
  /**
   * @throws BusError what systemd answers; MydockerError `unavailable`, reason SYSTEMD_UNREACHABLE.
   */
  readonly call: (call: BusCall) => Promise<readonly BusValue[]>;
  readonly close: () => void;
}

/**
 * @param onSignal - told of the manager's signals.
 * @param onLost - told when a connection ends: signals may have been missed.
 * @param addresses - default: where systemd listens.
 */
export function createBus(
  onSignal: OnSignal,
  onLost: () => void,
  addresses: readonly BusAddress[] = ADDRESSES,
): Bus {
  let current: Promise<Connection> | undefined;
  const dial = async (): Promise<Connection> => {
    let failure: unknown = new Error(`there is no ${addresses.map(({ path }) => path).join(' and no ')}`);
    for (const address of addresses.filter(({ path }) => existsSync(path))) {
      try {
        return await open(address, onSignal, onLost);
      } catch (error) {
        failure = error;
      }
    }
    throw failure instanceof MydockerError ? failure : unreachable(failure);
  };
  const connection = async (): Promise<Connection> => {
    const before = current;
    const found = await before?.catch(() => undefined);
    if (found?.isOpen() === true) return found;
    // Of several who see that it is broken one mends it.
    if (current === before || current === undefined) current = dial();
    return current;
  };
  return {
    call: async (call) => (await connection()).call(call),
    close: () => void current?.then(({ close }) => close()).catch(() => undefined),
  };
}
