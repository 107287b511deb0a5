import { Speed } from './speed';

describe('Speed', () => {
  it('is over the last seconds, and unknown at first', () => {
    const speed = new Speed();
    speed.record(0, 0);
    expect(speed.perSecond).toBeUndefined();
    speed.record(1000, 1000);
    expect(speed.perSecond).toBe(1000);
    speed.record(1000, 20_000);
    speed.record(5000, 21_000);
    expect(speed.perSecond).toBe(4000);
  });

  it('begins again where bytes were lost', () => {
    const speed = new Speed();
    speed.record(0, 0);
    speed.record(9000, 1000);
    speed.record(4000, 2000);
    expect(speed.perSecond).toBeUndefined();
  });
});
