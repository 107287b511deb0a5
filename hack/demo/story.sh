# The demo's story: one image from its Dockerfile to pods in two clusters, the end of one of them, and the record of it all.
# To be sourced.

# Maria works in the namespace shop and nowhere else: what she does is recorded under her name.
introduce_maria() {
  maria=$("$bin/testbed" kubeconfig --name "$testbed_name" --user maria@shop.example)
  {
    kubectl --kubeconfig "$admin" create namespace shop
    kubectl --kubeconfig "$admin" create role orbit --namespace shop --verb='*' \
      --resource=imageuploads.orbit.k8or.io,helmcharts.orbit.k8or.io,environmentoverlays.orbit.k8or.io,ephemeralclusters.orbit.k8or.io,deliveries.orbit.k8or.io
    # What the plane advises to do: read events, give it a pull secret.
    kubectl --kubeconfig "$admin" create role secrets --namespace shop --verb=get,list,watch,create,update,patch,delete \
      --resource=secrets
    kubectl --kubeconfig "$admin" create role events --namespace shop --verb=get,list,watch \
      --resource=events,events.events.k8s.io
    # Where the plane is, and whom to trust there: as the Helm chart of the plane lets everybody know.
    kubectl --kubeconfig "$admin" create role find --namespace kube-public --verb=get --resource=configmaps \
      --resource-name=orbit-plane
    kubectl --kubeconfig "$admin" create rolebinding find --namespace kube-public --role find \
      --group system:authenticated
    for role in orbit secrets events; do
      kubectl --kubeconfig "$admin" create rolebinding "maria-$role" --namespace shop --role "$role" \
        --user maria@shop.example
    done
    kubectl --kubeconfig "$maria" config set-context --current --namespace shop
  } >/dev/null
  export KUBECONFIG=$maria ORBIT_SERVER=$server XDG_STATE_HOME=$state/xdg
}

# Lets somebody into the portal, as a developer in the namespace shop, with the roles that the plane's Helm chart brings.
# A person's token is that of a service account, which any cluster can make; it is good for a week.
let_into_portal() {
  helm template orbit-plane "$here/../../charts/orbit-plane" --kube-version 1.36.0 --show-only templates/rbac-roles.yaml |
    kubectl --kubeconfig "$admin" apply --filename - >/dev/null
  kubectl --kubeconfig "$admin" create serviceaccount maria --namespace shop >/dev/null
  kubectl --kubeconfig "$admin" create rolebinding shop-developers --namespace shop --clusterrole orbit-developer \
    --serviceaccount shop:maria --group shop-developers >/dev/null
  portal_token
}

# Her token, for the portal and for the commands that ask the plane: her kubeconfig has a client certificate.
portal_token() {
  (umask 077 && kubectl --kubeconfig "$admin" create token maria --namespace shop --duration 168h >"$state/token")
  ORBIT_TOKEN=$(cat "$state/token")
  export ORBIT_TOKEN
}

# Builds the image of a version with buildah, from the Dockerfile in app/, as the archive $state/web-VERSION.tar.
build_image() {
  local version=$1 context=$state/context
  mkdir -p "$context" "$state/tmp"
  cp "$here/app/Dockerfile" "$here/app/passwd" "$context"
  CGO_ENABLED=0 go -C "$here/app" build -trimpath -ldflags "-s -w -X main.version=$version" -o "$context/web" .
  # Storage of its own, which goes with the demo. In OCI's format an image has no HEALTHCHECK.
  local storage=(--storage-driver vfs --root "$state/buildah" --runroot "$state/buildah-run")
  TMPDIR=$state/tmp buildah "${storage[@]}" bud --quiet --format docker --isolation chroot --build-arg "VERSION=$version" \
    --tag "shop/web:$version" "$context" >/dev/null
  rm -f "$state/web-$version.tar"
  TMPDIR=$state/tmp buildah "${storage[@]}" push --quiet "shop/web:$version" "docker-archive:$state/web-$version.tar:shop/web:$version"
  note "$(du -h "$state/web-$version.tar" | cut -f1) archive: $state/web-$version.tar"
}

upload() {
  local version=$1
  (cd "$state" && run orbit upload "web-$version.tar" --application web --version "$version" \
    --environment dev --environment prod --config LOG_LEVEL=info --port http=8080 \
    --owner maria@shop.example --metadata team=checkout)
}

# Waits until an environment runs a version and its manifests are published.
wait_for_environment() {
  kubectl wait "environmentoverlay/web.$1" --for=create --timeout=60s >/dev/null
  kubectl wait "environmentoverlay/web.$1" --for=jsonpath='{.status.selected.version}'="$2" --timeout=60s >/dev/null
  kubectl wait "environmentoverlay/web.$1" --for=condition=Ready --timeout=60s >/dev/null
}

rendered() {
  orbit export overlay web "$1" --namespace shop --data-dir "$data" --output "$state/$1.yaml"
}

show_environments() { run kubectl get environmentoverlays -o wide; }

