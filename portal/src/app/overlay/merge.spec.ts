import { onTop } from './merge';

describe('onTop', () => {
  const before = { replicas: 2, config: { LOG_LEVEL: 'info', GREETING: 'hello' }, ports: [80] };

  it('keeps what only they have changed, and what only I have', () => {
    const mine = { ...before, replicas: 3 };
    const theirs = { ...before, config: { LOG_LEVEL: 'debug', GREETING: 'hello' } };
    expect(onTop(before, mine, theirs)).toEqual({ ...theirs, replicas: 3 });
  });

  it('puts mine where both have changed the same, and within a mapping only there', () => {
    const mine = { ...before, config: { LOG_LEVEL: 'warn', GREETING: 'hello' }, ports: [80, 81] };
    const theirs = { ...before, config: { LOG_LEVEL: 'debug', GREETING: 'good day' }, ports: [8080] };
    const config = { LOG_LEVEL: 'warn', GREETING: 'good day' };
    expect(onTop(before, mine, theirs)).toEqual({ ...before, config, ports: [80, 81] });
  });

  it('adds and takes out', () => {
    expect(onTop(before, { replicas: 2, ports: [80] }, { ...before, tier: 'web' })).toEqual({
      replicas: 2,
      ports: [80],
      tier: 'web',
    });
    expect(onTop(undefined, { a: 1 }, { b: 2 })).toEqual({ a: 1, b: 2 });
    expect(onTop({ a: 1 }, undefined, { a: 2 })).toBeUndefined();
    expect(onTop(before, structuredClone(before), undefined)).toBeUndefined();
  });
});
