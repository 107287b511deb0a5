import { Command } from '../chart/commands';

export interface ManifestsPlace {
  ns: string;
  application: string;
  environment: string;
  /** Where the registry serves them, as in `oci://registry.example/shop/overlays/web:prod`; none where its host is unknown. */
  url?: string;
}

/** How to have what is rendered without the portal. */
export function manifestsCommands({ ns, application, environment, url }: ManifestsPlace): Command[] {
  const name = `${application}.${environment}`;
  const pull = {
    label: 'From the registry, as Flux fetches it',
    text: `flux pull artifact ${url} --output ${name}`,
  };
  return [
    ...(url === undefined ? [] : [pull]),
    {
      label: 'From the plane’s stores',
      text: `orbit export overlay ${application} ${environment} --namespace ${ns} --output ${name}.yaml`,
    },
    {
      label: 'What it would change in your cluster',
      text: `kubectl diff --filename ${name}.yaml`,
    },
    {
      label: 'The object with kubectl',
      text: `kubectl get environmentoverlays.orbit.k8or.io ${name} --namespace ${ns} --output yaml`,
    },
  ];
}
