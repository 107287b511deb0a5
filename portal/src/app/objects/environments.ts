/** The order in which versions usually move. What is not known comes between the first and production. */
const STAGES: [RegExp, number][] = [
  [/^(local|sandbox)/, 0],
  [/^dev/, 1],
  [/^(test|qa|int)/, 2],
  [/^(stag|uat|pre)/, 4],
  [/^(prod|live)/, 5],
];

function stage(environment: string): number {
  return STAGES.find(([pattern]) => pattern.test(environment))?.[1] ?? 3;
}

export function inOrder(environments: Iterable<string>): string[] {
  return [...new Set(environments)].sort((a, b) => stage(a) - stage(b) || a.localeCompare(b));
}
