/**
 * Templates of `--format`, the part of Go's language that people use with container tools: fields, variables,
 * pipelines, functions, if, range and with. Own code: there is no such library for JavaScript that is kept.
 */
import { UsageError } from '../usage-error.ts';
import { type Pipe, parsePipe } from './parse-pipe.ts';

/** A part of a template. */
export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipe: Pipe }
  | { readonly kind: 'break' | 'continue' }
  | {
      readonly kind: 'if' | 'range' | 'with';
      readonly pipe: Pipe;
      readonly body: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    };

/** Deepest nesting; nobody writes more by hand. */
const MAX_DEPTH = 32;

const TAG = /\{\{(-\s)?((?:"(?:[^"\\]|\\.)*"|`[^`]*`|(?!\}\})[^"`])*?)(\s-)?\}\}/gs;

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
  const [, keyword = '', rest = ''] =
    /^(if|range|with|else|end|break|continue|define|template|block)\b\s*(.*)$/s.exec(words) ?? [];
  switch (keyword) {
    case 'if':
    case 'range':
    case 'with':
      open.push(frame(keyword, rest, false));
      break;
    case 'else':
      takeElse(rest, open);
      break;
    case 'end':
      close(open, into);
      break;
    case 'break':
    case 'continue':
      if (!open.some(({ kind }) => kind === 'range')) throw unreadable(`a ${keyword} is in no range`);
      into().push({ kind: keyword });
      break;
    case 'define':
    case 'template':
    case 'block':
      throw unreadable(`there is no ${keyword} here: write the template out`);
    default:
      into().push({ kind: 'print', pipe: parse(words) });
  }
}

function frame(kind: Frame['kind'], pipe: string, chained: boolean): Frame {
  return { kind, pipe: parse(pipe, kind === 'range'), body: [], otherwise: undefined, chained };
}

function takeElse(rest: string, open: Frame[]): void {
  const last = open.at(-1);
  if (last === undefined || last.otherwise !== undefined) throw unreadable('an else has no if');
  last.otherwise = [];
  const [, kind, condition = ''] = /^(if|with)\s+(.*)$/s.exec(rest) ?? [];
  if (kind === 'if' || kind === 'with') open.push(frame(kind, condition, true));
  else if (rest !== '') throw unreadable(`else ${rest}`);
}

function close(open: Frame[], into: () => TemplateNode[]): void {
  for (;;) {
    const last = open.pop();
    if (last === undefined) throw unreadable('an end has no beginning');
    const { kind, pipe, body, otherwise = [] } = last;
    into().push({ kind, pipe, body, otherwise });
    if (!last.chained) return;
  }
}

function parse(text: string, isRange = false): Pipe {
  const pipe = parsePipe(text, unreadable);
  if (pipe.variables.length > (isRange ? 2 : 1)) throw unreadable(`too many variables in ${text}`);
  return pipe;
}

function unreadable(why: string): UsageError {
  return new UsageError(`invalid template for --format: ${why}`, {
    hint: "for example --format '{{.ID}} {{json .Labels}}', --format 'table {{.ID}}\\t{{.Size}}' or --format json",
  });
}
