/**
 * JSON that came from outside, read so that no two readers can disagree about it: what Node's parser takes
 * silently (the last of two equal keys, a depth that overflows the stack of whoever walks it, bytes that are
 * no UTF-8) is refused, and no key can reach a prototype.
 * Source: RFC 8259; I-JSON (RFC 7493) for what is refused beyond it.
 */
import { invalidArgument } from '../model/error.ts';

/** A value. Objects have no prototype. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

/** An object without a prototype. */
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Objects and lists in each other; image documents have five. */
const MAX_DEPTH = 32;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;

/**
 * Reads a whole document.
 * @param bytes - UTF-8 without a byte order mark; the caller bounds their number.
 * @throws MydockerError `invalid-argument` (JSON_INVALID) with what is wrong and at which byte or so.
 */
export function parseStrictJson(bytes: Uint8Array): Json {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed('it is not UTF-8');
  }
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): Json {
    if (depth > MAX_DEPTH) throw malformed(`it is nested deeper than ${MAX_DEPTH}`);
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth);
      case '[':
        return this.#list(depth);
      case '"':
        return this.#string();
      case 't':
        return this.#word('true', true);
      case 'f':
        return this.#word('false', false);
      case 'n':
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) throw this.#unexpected();
  }

  #object(depth: number): JsonObject {
    const object: Record<string, Json> = Object.create(null);
    this.#at += 1;
    if (this.#take('}')) return object;
    do {
      this.#skipSpace();
      if (this.#text.charCodeAt(this.#at) !== QUOTE) throw this.#unexpected();
      const key = this.#string();
      if (key in object)
        throw malformed(`a key stands twice in an object: ${JSON.stringify(key.slice(0, 64))}`);
      if (!this.#take(':')) throw this.#unexpected();
      object[key] = this.value(depth + 1);
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#unexpected();
    return object;
  }

  #list(depth: number): readonly Json[] {
    const list: Json[] = [];
    this.#at += 1;
    if (this.#take(']')) return list;
    do list.push(this.value(depth + 1));
    while (this.#take(','));
    if (!this.#take(']')) throw this.#unexpected();
    return list;
  }

  #string(): string {
    const start = this.#at;
    for (let at = start + 1; at < this.#text.length; at += 1) {
      const code = this.#text.charCodeAt(at);
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) {
        this.#at = at + 1;
        return unquoted(this.#text.slice(start, at + 1));
      }
    }
    throw malformed('it ends within a string');
  }

  #word<T extends Json>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#unexpected();
    this.#at += word.length;
    return value;
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const [digits] = NUMBER.exec(this.#text) ?? [];
    if (digits === undefined) throw this.#unexpected();
    this.#at += digits.length;
    const value = Number(digits);
    if (!Number.isFinite(value)) throw malformed('a number is too large');
    return value;
  }

  #take(sign: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== sign) return false;
    this.#at += 1;
    return true;
  }

  #skipSpace(): void {
    // Most documents have none, and the expression costs more than the look.
    if (this.#text.charCodeAt(this.#at) > 0x20) return;
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0;
  }

  #unexpected(): Error {
    const sign = this.#text[this.#at];
    if (sign === undefined) return malformed('it ends too early');
    return malformed(`unexpected ${JSON.stringify(sign)} at character ${this.#at}`);
  }
}

/** Node's parser knows the escapes and refuses control characters; a lone surrogate is no character. */
function unquoted(quoted: string): string {
  let text: string;
  try {
    text = JSON.parse(quoted) as string;
  } catch {
    throw malformed('a string has a control character or a wrong escape');
  }
  if (!text.isWellFormed()) throw malformed('a string is not Unicode');
  return text;
}

function malformed(why: string): Error {
  return invalidArgument(`cannot read JSON: ${why}`, { reason: 'JSON_INVALID', metadata: { why } });
}
