import { tableOf } from './rows';

describe('tableOf', () => {
  it('has a column for each environment and a gap where an application is not in it', () => {
    const cluster = { namespace: 'shop', name: 'eu-1', uid: 'u' };
    const { environments, rows } = tableOf([
      { application: 'api', environments: [{ environment: 'prod', version: '2.0.0', clusters: [] }] },
      {
        application: 'web',
        owner: 'maria',
        environments: [
          {
            environment: 'dev',
            version: '1.1.0',
            clusters: [{ cluster, state: 'applied', version: '1.0.0', since: 't' }],
          },
        ],
      },
    ]);
    expect(environments).toEqual(['dev', 'prod']);
    expect(rows[0]?.cells.map((cell) => cell?.version)).toEqual([undefined, '2.0.0']);
    expect(rows[1]?.cells[0]?.clusters).toEqual([
      { name: 'eu-1', tone: 'busy', word: 'starting', version: '1.0.0', since: 't' },
    ]);
  });
});
