/**
 * Who may import whom, as data, and the check of a tree against it. Imports go downwards only: that is what lets a
 * reader open one folder and understand it without the others.
 */

/** What the files of a layer may import. Its own files are always allowed. */
export interface Layer {
  /** Matches the paths of its files. The first layer that matches has the file. */
  readonly files: RegExp;
  /** Matches the paths of other files that it may import. */
  readonly imports: RegExp;
  /** Matches packages it may import; `node:` ones included. */
  readonly packages: RegExp;
}

// Not layers: everything under server/ may say where it can fail, and write to the log.
const ANYWHERE_IN_SERVER = 'server\\/(failpoint|log)\\.ts$';
const MODEL = `server\\/model\\/`;
const NOUN = '(image|snapshot|spec|task|network|store|cgroup|registry|systemd)';
const NODE = '^node:';

const nouns = ['image', 'snapshot', 'spec', 'task', 'network', 'store', 'cgroup', 'registry', 'systemd'].map(
  (noun): Layer => {
    return {
      files: new RegExp(`^server/${noun}/`),
      imports: new RegExp(`^(${MODEL}|native\\/|${ANYWHERE_IN_SERVER})`),
      // LevelDB has one door
      packages: noun === 'store' ? /^(node:|level$|abstract-level$|classic-level$|snappyjs$)/ : /^node:/,
    };
  },
);

/** From the top down. */
export const LAYERS: readonly Layer[] = [
  {
    files: /^server\/main\.ts$/,
    imports: /^(server|native|proto\/gen)\//,
    packages: /^(node:|@grpc\/|pino$)/,
  },
  { files: /^server\/config\.ts$/, imports: /^server\/model\//, packages: /^node:/ },
  { files: /^server\/log\.ts$/, imports: /^server\/model\//, packages: /^(node:|pino$)/ },
  { files: /^server\/failpoint\.ts$/, imports: /^server\/model\//, packages: new RegExp(NODE) },
  {
    files: /^server\/grpc\//,
    imports: new RegExp(`^(server\\/ops\\/|${MODEL}|proto\\/gen\\/|${ANYWHERE_IN_SERVER})`),
    packages: /^(node:|@grpc\/|@bufbuild\/protobuf(\/|$))/,
  },
  {
    files: /^server\/ops\//,
    imports: new RegExp(`^(server\\/${NOUN}\\/|${MODEL}|${ANYWHERE_IN_SERVER})`),
    packages: new RegExp(NODE),
  },
  ...nouns,
  // computing a hash is no I/O
  { files: /^server\/model\//, imports: /^$/, packages: /^node:crypto$/ },
  { files: /^native\//, imports: /^$/, packages: /^(node:|koffi$)/ },
  { files: /^client\//, imports: /^proto\/gen\//, packages: /^(node:|@bufbuild\/protobuf(\/|$))/ },
  { files: /^proto\/gen\//, imports: /^$/, packages: /^(@bufbuild\/protobuf(\/|$)|@grpc\/grpc-js$)/ },
  { files: /^scripts\//, imports: /^(native|client|server|proto\/gen)\//, packages: new RegExp(NODE) },
];

/** Every specifier that a file imports, `import type` and `import()` included. */
export function importsOf(text: string): string[] {
  // At a line's start, so that an example in a comment does not count.
  const statements = /^(?:import|export)\s+(?:type\s+)?(?:[\w$*{},\s]+?\s+from\s+)?['"]([^'"]+)['"]/gm;
  const calls = /^(?!\s*(?:\*|\/\/)).*?\bimport\(\s*['"]([^'"]+)['"]/gm;
  return [...text.matchAll(statements), ...text.matchAll(calls)].map((match) => match[1] ?? '');
}

/** Path of a relative import as seen from the project's folder. */
function resolve(from: string, specifier: string): string {
  return new URL(specifier, `file:///${from}`).pathname.slice(1);
}

/** What was found, and how much was looked at: nothing found in nothing proves nothing. */
export interface LayerReport {
  readonly violations: readonly string[];
  readonly importCount: number;
}

/**
 * Checks every import of a tree against the layers.
 * @param files - path from the project's folder, and text.
 */
export function checkLayers(files: ReadonlyMap<string, string>): LayerReport {
  const violations: string[] = [];
  let importCount = 0;
  for (const [path, text] of files) {
    const layer = LAYERS.find((layer) => layer.files.test(path));
    if (layer === undefined) {
      violations.push(`${path} is in no layer`);
      continue;
    }
    for (const specifier of importsOf(text)) {
      importCount += 1;
      const relative = specifier.startsWith('.');
      const target = relative ? resolve(path, specifier) : specifier;
      const allowed = relative
        ? layer.files.test(target) || layer.imports.test(target)
        : layer.packages.test(specifier);
      if (!allowed) violations.push(`${path} may not import ${target}`);
    }
  }
  return { violations, importCount };
}
