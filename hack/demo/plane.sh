# A demo's testbed and plane: where they are, how they start and how they end. To be sourced.

: "${ORBIT_CACHE:=$HOME/.cache/orbit-plane}" "${ORBIT_STATE:=$HOME/.local/state/orbit-plane}"
export ORBIT_CACHE ORBIT_STATE
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$ORBIT_CACHE/bin
orbit=${ORBIT:-$here/../../target/debug/orbit}

# One demo by name: its folder, which holds all that it writes, and the files in it.
name_demo() {
  name=$1
  state=$ORBIT_STATE/demo/$name
  data=$state/data
  log=$state/controller.log
  testbed_name=demo-$name
  # The clusters that the plane delivers to, by the environment that each is for.
  clusters=("$testbed_name-dev" "$testbed_name-prod")
  export KUBECACHEDIR=$state/kube-cache
}

bold=$(tput bold 2>/dev/null || true) dim=$(tput dim 2>/dev/null || true) plain=$(tput sgr0 2>/dev/null || true)
[[ -t 1 ]] || bold='' dim='' plain=''

heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
note() { printf '%s%s%s\n' "$dim" "$*" "$plain"; }
# Shows a command as a user would type it, then runs it.
run() {
  printf '%s$ %s%s\n' "$dim" "$*" "$plain"
  "$@"
}

# A port that nothing listens on, from this one on. It stays the same: images are named after the registry's, and browsers
# know the portal by its own.
port_of() {
  local of=$1 port=$2
  if [[ ! -e $state/$of-port ]]; then
    while (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port" >"$state/$of-port"
  fi
  cat "$state/$of-port"
}

# Makes the node of a cluster pull from the plane.
trust_registry() { "$bin/testbed" trust "$registry" "$state/certificate/ca.crt" --name "$1"; }

# The control plane, the clusters with a node each, and the plane with its embedded stores.
start_all() {
  mkdir -p "$state" "$data"
  chmod 700 "$state"
  "$bin/testbed" up --name "$testbed_name" >/dev/null
  local cluster
  for cluster in "${clusters[@]}"; do
    "$bin/testbed" up --name "$cluster" --nodes 1 >/dev/null
  done
  # The address that nodes reach this machine by, and a certificate for it.
  local ORBIT_TESTBED_ADDRESS
  eval "$("$bin/testbed" env --name "${clusters[0]}" | grep ORBIT_TESTBED_ADDRESS)"
  registry=$ORBIT_TESTBED_ADDRESS:$(port_of registry 28480)
  portal=http://127.0.0.1:$(port_of portal 28580)
  "$bin/testbed" certificate "$state/certificate" >/dev/null
  for cluster in "${clusters[@]}"; do
    trust_registry "$cluster"
  done
  admin=$("$bin/testbed" kubeconfig --name "$testbed_name")
  heading "Starting the plane: orbit controller, with everything it stores in one directory"
  # A name of its own, under which the history records what it does by itself.
  local own
  own=$("$bin/testbed" kubeconfig --name "$testbed_name" --user orbit-plane --group system:masters)
  # And a session of its own: Ctrl-C reaches this script alone, which then ends all in order.
  KUBECONFIG=$admin kubectl delete configmap orbit-plane --namespace kube-public --ignore-not-found >/dev/null
  kubectl --kubeconfig "$admin" create secret generic orbit-tls --namespace kube-system --type kubernetes.io/tls \
    --from-file "$state/certificate/ca.crt" --from-file "$state/certificate/tls.crt" \
    --from-file "$state/certificate/tls.key" --dry-run=client -o yaml |
    kubectl --kubeconfig "$admin" apply -f - >/dev/null
  setsid "$orbit" controller --kubeconfig "$own" --data-dir "$data" --renderer "$bin/orbit-renderer" \
    --listen "0.0.0.0:${registry#*:}" --public-url "https://$registry" --tls-secret kube-system/orbit-tls \
    --portal-address "${portal#http://}" --portal-url "$portal" \
    --registry-host "$registry" --health-listen 127.0.0.1:0 </dev/null >>"$log" 2>&1 &
  controller=$!
  disown "$controller" # or bash reports its end, which is asked for
  echo "$controller" >"$state/controller.pid"
  # What it says to clients once it serves them.
  KUBECONFIG=$admin kubectl wait --for=create configmap/orbit-plane --namespace kube-public --timeout=60s >/dev/null
  # What it tells of the history it tells its own machine only, so it is asked by that address.
  server=https://127.0.0.1:${registry#*:}
  note "it serves https://$registry and the portal at $portal, and logs to $log"
}

# Whether the process whose id is on file is still the controller of this demo.
controller_runs() {
  controller=$(cat "$state/controller.pid" 2>/dev/null) || return 1
  tr '\0' ' ' 2>/dev/null <"/proc/$controller/cmdline" | grep -qF -- "--data-dir $data "
}

# Ends everything and deletes what it wrote. Does nothing when there is nothing.
end_all() {
  [[ -e $state ]] || return 0
  if controller_runs; then
    kill -TERM "$controller" 2>/dev/null || true
    timeout 60 tail --pid="$controller" -f /dev/null || kill -KILL "$controller" 2>/dev/null || true
  fi
  local each
  for each in "${clusters[@]}" "$testbed_name"; do
    "$bin/testbed" down --name "$each" || return 1
  done
  rm -rf "$state"
  rmdir --ignore-fail-on-non-empty "$ORBIT_STATE/demo" 2>/dev/null || true
}
