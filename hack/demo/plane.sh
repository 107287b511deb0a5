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

# The control plane, and the plane on it with its embedded stores.
start_all() {
  mkdir -p "$state" "$data"
  chmod 700 "$state"
  "$bin/testbed" up --name "$testbed_name" >/dev/null
  admin=$("$bin/testbed" kubeconfig --name "$testbed_name")
  heading "Starting the plane: orbit controller, with everything it stores in one directory"
  # A name of its own, under which the history records what it does by itself.
  local own
  own=$("$bin/testbed" kubeconfig --name "$testbed_name" --user orbit-plane --group system:masters)
  # And a session of its own: Ctrl-C reaches this script alone, which then ends all in order.
  KUBECONFIG=$admin kubectl delete configmap orbit-plane --namespace kube-public --ignore-not-found >/dev/null
  setsid "$orbit" controller --kubeconfig "$own" --data-dir "$data" --renderer "$bin/orbit-renderer" \
    --listen 127.0.0.1:0 --health-listen 127.0.0.1:0 </dev/null >>"$log" 2>&1 &
  controller=$!
  disown "$controller" # or bash reports its end, which is asked for
  echo "$controller" >"$state/controller.pid"
  # What it says to clients once it serves them.
  KUBECONFIG=$admin kubectl wait --for=create configmap/orbit-plane --namespace kube-public --timeout=60s >/dev/null
  server=$(KUBECONFIG=$admin kubectl get configmap orbit-plane --namespace kube-public -o jsonpath='{.data.url}')
  note "it serves $server and logs to $log"
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
  "$bin/testbed" down --name "$testbed_name" || return 1
  rm -rf "$state"
  rmdir --ignore-fail-on-non-empty "$ORBIT_STATE/demo" 2>/dev/null || true
}
