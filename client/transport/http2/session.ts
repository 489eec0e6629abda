/**
 * The client's side of an HTTP/2 connection over a local socket. Own code, because node:http2 brings TLS and HTTP/1
 * with it and takes longer to load than all the rest of a command: 23 ms where this takes less than 1. Left out is
 * what a trusted server on one machine does not need: priorities, push, and the dynamic table of headers.
 * Source: RFC 9113.
 */
import type { Socket } from 'node:net';
import {
  DEFAULT_FRAME_BYTES,
  decodeSettings,
  ErrorCode,
  encodeFrame,
  encodeNumberFrame,
  encodeSettings,
  Flag,
  type Frame,
  FrameSplitter,
  FrameType,
  frameHeader,
  Setting,
  withoutPadding,
} from './frame.ts';
import { decodeHeaders, encodeHeaders, type HeaderList } from './hpack.ts';
import { Http2Stream, type StreamHost } from './stream.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Window of each direction and stream before anything was agreed on. */
const DEFAULT_WINDOW_BYTES = 65_535;
/** Bytes of one stream that may be on their way unread. */
const STREAM_WINDOW_BYTES = 8 << 20;
/** Largest there is: what bounds memory is the window of each stream, and none shall wait for another one's reader. */
const CONNECTION_WINDOW_BYTES = 2 ** 31 - 1;
/** The other side learns of room in steps of this many bytes. */
const ACKNOWLEDGE_BYTES = 1 << 20;
/** Longest header block, in bytes, over all its frames. */
const MAX_HEADER_BLOCK_BYTES = 256 << 10;

/** A connection. Everything that is wrong with it ends it, and `onEnd` is told once. */
export class Http2Session implements StreamHost {
  readonly #socket: Socket;
  readonly #onEnd: (error: Error) => void;
  readonly #splitter = new FrameSplitter();
  readonly #streams = new Map<number, Http2Stream>();
  #nextId = 1;
  #ended = false;
  /** The other side takes no further streams. */
  #goingAway = false;
  #sendWindow = DEFAULT_WINDOW_BYTES;
  #streamSendWindow = DEFAULT_WINDOW_BYTES;
  #frameBytes = DEFAULT_FRAME_BYTES;
  #unacknowledgedBytes = 0;
  /** The header block that is being collected, until its last frame. */
  #block:
    | { readonly streamId: number; readonly end: boolean; readonly parts: Buffer[]; size: number }
    | undefined;
  #greeted = false;

  /** @param socket - new, connected or not; the session owns it. */
  constructor(socket: Socket, onEnd: (error: Error) => void) {
    this.#socket = socket;
    this.#onEnd = onEnd;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('drain', () => this.flush());
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the server closed it')));
    const settings = encodeSettings([
      [Setting.HEADER_TABLE_SIZE, 0],
      [Setting.ENABLE_PUSH, 0],
      [Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES],
    ]);
    const room = CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES;
    socket.write(Buffer.concat([PREFACE, settings, encodeNumberFrame(FrameType.WINDOW_UPDATE, 0, room)]));
  }

  /** It takes no further streams. */
  get isClosed(): boolean {
    return this.#ended || this.#goingAway;
  }

