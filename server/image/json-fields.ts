/**
 * Fields of a document that came from outside, each taken with the type that it must have; an error says
 * which field of which document is wrong. `null` is as absent: Go writes it for empty lists.
 */
import { type ContentDigest, type Digest, isContentDigest, isDigest } from '../model/digest.ts';
import { invalidArgument, quoteId } from '../model/error.ts';
import type { Json, JsonObject } from './strict-json.ts';

/** Largest size that is believed of anything: beyond it a number has lost digits. */
const MAX_SIZE = Number.MAX_SAFE_INTEGER;

const DIGEST_FORM = 'a digest: sha256: and 64 lower-case hex digits';

/** One object of a document, and where in it. */
export class Fields {
  readonly #object: JsonObject;
  readonly #path: string;

  /** @param path - for errors: `manifest`, `config.config`. @throws MydockerError when it is no object. */
  constructor(value: Json | undefined, path: string) {
    if (!isObject(value)) throw wrong(path, 'an object');
    this.#object = value;
    this.#path = path;
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined;
  }

  /** `''` where it is absent. */
  text(key: string): string {
    const value = this.#get(key);
    if (value === undefined) return '';
    if (typeof value !== 'string') throw wrong(this.#at(key), 'a string');
    return value;
  }

  /** As {@link text}, for what becomes an argument, a path or a name of the kernel. */
  cleanText(key: string): string {
    return this.#clean(this.text(key), key);
  }

  /** Absent: undefined. */
  number(key: string): number | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !Number.isSafeInteger(value))
      throw wrong(this.#at(key), 'a whole number');
    return value;
  }

  /** Bytes; must be there. */
  size(key: string): number {
    const value = this.number(key);
    if (value === undefined || value < 0 || value > MAX_SIZE) throw wrong(this.#at(key), 'a size in bytes');
    return value;
  }

  flag(key: string): boolean {
    const value = this.#get(key);
    if (value !== undefined && typeof value !== 'boolean') throw wrong(this.#at(key), 'true or false');
    return value ?? false;
  }

  /** Must be there. */
  digest(key: string): ContentDigest {
    const text = this.text(key);
    if (!isContentDigest(text)) throw wrong(this.#at(key), `${DIGEST_FORM}, or sha512: and 128`);
    return text;
  }

  /** Empty where it is absent. */
  list(key: string, limit: number): readonly Json[] {
    const value = this.#get(key) ?? [];
    if (!Array.isArray(value)) throw wrong(this.#at(key), 'a list');
    if (value.length > limit) throw wrong(this.#at(key), `a list of at most ${limit}`);
    return value;
  }

  texts(key: string, limit: number): readonly string[] {
    return this.list(key, limit).map((value, index) => {
      if (typeof value !== 'string') throw wrong(`${this.#at(key)}[${index}]`, 'a string');
      return this.#clean(value, `${key}[${index}]`);
    });
  }

  digests(key: string, limit: number): readonly Digest[] {
    return this.texts(key, limit).map((text, index) => {
      if (!isDigest(text)) throw wrong(`${this.#at(key)}[${index}]`, DIGEST_FORM);
      return text;
    });
  }

  objects(key: string, limit: number): readonly Fields[] {
    return this.list(key, limit).map((value, index) => new Fields(value, `${this.#at(key)}[${index}]`));
  }

  /** Absent: undefined. */
  object(key: string): Fields | undefined {
    const value = this.#get(key);
    return value === undefined ? undefined : new Fields(value, this.#at(key));
  }

  /** Keys of a set as Go writes it: an object with empty objects. */
  keys(key: string, limit: number): readonly string[] {
    const value = this.#get(key);
    if (value === undefined) return [];
    if (!isObject(value)) throw wrong(this.#at(key), 'an object');
    const keys = Object.keys(value);
    if (keys.length > limit) throw wrong(this.#at(key), `an object of at most ${limit}`);
    return keys.map((name) => this.#clean(name, key));
  }

  /** A map of texts. */
  map(key: string, limit: number): Readonly<Record<string, string>> {
    const value = this.#get(key);
    if (value === undefined) return {};
    const inner = new Fields(value, this.#at(key));
    // fromEntries defines properties, so that no key can reach a prototype's setter.
    return Object.fromEntries(this.keys(key, limit).map((name) => [name, inner.text(name)]));
  }

  #get(key: string): Json | undefined {
    return this.#object[key] ?? undefined;
  }

  #at(key: string): string {
    return `${this.#path}.${key}`;
  }

  #clean(text: string, key: string): string {
    if (text.includes('\0')) throw wrong(this.#at(key), 'a text without NUL');
    return text;
  }
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(path: string, expected: string): Error {
  const why = `its ${quoteId(path)} is not ${expected}`;
  return invalidArgument(`cannot read document: ${why}`, { reason: 'DOCUMENT_INVALID', metadata: { why } });
}
