export type Token = { text: string; kind: '' | 'key' | 'string' | 'number' | 'word' | 'comment' | 'mark' };

const LINE = /^(\s*(?:- )*)([^\s:#"'][^:#]*|"[^"]*"|'[^']*')(:)(\s.*|)$/;
const ITEM = /^(\s*- +)(.*)$/;

/** One line of YAML in parts that look different. It need not understand YAML: text stays as it is. */
export function tokens(line: string): Token[] {
  if (/^\s*#/.test(line)) {
    return [{ text: line, kind: 'comment' }];
  }
  if (/^(---|\.\.\.)/.test(line)) {
    return [{ text: line, kind: 'mark' }];
  }
  // What a template does, between the lines that it writes.
  if (/^\s*\{\{/.test(line)) {
    return [{ text: line, kind: 'word' }];
  }
  const entry = LINE.exec(line);
  if (entry) {
    const [, lead = '', key = '', colon = '', rest = ''] = entry;
    return [{ text: lead, kind: '' }, { text: key, kind: 'key' }, { text: colon, kind: 'mark' }, ...value(rest)].filter(
      (token): token is Token => token.text !== '',
    );
  }
  const item = ITEM.exec(line);
  if (item) {
    return [{ text: item[1] ?? '', kind: 'mark' }, ...value(item[2] ?? '')];
  }
  return [{ text: line, kind: '' }];
}

function value(text: string): Token[] {
  const trimmed = text.trim();
  if (!trimmed) {
    return [{ text, kind: '' }];
  }
  if (/^-?\d+(\.\d+)?$/.test(trimmed)) {
    return [{ text, kind: 'number' }];
  }
  if (/^(true|false|null|~|\{\}|\[\]|[|>][+-]?)$/.test(trimmed)) {
    return [{ text, kind: 'word' }];
  }
  return [{ text, kind: 'string' }];
}