  /** Opens a stream. To be called only while it is not closed. */
  request(headers: HeaderList): Http2Stream {
    const stream = new Http2Stream(this.#nextId, this.#streamSendWindow, this);
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    this.#socket.write(encodeFrame(FrameType.HEADERS, Flag.END_HEADERS, stream.id, encodeHeaders(headers)));
    return stream;
  }

  /** Ends the connection and every stream. */
  destroy(): void {
    this.#end(new Error('it was closed'));
  }

  flush(): void {
    // Header and data of a frame, and frames of a message, leave in one system call.
    this.#socket.cork();
    for (const stream of this.#streams.values()) this.#flushStream(stream);
    this.#socket.uncork();
  }

  sendReset(stream: Http2Stream): void {
    this.#streams.delete(stream.id);
    this.#socket.write(encodeNumberFrame(FrameType.RST_STREAM, stream.id, ErrorCode.CANCEL));
  }

  consumed(stream: Http2Stream, bytes: number): void {
    stream.unacknowledgedBytes += bytes;
    if (stream.isOver || stream.unacknowledgedBytes < ACKNOWLEDGE_BYTES) return;
    this.#socket.write(encodeNumberFrame(FrameType.WINDOW_UPDATE, stream.id, stream.unacknowledgedBytes));
    stream.unacknowledgedBytes = 0;
  }

  #flushStream(stream: Http2Stream): void {
    while (!this.#socket.writableNeedDrain) {
      const room = Math.min(this.#sendWindow, stream.sendWindow, this.#frameBytes);
      const piece = stream.take(room);
      if (piece === undefined) return;
      const { data, end } = piece;
      this.#sendWindow -= data.length;
      stream.sendWindow -= data.length;
      this.#socket.write(frameHeader(FrameType.DATA, end ? Flag.END_STREAM : 0, stream.id, data.length));
      if (data.length > 0) this.#socket.write(data);
    }
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#splitter.split(chunk)) {
        if (this.#ended) return;
        this.#take(frame);
      }
    } catch (error) {
      this.#end(error as Error);
    }
  }

  #take(frame: Frame): void {
    const { type, flags, streamId, payload } = frame;
    if (!this.#greeted && type !== FrameType.SETTINGS) throw new Error('it does not speak HTTP/2');
    this.#greeted = true;
    if (this.#block !== undefined && (type !== FrameType.CONTINUATION || streamId !== this.#block.streamId)) {
      throw new Error('a header block is interrupted');
    }
    const stream = this.#streams.get(streamId);
    switch (type) {
      case FrameType.DATA:
        this.#takeData(frame, stream);
        break;
      case FrameType.HEADERS:
        this.#block = { streamId, end: (flags & Flag.END_STREAM) !== 0, parts: [], size: 0 };
        this.#takeHeaders(withoutPadding(frame), flags);
        break;
      case FrameType.CONTINUATION:
        this.#takeHeaders(payload, flags);
        break;
      case FrameType.RST_STREAM:
        this.#streams.delete(streamId);
        stream?.close(payload.readUInt32BE());
        break;
      case FrameType.SETTINGS:
        if ((flags & Flag.ACK) === 0) this.#takeSettings(payload);
        break;
      case FrameType.PUSH_PROMISE:
        throw new Error('it pushes what nobody asked for');
      case FrameType.PING:
        if ((flags & Flag.ACK) === 0) this.#socket.write(encodeFrame(FrameType.PING, Flag.ACK, 0, payload));
        break;
      case FrameType.GOAWAY:
        this.#takeGoAway(payload);
        break;
      case FrameType.WINDOW_UPDATE:
        if (streamId === 0) this.#sendWindow += payload.readUInt32BE();
        else if (stream !== undefined) stream.sendWindow += payload.readUInt32BE();
        this.flush();
        break;
      // Others are to be ignored.
    }
  }

  #takeData(frame: Frame, stream: Http2Stream | undefined): void {
    // The whole payload counts, padding too, and also where nobody waits for it any more.
    this.#unacknowledgedBytes += frame.payload.length;
    if (this.#unacknowledgedBytes >= ACKNOWLEDGE_BYTES) {
      this.#socket.write(encodeNumberFrame(FrameType.WINDOW_UPDATE, 0, this.#unacknowledgedBytes));
      this.#unacknowledgedBytes = 0;
    }
    if (stream === undefined) return;
    const data = withoutPadding(frame);
    this.consumed(stream, frame.payload.length - data.length);
    stream.receiveData(data);
    if ((frame.flags & Flag.END_STREAM) !== 0) this.#takeEnd(stream);
  }

  #takeHeaders(part: Buffer, flags: number): void {
    const block = this.#block;
    if (block === undefined) throw new Error('a header block has no beginning');
    block.parts.push(part);
    block.size += part.length;
    if (block.size > MAX_HEADER_BLOCK_BYTES) throw new Error('its headers are too long');
    if ((flags & Flag.END_HEADERS) === 0) return;
    this.#block = undefined;
    const stream = this.#streams.get(block.streamId);
    stream?.receiveHeaders(decodeHeaders(Buffer.concat(block.parts)));
    if (stream !== undefined && block.end) this.#takeEnd(stream);
  }

  #takeEnd(stream: Http2Stream): void {
    stream.receiveEnd();
    this.#streams.delete(stream.id);
  }

  #takeSettings(payload: Buffer): void {
    const settings = decodeSettings(payload);
    const window = settings.get(Setting.INITIAL_WINDOW_SIZE) ?? this.#streamSendWindow;
    for (const stream of this.#streams.values()) stream.sendWindow += window - this.#streamSendWindow;
    this.#streamSendWindow = window;
    this.#frameBytes = settings.get(Setting.MAX_FRAME_SIZE) ?? this.#frameBytes;
    this.#socket.write(encodeFrame(FrameType.SETTINGS, Flag.ACK, 0, Buffer.alloc(0)));
    this.flush();
  }

  #takeGoAway(payload: Buffer): void {
    this.#goingAway = true;
    const last = payload.readUInt32BE() & 0x7fffffff;
    const code = payload.readUInt32BE(4);
    if (code !== ErrorCode.NO_ERROR) throw new Error(`the server gave it up with HTTP/2 error ${code}`);
    for (const stream of [...this.#streams.values()].filter(({ id }) => id > last)) {
      this.#streams.delete(stream.id);
      stream.close(ErrorCode.REFUSED_STREAM);
    }
  }

  #end(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd(error);
    this.#socket.destroy();
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
  }
}
