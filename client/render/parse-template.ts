/**
 * Templates of `--format`, the part of Go's language that people use with container tools: fields, pipelines,
 * functions, if, range and with. Own code: there is no such library for JavaScript that is kept.
 */
import { UsageError } from '../usage-error.ts';

/** A part of a template. */
export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'range' | 'with';
      readonly pipe: Pipe;
      readonly body: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    };

/** Commands of which each gets the result of the one before it as its last argument. */
export type Pipe = readonly Command[];

/** A function or a field, and its arguments; a lone value is a command too. */
export type Command = readonly [Operand, ...Operand[]];

export type Operand =
  | { readonly kind: 'field'; readonly path: readonly string[]; readonly root: boolean }
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipe'; readonly pipe: Pipe; readonly path: readonly string[] };

/** Deepest nesting; nobody writes more by hand. */
const MAX_DEPTH = 32;

const TAG = /\{\{(-\s)?((?:"(?:[^"\\]|\\.)*"|`[^`]*`|(?!\}\})[^"`])*?)(\s-)?\}\}/gs;
const TOKEN =
  /\s+|"(?:[^"\\]|\\.)*"|`[^`]*`|\$?(?:\.[\p{L}_][\p{L}\p{N}_]*)+|\$|\.|-?\d+(?:\.\d+)?|[\p{L}_][\p{L}\p{N}_]*|[|()]|./gsu;

interface Frame {
  readonly kind: 'if' | 'range' | 'with';
  readonly pipe: Pipe;
  readonly body: TemplateNode[];
  otherwise: TemplateNode[] | undefined;
  /** An `else if` ends with the if that it belongs to. */
  readonly chained: boolean;
}

/**
 * @param text - as typed; `\t` and `\n` outside of tags are a tab and a newline.
 * @throws UsageError that says what cannot be read.
 */
export function parseTemplate(text: string): readonly TemplateNode[] {
  const top: TemplateNode[] = [];
  const open: Frame[] = [];
  const into = (): TemplateNode[] => open.at(-1)?.otherwise ?? open.at(-1)?.body ?? top;
  let at = 0;
  let trim = false;
  for (const match of text.matchAll(TAG)) {
    pushText(into(), text.slice(at, match.index), trim, match[1] !== undefined);
    trim = match[3] !== undefined;
    at = match.index + match[0].length;
    takeTag(match[2] ?? '', open, into);
    if (open.length > MAX_DEPTH) throw unreadable('it is nested too deeply');
  }
  const rest = text.slice(at);
  if (rest.includes('{{')) throw unreadable('a {{ has no }}');
  pushText(into(), rest, trim, false);
  if (open.length > 0) throw unreadable(`an ${open.at(-1)?.kind} has no end`);
  return top;
}

function pushText(into: TemplateNode[], raw: string, trimStart: boolean, trimEnd: boolean): void {
  let text = raw.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
  if (trimStart) text = text.trimStart();
  if (trimEnd) text = text.trimEnd();
  if (text !== '') into.push({ kind: 'text', text });
}

function takeTag(tag: string, open: Frame[], into: () => TemplateNode[]): void {
  const words = tag.trim();
  if (words.startsWith('/*')) return;
  const [, keyword = '', rest = ''] = /^(if|range|with|else|end)\b\s*(.*)$/s.exec(words) ?? [];
  switch (keyword) {
    case 'if':
    case 'range':
    case 'with':
      open.push({ kind: keyword, pipe: parsePipe(rest), body: [], otherwise: undefined, chained: false });
      break;
    case 'else':
      takeElse(rest, open);
      break;
    case 'end':
      close(open, into);
      break;
    default:
      into().push({ kind: 'print', pipe: parsePipe(words) });
  }
}

function takeElse(rest: string, open: Frame[]): void {
  const frame = open.at(-1);
  if (frame === undefined || frame.otherwise !== undefined) throw unreadable('an else has no if');
  frame.otherwise = [];
  const [, condition] = /^if\s+(.*)$/s.exec(rest) ?? [];
  if (condition !== undefined)
    open.push({ kind: 'if', pipe: parsePipe(condition), body: [], otherwise: undefined, chained: true });
  else if (rest !== '') throw unreadable(`else ${rest}`);
}

function close(open: Frame[], into: () => TemplateNode[]): void {
  for (;;) {
    const frame = open.pop();
    if (frame === undefined) throw unreadable('an end has no beginning');
    const { kind, pipe, body, otherwise = [] } = frame;
    into().push({ kind, pipe, body, otherwise });
    if (!frame.chained) return;
  }
}

function parsePipe(text: string): Pipe {
  const tokens = [...text.matchAll(TOKEN)].map(([token]) => token).filter((token) => token.trim() !== '');
  const pipe = readPipe(tokens, 0);
  if (tokens.length > 0) throw unreadable(`unexpected ${tokens[0]}`);
  return pipe;
}

/** Takes what it reads from the tokens. */
function readPipe(tokens: string[], depth: number): Pipe {
  if (depth > MAX_DEPTH) throw unreadable('it is nested too deeply');
  const commands: Command[] = [];
  do {
    const operands: Operand[] = [];
    while (tokens.length > 0 && tokens[0] !== '|' && tokens[0] !== ')')
      operands.push(readOperand(tokens, depth));
    const [first, ...more] = operands;
    if (first === undefined) throw unreadable('a {{ }} says nothing');
    commands.push([first, ...more]);
  } while (tokens[0] === '|' && tokens.shift() !== undefined);
  return commands;
}

function readOperand(tokens: string[], depth: number): Operand {
  const token = tokens.shift() ?? '';
  if (token === '(') {
    const pipe = readPipe(tokens, depth + 1);
    if (tokens.shift() !== ')') throw unreadable('a ( has no )');
    const path = /^\.[\p{L}_]/u.test(tokens[0] ?? '') ? (tokens.shift() ?? '').slice(1).split('.') : [];
    return { kind: 'pipe', pipe, path };
  }
  if (token === '.' || token === '$') return { kind: 'field', path: [], root: token === '$' };
  if (/^\$?\../.test(token))
    return { kind: 'field', path: token.replace(/^\$?\./, '').split('.'), root: token.startsWith('$') };
  if (token.startsWith('`')) return { kind: 'literal', value: token.slice(1, -1) };
  if (token.startsWith('"')) return { kind: 'literal', value: quoted(token) };
  if (/^-?\d/.test(token)) return { kind: 'literal', value: Number(token) };
  if (token === 'true' || token === 'false') return { kind: 'literal', value: token === 'true' };
  if (/^[\p{L}_]/u.test(token)) return { kind: 'function', name: token };
  throw unreadable(`unexpected ${token}`);
}

function quoted(token: string): string {
  try {
    return JSON.parse(token) as string;
  } catch {
    throw unreadable(`${token} is no text`);
  }
}

function unreadable(why: string): UsageError {
  return new UsageError(`invalid template for --format: ${why}`, {
    hint: "for example --format '{{.ID}} {{json .Labels}}', --format 'table {{.ID}}\\t{{.Size}}' or --format json",
  });
}
