import { ago } from './ago';
import { bytes, span } from './bytes';
import { tokens } from './highlight';
import { lineDiff, readUnified } from './line-diff';

describe('ago', () => {
  const now = Date.parse('2026-11-24T12:00:00Z');
  it('is coarse', () => {
    expect(ago('2026-11-24T11:59:30Z', now)).toBe('just now');
    expect(ago('2026-11-24T11:48:00Z', now)).toBe('12 min ago');
    expect(ago('2026-11-22T11:00:00Z', now)).toBe('2 d ago');
    expect(ago('2026-01-02T11:00:00Z', now)).toBe('2026-01-02');
    expect(ago('2026-11-24T14:00:00Z', now)).toBe('in 2 h');
  });
});

describe('bytes and span', () => {
  it('are for people', () => {
    expect([bytes(0), bytes(1023), bytes(6285312), bytes(48120331)]).toEqual(['0 B', '1023 B', '5.99 MiB', '45.9 MiB']);
    expect([span(0.2), span(59), span(150), span(3900)]).toEqual(['1 s', '59 s', '3 min', '1 h 5 min']);
  });
});

describe('tokens', () => {
  it('never loses a character', () => {
    for (const line of [
      '',
      'a: 1',
      '  - name: web',
      '- "a: b"',
      '# note',
      'key: "x"  # y',
      '---',
      'a.b/c: true',
      'just text',
      '  {{- if .Values.service.enabled }}',
      'name: {{ include "orbit.fullname" . }}',
    ]) {
      expect(
        tokens(line)
          .map(({ text }) => text)
          .join(''),
      ).toBe(line);
    }
  });

  it('tells keys from values', () => {
    expect(tokens('  replicas: 2').map(({ kind }) => kind)).toEqual(['', 'key', 'mark', 'number']);
    expect(tokens('{{- $a: b }}').map(({ kind }) => kind)).toEqual(['word']);
  });
});

describe('lineDiff', () => {
  it('shows what goes and what comes, and nothing where nothing does', () => {
    expect(lineDiff('a\nb\n', 'a\nb\n')).toEqual([]);
    expect(lineDiff('a\nb\n', 'a\nc\n').map(({ sign, text }) => sign + text)).toEqual([' a', '-b', '+c']);
  });

  it('reads a unified diff', () => {
    expect(readUnified('@@ -1 +1 @@\n a\n-b\n+c\n').map(({ sign }) => sign)).toEqual(['@', ' ', '-', '+']);
  });
});
