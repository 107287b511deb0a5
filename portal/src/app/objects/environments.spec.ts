import { inOrder } from './environments';

describe('inOrder', () => {
  it('puts environments as versions move, each once', () => {
    expect(inOrder(['prod', 'eu', 'dev', 'staging', 'dev', 'test'])).toEqual(['dev', 'test', 'eu', 'staging', 'prod']);
  });
});
