type Mapping = Record<string, unknown>;

/**
 * What is there by now, with what was changed between two others put on top: field by field, lists as a whole. What both
 * have changed becomes what it was changed to here.
 */
export function onTop(before: unknown, mine: unknown, theirs: unknown): unknown {
  if (isSame(before, mine)) {
    return theirs;
  }
  if (!isMapping(mine) || !isMapping(theirs)) {
    return mine;
  }
  const [was, merged] = [isMapping(before) ? before : {}, { ...theirs }];
  for (const name of new Set([...Object.keys(was), ...Object.keys(mine)])) {
    const value = onTop(was[name], mine[name], theirs[name]);
    if (value === undefined) {
      delete merged[name];
    } else {
      merged[name] = value;
    }
  }
  return merged;
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSame(one: unknown, other: unknown): boolean {
  if (isMapping(one) && isMapping(other)) {
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].every((name) => isSame(one[name], other[name]));
  }
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((each, index) => isSame(each, other[index]));
  }
  return one === other;
}
