import { looksSecret, parseConfig } from './config';

describe('parseConfig', () => {
  it('reads lines, comments and values with = in them', () => {
    expect(parseConfig('# levels\nLOG_LEVEL=info\r\n\nURL=http://a/?b=c\nEMPTY=').config).toEqual({
      LOG_LEVEL: 'info',
      URL: 'http://a/?b=c',
      EMPTY: '',
    });
  });

  it('names the line, and never repeats it', () => {
    const { mistakes } = parseConfig('A=1\nhunter2\nA=2');
    expect(mistakes).toEqual(['Line 2: KEY=VALUE is expected.', 'Line 3: A is given twice.']);
  });

  it('warns of secrets', () => {
    expect(parseConfig('DB_PASSWORD=x1\nLOG_LEVEL=info').warnings.map(({ key }) => key)).toEqual(['DB_PASSWORD']);
  });
});

describe('looksSecret', () => {
  it('knows names and shapes', () => {
    for (const [key, value] of [
      ['PGPASSWORD', 'hunter2'],
      ['STRIPE_API_KEY', 'k'],
      ['AUTH_TOKEN_PROD', 'abc'],
      ['DATABASE_URL', 'postgres://app:hunter2@db/shop'],
      ['CERT', '-----BEGIN RSA PRIVATE KEY-----'],
    ] as const) {
      expect(looksSecret(key, value), key).toBeDefined();
    }
  });

  it('leaves alone what only sounds like one', () => {
    for (const [key, value] of [
      ['TOKEN_FILE', '/run/secrets/token'],
      ['USE_TOKEN', 'true'],
      ['PASSWORD', ''],
      ['MONKEY', 'x'],
      ['PASSWORD_MIN_LENGTH', '12'],
      ['DATABASE_URL', 'postgres://db/shop'],
    ] as const) {
      expect(looksSecret(key, value), key).toBeUndefined();
    }
  });
});
