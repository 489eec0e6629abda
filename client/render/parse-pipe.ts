/** What stands between `{{` and `}}`: `$x := .Field | function "text" 12`. */

/** Commands of which each gets the result of the one before it as its last argument. */
export interface Pipe {
  /** That get its value, `$` included; a range of two gives the first the key. */
  readonly variables: readonly string[];
  /** `=`: they were there before; `:=`: they are new. */
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

/** A function or a field, and its arguments; a lone value is a command too. */
export type Command = readonly [Operand, ...Operand[]];

export type Operand =
  | { readonly kind: 'field'; readonly path: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly path: readonly string[] }
  | { readonly kind: 'literal'; readonly value: string | number | boolean | undefined }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipe'; readonly pipe: Pipe; readonly path: readonly string[] };

type Unreadable = (why: string) => Error;

/** Deepest nesting; nobody writes more by hand. */
const MAX_DEPTH = 32;

const TOKEN =
  /\s+|"(?:[^"\\]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)+'|(?:\$[\p{L}\p{N}_]*)?(?:\.[\p{L}_][\p{L}\p{N}_]*)+|\$[\p{L}\p{N}_]*|:=|=|,|-?\d+(?:\.\d+)?|\.|[\p{L}_][\p{L}\p{N}_]*|[|()]|./gsu;

/** @param unreadable - makes the error that is thrown. */
export function parsePipe(text: string, unreadable: Unreadable): Pipe {
  const tokens = [...text.matchAll(TOKEN)].map(([token]) => token).filter((token) => token.trim() !== '');
  const pipe = readPipe(tokens, 0, unreadable);
  if (tokens.length > 0) throw unreadable(`unexpected ${tokens[0]}`);
  return pipe;
}

/** Takes what it reads from the tokens. */
function readPipe(tokens: string[], depth: number, unreadable: Unreadable): Pipe {
  if (depth > MAX_DEPTH) throw unreadable('it is nested too deeply');
  const { variables, assigns } = readVariables(tokens);
  const commands: Command[] = [];
  do {
    const operands: Operand[] = [];
    while (tokens.length > 0 && tokens[0] !== '|' && tokens[0] !== ')')
      operands.push(readOperand(tokens, depth, unreadable));
    const [first, ...more] = operands;
    if (first === undefined) throw unreadable('a {{ }} says nothing');
    commands.push([first, ...more]);
  } while (tokens[0] === '|' && tokens.shift() !== undefined);
  return { variables, assigns, commands };
}

/** `$x :=`, `$x =` or `$key, $value :=`. */
function readVariables(tokens: string[]): Pick<Pipe, 'variables' | 'assigns'> {
  const variables: string[] = [];
  let at = 0;
  while (/^\$[\p{L}\p{N}_]+$/u.test(tokens[at] ?? '')) {
    variables.push(tokens[at] ?? '');
    at += 1;
    if (tokens[at] !== ',') break;
    at += 1;
  }
  const sign = tokens[at];
  if (variables.length === 0 || (sign !== ':=' && sign !== '=')) return { variables: [], assigns: false };
  tokens.splice(0, at + 1);
  return { variables, assigns: sign === '=' };
}

function readOperand(tokens: string[], depth: number, unreadable: Unreadable): Operand {
  const token = tokens.shift() ?? '';
  if (token === '(') {
    const pipe = readPipe(tokens, depth + 1, unreadable);
    if (tokens.shift() !== ')') throw unreadable('a ( has no )');
    const path = /^\.[\p{L}_]/u.test(tokens[0] ?? '') ? (tokens.shift() ?? '').slice(1).split('.') : [];
    return { kind: 'pipe', pipe, path };
  }
  if (token === '.') return { kind: 'field', path: [] };
  if (token.startsWith('.')) return { kind: 'field', path: token.slice(1).split('.') };
  if (token.startsWith('$')) {
    const [name = '', ...path] = token.split('.');
    return { kind: 'variable', name, path };
  }
  if (token.startsWith('`')) return { kind: 'literal', value: token.slice(1, -1) };
  if (token.startsWith('"')) return { kind: 'literal', value: quoted(token, unreadable) };
  // A character is its number, as in Go.
  if (/^'.+'$/su.test(token)) return { kind: 'literal', value: character(token, unreadable) };
  if (/^-?\d/.test(token)) return { kind: 'literal', value: Number(token) };
  if (token === 'true' || token === 'false') return { kind: 'literal', value: token === 'true' };
  if (token === 'nil') return { kind: 'literal', value: undefined };
  if (/^[\p{L}_]/u.test(token)) return { kind: 'function', name: token };
  throw unreadable(`unexpected ${token}`);
}

function character(token: string, unreadable: Unreadable): number {
  const text = token === "'\"'" ? '"' : quoted(`"${token.slice(1, -1).replace("\\'", "'")}"`, unreadable);
  return text.codePointAt(0) ?? 0;
}

function quoted(token: string, unreadable: Unreadable): string {
  try {
    return JSON.parse(token) as string;
  } catch {
    throw unreadable(`${token} is no text`);
  }
}
