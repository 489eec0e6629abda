/** Fills templates of `--format` in; what the functions do is what Docker's do. */
import { UsageError } from '../usage-error.ts';
import { type Command, type Operand, type Pipe, parseTemplate, type TemplateNode } from './parse-template.ts';
import { printable } from './printable.ts';

/** Fills one value in. */
export type Template = (value: unknown) => string;

/** What a missing field of data reads as, as in Go. */
const NO_VALUE = '<no value>';

type Function = (...values: unknown[]) => unknown;

/** By the name that templates use. */
const FUNCTIONS: Readonly<Record<string, Function>> = {
  json: (value) => JSON.stringify(value) ?? 'null',
  join: (list, separator) =>
    Array.isArray(list) ? list.map(show).join(String(separator ?? '')) : show(list),
  split: (value, separator) => show(value).split(String(separator ?? '')),
  upper: (value) => show(value).toUpperCase(),
  lower: (value) => show(value).toLowerCase(),
  title: (value) => show(value).replace(/^\p{L}/u, (letter) => letter.toUpperCase()),
  truncate: (value, length) => [...show(value)].slice(0, Number(length)).join(''),
  len: (value) => sizeOf(value),
  index: (value, ...keys) => keys.reduce((found: unknown, key) => at(found, key), value),
  print: (...values) => values.map(show).join(''),
  println: (...values) => `${values.map(show).join(' ')}\n`,
  eq: (value, ...others) => others.some((other) => same(value, other)),
  ne: (value, other) => !same(value, other),
  not: (value) => !isTrue(value),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
};

/** Functions that leave a column's heading as it is. */
const IN_HEADINGS: Readonly<Record<string, Function>> = Object.fromEntries(
  ['json', 'upper', 'lower', 'title', 'truncate', 'split', 'join'].map((name) => [
    name,
    (value: unknown) => value,
  ]),
);

interface Scope {
  readonly root: unknown;
  readonly functions: Readonly<Record<string, Function>>;
  /** A field of the root that is not there is an error: all that there are is known. */
  readonly strict: boolean;
}

/**
 * @param options - `strict`: fields of the value itself must be there; `heading`: the values are headings.
 * @throws UsageError, here for a template that cannot be read, later for a field or function that is not there.
 */
export function compileTemplate(
  text: string,
  options: { readonly strict?: boolean; readonly heading?: boolean } = {},
): Template {
  const nodes = parseTemplate(text);
  const functions = options.heading === true ? { ...FUNCTIONS, ...IN_HEADINGS } : FUNCTIONS;
  return (root) => fill(nodes, root, { root, functions, strict: options.strict ?? false });
}

function fill(nodes: readonly TemplateNode[], dot: unknown, scope: Scope): string {
  return nodes.map((node) => fillOne(node, dot, scope)).join('');
}

function fillOne(node: TemplateNode, dot: unknown, scope: Scope): string {
  if (node.kind === 'text') return node.text;
  const value = evaluate(node.pipe, dot, scope);
  switch (node.kind) {
    case 'print':
      return visible(show(value));
    case 'if':
      return fill(isTrue(value) ? node.body : node.otherwise, dot, scope);
    case 'with':
      return isTrue(value) ? fill(node.body, value, scope) : fill(node.otherwise, dot, scope);
    case 'range': {
      const items = itemsOf(value);
      if (items.length === 0) return fill(node.otherwise, dot, scope);
      return items.map((item) => fill(node.body, item, scope)).join('');
    }
  }
}

/** Newlines of println and of JSON stay; what others wrote cannot repaint the terminal. */
function visible(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

function evaluate(pipe: Pipe, dot: unknown, scope: Scope): unknown {
  let carried: readonly unknown[] = [];
  for (const command of pipe) carried = [call(command, dot, scope, carried)];
  return carried[0];
}

function call([first, ...rest]: Command, dot: unknown, scope: Scope, carried: readonly unknown[]): unknown {
  const values = [...rest.map((operand) => resolve(operand, dot, scope)), ...carried];
  if (first.kind === 'function') {
    const known = scope.functions[first.name];
    if (known !== undefined) return known(...values);
    throw new UsageError(`invalid template for --format: no function ${first.name}`, {
      hint: `known: ${Object.keys(scope.functions).join(', ')}`,
    });
  }
  const value = resolve(first, dot, scope);
  if (typeof value === 'function') return (value as Function)(...values);
  if (values.length > 0) throw new UsageError('invalid template for --format: a value takes no arguments');
  return value;
}

function resolve(operand: Operand, dot: unknown, scope: Scope): unknown {
  switch (operand.kind) {
    case 'literal':
      return operand.value;
    case 'function':
      return call([operand], dot, scope, []);
    case 'pipe':
      return operand.path.reduce(fieldOf, evaluate(operand.pipe, dot, scope));
    case 'field': {
      const from = operand.root ? scope.root : dot;
      const [name] = operand.path;
      if (scope.strict && from === scope.root && name !== undefined && fieldOf(from, name) === undefined)
        throw new UsageError(`invalid template for --format: no field .${name}`, {
          hint: `known: ${Object.keys(from as object)
            .map((key) => `.${key}`)
            .join(', ')}`,
        });
      return operand.path.reduce(fieldOf, from);
    }
  }
}

/** Docker's templates begin fields with capitals, the contract's JSON does not: both are found. */
function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, name)) return (value as Record<string, unknown>)[name];
  const lower = name.toLowerCase();
  const key = Object.keys(value).find((candidate) => candidate.toLowerCase() === lower);
  return key === undefined ? undefined : (value as Record<string, unknown>)[key];
}

function at(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) return value.at(Number(key));
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, String(key))) return '';
  return (value as Record<string, unknown>)[String(key)];
}

function itemsOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return [...value].length;
  return itemsOf(value).length;
}

function isTrue(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return itemsOf(value).length > 0;
  return Boolean(value);
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (a !== undefined && b !== undefined && show(a) === show(b));
}

/** As Go prints it: lists in brackets, maps as `map[k:v]`. */
function show(value: unknown): string {
  if (value === undefined || value === null) return NO_VALUE;
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (typeof value === 'object')
    return `map[${Object.entries(value)
      .map(([key, item]) => `${key}:${show(item)}`)
      .join(' ')}]`;
  return String(value);
}
