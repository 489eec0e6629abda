/** Fills templates of `--format` in, as Go does it. */
import type { Command, Operand, Pipe } from './parse-pipe.ts';
import { parseTemplate, type TemplateNode } from './parse-template.ts';
import { printable } from './printable.ts';
import {
  entriesOf,
  FUNCTIONS,
  failed,
  IN_HEADINGS,
  isTrue,
  show,
  type TemplateFunction,
} from './template-functions.ts';

/** Fills one value in. */
export type Template = (value: unknown) => string;

interface Scope {
  readonly functions: Readonly<Record<string, TemplateFunction>>;
  /** A field that an object does not have is an error: all that there are is known. */
  readonly strict: boolean;
  /** By name with `$`; `$` alone is the value itself. Those of an inner block hide those around it. */
  readonly variables: Map<string, { value: unknown }>;
}

/** How a block ended early. */
type Left = 'break' | 'continue' | undefined;

/**
 * @param options - `strict`: a field that is not there is an error, but in objects without a prototype, whose
 * keys are somebody's data; `heading`: the values are headings.
 * @throws UsageError, here for a template that cannot be read, later for a field or function that is not there.
 */
export function compileTemplate(
  text: string,
  options: { readonly strict?: boolean; readonly heading?: boolean } = {},
): Template {
  const nodes = parseTemplate(text);
  const functions = options.heading === true ? { ...FUNCTIONS, ...IN_HEADINGS } : FUNCTIONS;
  return (root) => {
    const out: string[] = [];
    const variables = new Map([['$', { value: root }]]);
    fill(nodes, root, { functions, strict: options.strict ?? false, variables }, out);
    return out.join('');
  };
}

function fill(nodes: readonly TemplateNode[], dot: unknown, scope: Scope, out: string[]): Left {
  for (const node of nodes) {
    const left = fillOne(node, dot, scope, out);
    if (left !== undefined) return left;
  }
  return undefined;
}

function fillOne(node: TemplateNode, dot: unknown, scope: Scope, out: string[]): Left {
  switch (node.kind) {
    case 'text':
      out.push(node.text);
      return undefined;
    case 'print': {
      const value = evaluate(node.pipe, dot, scope);
      // What goes into a variable is not printed.
      if (node.pipe.variables.length === 0) out.push(visible(show(value)));
      return undefined;
    }
    case 'break':
    case 'continue':
      return node.kind;
    case 'if':
    case 'with': {
      const inner = within(scope);
      const value = evaluate(node.pipe, dot, inner);
      if (!isTrue(value)) return fill(node.otherwise, dot, inner, out);
      return fill(node.body, node.kind === 'with' ? value : dot, inner, out);
    }
    case 'range':
      return fillRange(node, dot, scope, out);
  }
}

function fillRange(
  node: Extract<TemplateNode, { kind: 'if' | 'range' | 'with' }>,
  dot: unknown,
  scope: Scope,
  out: string[],
): Left {
  const { variables, commands } = node.pipe;
  const items = entriesOf(evaluate({ variables: [], assigns: false, commands }, dot, scope));
  if (items.length === 0) return fill(node.otherwise, dot, scope, out);
  for (const [key, value] of items) {
    const inner = within(scope);
    const values = variables.length === 2 ? [key, value] : [value];
    variables.forEach((name, index) => {
      setVariable(inner, name, values[index], node.pipe.assigns);
    });
    if (fill(node.body, value, inner, out) === 'break') break;
  }
  return undefined;
}

function within(scope: Scope): Scope {
  return { ...scope, variables: new Map(scope.variables) };
}

function setVariable(scope: Scope, name: string, value: unknown, assigns: boolean): void {
  if (!assigns) {
    scope.variables.set(name, { value });
    return;
  }
  const known = scope.variables.get(name);
  if (known === undefined) throw failed(`no variable ${name}`);
  known.value = value;
}

