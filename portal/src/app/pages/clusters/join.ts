/** What an administrator applies for a cluster to join. */
export function joinYaml(ns: string, name: string, environment: string): string {
  return `apiVersion: orbit.k8or.io/v1alpha1
kind: EphemeralCluster
metadata:
  name: ${name}
  namespace: ${ns}
  labels:
    orbit.k8or.io/environment: ${environment}
spec:
  connection:
    kubeConfig:
      secretRef:
        name: ${name}-kubeconfig
`;
}

export function joinCommand(ns: string, name: string): string {
  return `kubectl create secret generic ${name}-kubeconfig --namespace ${ns} --from-file=value=${name}.kubeconfig
kubectl apply --filename ${name}.yaml`;
}
