import { LifecycleEvent } from '../../api/types';
import { lanesOf } from './lanes';

let seq = 0;
function selected(environment: string, version: string, time: string, actor = 'orbit-plane'): LifecycleEvent {
  seq++;
  return {
    seq,
    id: `${seq}`,
    hash: `${seq}`,
    time: `2026-11-24T12:${time}Z`,
    actor,
    transition: 'selected',
    version,
    environment,
  };
}

describe('lanesOf', () => {
  it('shows how versions moved from one environment to the next', () => {
    const events = [
      selected('dev', '1.0.0', '00:00'),
      selected('dev', '1.1.0', '10:00'),
      selected('prod', '1.0.0', '20:00', 'maria'),
    ].reverse();
    const { moments, lanes } = lanesOf(events);
    expect(moments).toHaveLength(3);
    expect(lanes.map(({ environment }) => environment)).toEqual(['dev', 'prod']);
    expect(lanes[0]?.stays).toMatchObject([
      { version: '1.0.0', from: 1, to: 1, current: false },
      { version: '1.1.0', from: 2, to: 3, current: true },
    ]);
    expect(lanes[1]?.stays).toMatchObject([{ version: '1.0.0', from: 3, to: 3, by: 'maria', current: true }]);
  });

  it('has one column for what happened within a second, and the last of it is seen', () => {
    const events = [
      selected('dev', '1.0.0', '00:00.1'),
      selected('prod', '1.0.0', '00:00.4'),
      selected('dev', '1.1.0', '00:00.9'),
    ];
    const { moments, lanes } = lanesOf(events.reverse());
    expect(moments).toHaveLength(1);
    expect(lanes[0]?.stays.map(({ version }) => version)).toEqual(['1.1.0']);
  });

  it('is empty where nothing moved', () => {
    expect(lanesOf([])).toEqual({ moments: [], lanes: [] });
  });
});