/** Newlines of println and of JSON stay; what others wrote cannot repaint the terminal. */
function visible(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

function evaluate(pipe: Pipe, dot: unknown, scope: Scope): unknown {
  let carried: readonly unknown[] = [];
  for (const command of pipe.commands) carried = [call(command, dot, scope, carried)];
  const [value] = carried;
  for (const name of pipe.variables) setVariable(scope, name, value, pipe.assigns);
  return value;
}

function call([first, ...rest]: Command, dot: unknown, scope: Scope, carried: readonly unknown[]): unknown {
  if (first.kind === 'function' && (first.name === 'and' || first.name === 'or'))
    return decide(first.name, rest, dot, scope, carried);
  const values = [...rest.map((operand) => resolve(operand, dot, scope)), ...carried];
  if (first.kind === 'function') {
    const known = Object.hasOwn(scope.functions, first.name) ? scope.functions[first.name] : undefined;
    if (known !== undefined) return known(...values);
    throw failed(
      `no function ${first.name}`,
      `known: ${[...Object.keys(scope.functions), 'and', 'or'].join(', ')}`,
    );
  }
  const value = resolve(first, dot, scope);
  if (typeof value === 'function') return (value as TemplateFunction)(...values);
  if (values.length > 0) throw failed('a value takes no arguments');
  return value;
}

/** The first value that decides, or the last one; those behind it are not looked at. */
function decide(
  name: 'and' | 'or',
  operands: readonly Operand[],
  dot: unknown,
  scope: Scope,
  carried: readonly unknown[],
): unknown {
  let value: unknown;
  for (const operand of operands) {
    value = resolve(operand, dot, scope);
    if (isTrue(value) === (name === 'or')) return value;
  }
  return carried.length > 0 ? carried[0] : value;
}

function resolve(operand: Operand, dot: unknown, scope: Scope): unknown {
  switch (operand.kind) {
    case 'literal':
      return operand.value;
    case 'function':
      return call([operand], dot, scope, []);
    case 'pipe':
      return follow(evaluate(operand.pipe, dot, scope), operand.path, scope);
    case 'field':
      return follow(dot, operand.path, scope);
    case 'variable': {
      const variable = scope.variables.get(operand.name);
      if (variable === undefined) throw failed(`no variable ${operand.name}`);
      return follow(variable.value, operand.path, scope);
    }
  }
}

function follow(from: unknown, path: readonly string[], { strict }: Scope): unknown {
  let value = from;
  for (const [index, name] of path.entries()) {
    const key = keyOf(value, name);
    if (key === undefined && strict) mustHave(value, path, index);
    value = key === undefined ? undefined : (value as Record<string, unknown>)[key];
    // Known, and left out because it says nothing; that is no reason to print `<no value>`.
    if (value === undefined && key !== undefined && index === path.length - 1) return '';
  }
  return value;
}

/** Docker's templates begin fields with capitals, the contract's JSON does not: both are found. */
function keyOf(value: unknown, name: string): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Object.hasOwn(value, name)) return name;
  if (Object.getPrototypeOf(value) === null) return undefined;
  const lower = name.toLowerCase();
  return Object.keys(value).find((candidate) => candidate.toLowerCase() === lower);
}

/** @throws UsageError unless any key may be asked for. */
function mustHave(value: unknown, path: readonly string[], index: number): void {
  const name = path[index] ?? '';
  const before = path.slice(0, index).map((part) => `.${part}`);
  if (typeof value !== 'object' || value === null)
    throw failed(`no field .${name}: ${before.join('') || 'the value'} has no fields`);
  if (Array.isArray(value))
    throw failed(`no field .${name}: ${before.join('') || 'the value'} is a list`, 'use range or index');
  if (Object.getPrototypeOf(value) === null) return;
  const known = Object.keys(value).map((key) => `.${key}`);
  throw failed(`no field ${before.join('')}.${name}`, `known: ${known.join(', ')}`);
}
