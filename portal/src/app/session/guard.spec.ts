import { returnPath } from './guard';

describe('returnPath', () => {
  it('leads to paths of the portal and nowhere else', () => {
    expect(returnPath('/ns/shop?search=a')).toBe('/ns/shop?search=a');
    for (const given of [
      undefined,
      '',
      'https://evil.example',
      '//evil.example',
      '/\\evil.example',
      '/sign-in?return=/x',
    ]) {
      expect(returnPath(given)).toBe('/');
    }
  });
});
