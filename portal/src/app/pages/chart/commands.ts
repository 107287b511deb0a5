/** A command, and what it is for. */
export interface Command {
  label: string;
  text: string;
}

export interface ChartPlace {
  ns: string;
  application: string;
  version: string;
  /** Where the registry serves it, as in `oci://registry.example/shop/charts/web:1.4.0`; none where its host is unknown. */
  url?: string;
}

/** How to have a chart without the portal. */
export function chartCommands({ ns, application, version, url }: ChartPlace): Command[] {
  const export_ = {
    label: 'From the plane’s stores',
    text: `orbit export chart ${application} ${version} --namespace ${ns}`,
  };
  const get = {
    label: 'The object with kubectl',
    text: `kubectl get helmcharts.orbit.k8or.io ${application}.${version} --namespace ${ns} --output yaml`,
  };
  const served = url === undefined ? undefined : /^(oci:\/\/([^/]+)\/.*?):[^:/]+$/.exec(url);
  if (!served) {
    const install = {
      label: 'Install the downloaded file',
      text: `helm install ${application} ./${application}-${version}.tgz --namespace ${ns} --set image.registry=REGISTRY`,
    };
    return [install, export_, get];
  }
  const [, repository = '', host = ''] = served;
  return [
    { label: 'Fetch it with Helm', text: `helm pull ${repository} --version ${version}` },
    {
      label: 'Install it with Helm',
      text: `helm install ${application} ${repository} --version ${version} --namespace ${ns} --set image.registry=${host}`,
    },
    export_,
    get,
  ];
}
