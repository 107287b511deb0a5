import { structuredPatch } from 'diff';

export interface DiffLine {
  sign: ' ' | '+' | '-' | '@';
  text: string;
}

/** How two texts differ, with some lines around each place. Nothing when they do not. */
export function lineDiff(before: string, after: string): DiffLine[] {
  const { hunks } = structuredPatch('', '', before, after, '', '', { context: 3 });
  return hunks.flatMap(({ lines }, index) => [
    ...(index ? [{ sign: '@' as const, text: '⋯' }] : []),
    ...lines.filter((line) => !line.startsWith('\\')).map(read),
  ]);
}

/** A unified diff, as others have made it. */
export function readUnified(diff: string): DiffLine[] {
  return diff
    .replace(/\n$/, '')
    .split('\n')
    .filter((line) => !line.startsWith('--- ') && !line.startsWith('+++ ') && !line.startsWith('\\'))
    .map((line) => (line.startsWith('@@') ? { sign: '@' as const, text: '⋯' } : read(line)));
}

function read(line: string): DiffLine {
  const sign = line[0];
  return sign === '+' || sign === '-' ? { sign, text: line.slice(1) } : { sign: ' ', text: line.slice(1) };
}
