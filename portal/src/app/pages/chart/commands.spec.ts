import { chartCommands } from './commands';

describe('chartCommands', () => {
  const place = { ns: 'shop', application: 'web', version: '1.4.0' };

  it('are for Helm where the registry is known', () => {
    const url = 'oci://registry.example:5000/shop/charts/web:1.4.0';
    const texts = chartCommands({ ...place, url }).map(({ text }) => text);
    expect(texts).toEqual([
      'helm pull oci://registry.example:5000/shop/charts/web --version 1.4.0',
      'helm install web oci://registry.example:5000/shop/charts/web --version 1.4.0 --namespace shop --set image.registry=registry.example:5000',
      'orbit export chart web 1.4.0 --namespace shop',
      'kubectl get helmcharts.orbit.k8or.io web.1.4.0 --namespace shop --output yaml',
    ]);
  });

  it('are for the downloaded file where it is not', () => {
    const texts = chartCommands(place).map(({ text }) => text);
    expect(texts[0]).toBe('helm install web ./web-1.4.0.tgz --namespace shop --set image.registry=REGISTRY');
    expect(texts.join('\n')).not.toContain('oci://');
  });
});
