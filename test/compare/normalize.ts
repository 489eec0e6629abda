/** What two programs may print differently and mean the same: ids, times, sizes, addresses. */

const RULES: readonly (readonly [pattern: RegExp, word: string])[] = [
  [/sha256:[0-9a-f]{64}/g, '<DIGEST>'],
  [/\b[0-9a-f]{64}\b/g, '<ID>'],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)/g, '<TIME>'],
  [/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4} \w+/g, '<TIME>'],
  [/\b(?=\w*\d)[0-9a-f]{12}\b/g, '<SHORT ID>'],
  [/\b(?:Less than a second|About an? \w+|\d+ (?:second|minute|hour)s?)\b/g, '<AGE>'],
  [/\b\d+(?:\.\d+)? ?(?:B|kB|MB|GB)\b/g, '<SIZE>'],
  [/\b(?:10\.20|10\.99|172\.17)\.\d+\.\d+(\/\d+)?\b/g, '<ADDRESS>'],
  [/\b02:42(?::[0-9a-f]{2}){4}\b/g, '<MAC>'],
];

/** @param text - standard output. @returns it with words in the place of what is different each time. */
export function normalize(text: string): string {
  let result = text;
  for (const [pattern, word] of RULES) result = result.replaceAll(pattern, word);
  return result
    .split('\n')
    .map((line) => line.trimEnd().replaceAll(/ {2,}/g, '  '))
    .join('\n')
    .trimEnd();
}

/** Maps whose keys are somebody's data and no fields. */
const MAPS = /(?:Labels|Attributes|Networks|Ports|Data|Options|Config\.Volumes|ExposedPorts|Sysctls)$/;

/** The paths of all fields of a JSON text, sorted; undefined for what is no JSON. */
export function fieldsOf(text: string): readonly string[] | undefined {
  const found = new Set<string>();
  const walk = (value: unknown, path: string): void => {
    if (Array.isArray(value)) {
      for (const item of value) walk(item, `${path}[]`);
      return;
    }
    if (typeof value !== 'object' || value === null) return;
    for (const [key, field] of Object.entries(value)) {
      const name = MAPS.test(path) ? '*' : key;
      found.add(`${path}.${name}`);
      walk(field, `${path}.${name}`);
    }
  };
  try {
    walk(
      JSON.parse(text.split('\n').length > 2 && !text.startsWith('[') ? (text.split('\n')[0] ?? '') : text),
      '',
    );
  } catch {
    return undefined;
  }
  return [...found].sort();
}