# Lets a cluster join: a Secret with its kubeconfig, and an object that says what it is for.
join_cluster() {
  local environment=$1 cluster=$testbed_name-$1
  kubectl create secret generic "$environment-kubeconfig" --dry-run=client --output yaml \
    --from-file "value=$("$bin/testbed" kubeconfig --name "$cluster")" | kubectl apply --server-side --filename - >/dev/null
  run kubectl apply --filename - <<CLUSTER
apiVersion: orbit.k8or.io/v1alpha1
kind: EphemeralCluster
metadata:
  name: $environment
  namespace: shop
  labels: {orbit.k8or.io/environment: $environment}
spec:
  connection: {kubeConfig: {secretRef: {name: $environment-kubeconfig}}}
CLUSTER
  kubectl wait "ephemeralcluster/$environment" --for=condition=Ready --timeout=60s >/dev/null
}

# Waits until a version runs healthily in the cluster of an environment.
wait_for_delivery() {
  local delivery=delivery/web.$1.shop.$1
  kubectl wait "$delivery" --for=create --timeout=60s >/dev/null
  kubectl wait "$delivery" --for=jsonpath='{.status.applied.version}'="$2" --timeout=120s >/dev/null
  kubectl wait "$delivery" --for=condition=Ready --timeout=180s >/dev/null
}

# Asks every pod of web in the cluster of an environment what it is; there are to be so many.
ask_pods() {
  local kubeconfig address addresses
  kubeconfig=$("$bin/testbed" kubeconfig --name "$testbed_name-$1")
  run kubectl --kubeconfig "$kubeconfig" get pods --namespace "$2" --output wide
  # Those that end are none of them.
  mapfile -t addresses < <(kubectl --kubeconfig "$kubeconfig" get pods --namespace "$2" --field-selector status.phase=Running \
    --output go-template='{{range .items}}{{if not .metadata.deletionTimestamp}}{{.status.podIP}}{{"\n"}}{{end}}{{end}}')
  for address in "${addresses[@]}"; do
    run curl --silent --show-error --max-time 5 "http://$address:8080/"
    echo
  done
  if ((${#addresses[@]} != $3)); then
    echo "$3 pods are to run in $1, and ${#addresses[@]} do" >&2
    return 1
  fi
}

tell() {
  heading "1. Two clusters join, each with a real node: one for dev, one for prod"
  join_cluster dev
  join_cluster prod
  run kubectl get ephemeralclusters

  heading "2. An image, really built: buildah and hack/demo/app/Dockerfile"
  build_image 1.0.0

  heading "3. Maria hands it over. One command, with her own kubeconfig"
  upload 1.0.0
  wait_for_environment dev 1.0.0
  wait_for_environment prod 1.0.0

  heading "4. What she asked for, and what became of it: one ImageUpload"
  run kubectl get imageupload web -o yaml
  run kubectl get orbit

  heading "5. The Helm chart made for the release"
  run kubectl get helmchart web.1.0.0 -o wide
  (cd "$state" && run orbit export chart web 1.0.0 --namespace shop --data-dir "$data" && run tar --list --file web-1.0.0.tgz)

  heading "6. It runs: pods in both clusters, pulled from the plane itself"
  wait_for_delivery dev 1.0.0
  wait_for_delivery prod 1.0.0
  run kubectl get deliveries
  ask_pods dev shop 1

  heading "7. Production is to differ: one EnvironmentOverlay, with Helm values and a Kustomize patch"
  run cat "$here/prod.yaml"
  # The default overlay owns application and environment only, so hers adopts it.
  run kubectl apply --server-side --filename "$here/prod.yaml"
  kubectl wait environmentoverlay/web.prod --for=jsonpath='{.status.selected.reason}'=NewestInRange --timeout=60s >/dev/null
  wait_for_environment prod 1.0.0
  rendered dev
  rendered prod
  show_environments
  note "What is rendered for dev (-) and prod (+):"
  diff --unified=1 --label dev "$state/dev.yaml" --label prod "$state/prod.yaml" || [[ $? == 1 ]]
  wait_for_delivery prod 1.0.0
  ask_pods prod shop-prod 3

  heading "8. Version 1.1.0: dev follows by itself, prod stays in its range"
  build_image 1.1.0
  upload 1.1.0
  wait_for_environment dev 1.1.0
  wait_for_environment prod 1.0.0
  wait_for_delivery dev 1.1.0
  show_environments
  ask_pods dev shop 1

  heading "9. Somebody changes what runs, and it is put right"
  local of_dev
  of_dev=$("$bin/testbed" kubeconfig --name "$testbed_name-dev")
  run kubectl --kubeconfig "$of_dev" scale deployment/web --namespace shop --replicas=4
  kubectl --kubeconfig "$of_dev" wait deployment/web --namespace shop --for=jsonpath='{.spec.replicas}'=1 --timeout=60s >/dev/null
  wait_for_delivery dev 1.1.0
  run kubectl get events --field-selector reason=DriftCorrected

  heading "10. The cluster of dev dies, without a goodbye"
  run testbed kill --name "$testbed_name-dev"
  kubectl wait ephemeralcluster/dev --for=condition=Reachable=false --timeout=120s >/dev/null
  run kubectl get ephemeralclusters
  note "Nobody waits for the dead: its object goes, and what ran there is recorded as lost."
  run kubectl delete ephemeralcluster dev --timeout=60s
  kubectl wait delivery/web.dev.shop.dev --for=delete --timeout=60s >/dev/null

  heading "11. Nothing is forgotten: the lifecycle of web"
  run orbit lifecycle web --all
  orbit lifecycle web --all | grep 'lost in shop/dev' >/dev/null
  note "And the record is whole: every event is chained to the one before by its hash."
  run orbit verify --data-dir "$data"
}
