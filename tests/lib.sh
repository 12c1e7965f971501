# What the test runners share: folders, ports, a Courant server of one's own, packages, totals.
# Source it; it sets `-u` and pipefail but not `-e`, because a runner has to report a failure, not vanish at it.
# shellcheck shell=bash
set -u -o pipefail

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Everything a runner downloads, builds or logs goes here; it may be deleted at any time.
CACHE=${CACHE:-$REPO/.cache}
LOGS=${LOGS:-$CACHE/logs}
# The applications that the suites expect.
CONFORMANCE_CONFIG=${CONFORMANCE_CONFIG:-$REPO/tests/conformance/courant.toml}
mkdir -p "$CACHE" "$LOGS"

die() {
  echo "$(basename "$0"): $*" >&2
  exit 2
}

# --- processes -------------------------------------------------------------------------------------------------------

# Process ids and folders that belong to this runner alone. Both are dealt with when it ends, however it ends.
OWN_PIDS=()
OWN_DIRECTORIES=()

end_process() { # PID: asks, asks again (Courant's second SIGTERM skips the drain), then insists
  local pid=$1 attempt
  for attempt in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    case $attempt in 1 | 10 | 30) kill -TERM "$pid" 2>/dev/null ;; 90) kill -KILL "$pid" 2>/dev/null ;; esac
    sleep 0.1
  done
  wait "$pid" 2>/dev/null
}

clean_up() {
  local pid directory
  for pid in "${OWN_PIDS[@]}"; do end_process "$pid"; done
  for directory in "${OWN_DIRECTORIES[@]}"; do rm -rf "$directory"; done
}
trap clean_up EXIT
# Without these bash would run the EXIT trap only after the child in the foreground has ended.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

temporary_directory() { # sets DIRECTORY (no subshell, so that the EXIT trap knows of it)
  DIRECTORY=$(mktemp -d "${TMPDIR:-/tmp}/courant-test.XXXXXX") || die "no temporary folder"
  OWN_DIRECTORIES+=("$DIRECTORY")
}

# --- ports and networks ----------------------------------------------------------------------------------------------

port_is_free() {
  python3 - "$1" <<'PYTHON'
import socket, sys
try:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0")):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, int(sys.argv[1])))
except OSError:
    sys.exit(1)
PYTHON
}

# A free port below the range that the kernel hands to outgoing connections: nobody can take it between this look and
# the server's bind, except another runner that draws the same number (start_server then draws again).
free_port() {
  local port
  while :; do
    port=$((12000 + RANDOM % 20000))
    port_is_free "$port" && break
  done
  echo "$port"
}

require_free_ports() { # PORT... that a foreign suite has fixed in its text
  local port
  for port in "$@"; do
    port_is_free "$port" || die "port $port is fixed by this suite and in use by somebody else; free it and run again"
  done
}

wait_for_port() { # HOST PORT: until something listens, or fails after 60 s
  local i
  for i in $(seq 300); do
    (: <"/dev/tcp/$1/$2") 2>/dev/null && return
    sleep 0.2
  done
  return 1
}

# Suites with fixed ports each get a network of their own, so that they can run at the same time and next to anything
# that is using these ports. `unshare` may be forbidden (many containers): then they run in the common network.
can_have_own_network() {
  [ -z "${COMMON_NETWORK:-}" ] && unshare -rn ip link set lo up 2>/dev/null
}

in_own_network() { # starts this script again, with the same arguments, in a network that has only a loopback
  [ -n "${IN_OWN_NETWORK:-}" ] && return
  can_have_own_network || return 0
  export IN_OWN_NETWORK=1
  exec unshare -rn bash -c 'ip link set lo up && exec "$@"' bash "$0" "$@"
}

# --- the server under test -------------------------------------------------------------------------------------------

# `run HOST PORT` tests that server; `run` alone starts Courant. Sets HOST and PORT.
server_under_test() { # NAME CONFIG [HOST PORT]
  if [ $# -ge 4 ]; then
    HOST=$3 PORT=$4
  else
    start_server "$1" "$2"
  fi
}

build_server() { # sets SERVER_BIN, unless the caller has named one
  if [ -z "${SERVER_BIN:-}" ]; then
    (cd "$REPO" && cargo build --quiet --release --locked -p courant) || {
      echo "courant does not build" >&2
      return 1
    }
    export SERVER_BIN=${CARGO_TARGET_DIR:-$REPO/target}/release/courant
  fi
  [ -x "$SERVER_BIN" ] || die "there is no program at $SERVER_BIN"
}

# Starts Courant with CONFIG on free ports and a data folder of its own, and waits until it is ready.
# Sets HOST, PORT, PRIVATE_PORT, SERVER_PID, SERVER_DATA, SERVER_LOG. Its log is LOGS/NAME.server.log.
start_server() { # NAME CONFIG [VARIABLE=value...]
  local name=$1 config=$2 attempt
  shift 2
  build_server || exit 2
  temporary_directory
  SERVER_DATA=$DIRECTORY SERVER_LOG=$LOGS/$name.server.log HOST=127.0.0.1
  for attempt in 1 2 3; do
    PORT=$(free_port) PRIVATE_PORT=$(free_port)
    env COURANT_SERVER_LISTEN="$HOST:$PORT" COURANT_SERVER_PRIVATE_LISTEN="$HOST:$PRIVATE_PORT" \
      COURANT_SERVER_DATA_DIRECTORY="$SERVER_DATA" "$@" \
      "$SERVER_BIN" serve --config "$config" >"$SERVER_LOG" 2>&1 &
    SERVER_PID=$!
    OWN_PIDS+=("$SERVER_PID")
    wait_until_ready "$SERVER_PID" "$PRIVATE_PORT" && return
  done
  tail -n 20 "$SERVER_LOG" >&2
  die "courant did not become ready; its log is $SERVER_LOG"
}

wait_until_ready() { # PID PRIVATE_PORT; fails at once when the process has ended
  local i
  for i in $(seq 600); do
    kill -0 "$1" 2>/dev/null || return 1
    curl --silent --fail --max-time 5 --output /dev/null "http://127.0.0.1:$2/readyz" && return
    sleep 0.1
  done
  return 1
}

# --- packages --------------------------------------------------------------------------------------------------------

# Installs once per content of the lock files: a stamp names what is there. Several runners may ask at the same time.
install_once() { # FOLDER STAMP COMMAND...
  local folder=$1 stamp=$2
  shift 2
  mkdir -p "$folder"
  (
    flock 9
    [ "$(cat "$folder/.stamp" 2>/dev/null)" = "$stamp" ] && exit 0
    "$@" >"$folder/install.log" 2>&1 || {
      tail -n 20 "$folder/install.log" >&2
      exit 1
    }
    echo "$stamp" >"$folder/.stamp"
  ) 9>"$folder.lock" || die "could not install into $folder"
}

install_npm() { # sets NPM: the folder whose node_modules has all that the JavaScript suites need, for files elsewhere too
  local source=$REPO/tests/conformance/npm
  command -v npm >/dev/null || die "npm is needed (apt-get install nodejs npm)"
  NPM=$CACHE/npm
  install_once "$NPM" "$(cat "$source"/package*.json | sha256sum) node $(node --version)" npm_ci "$source"
  export NODE_PATH=$NPM/node_modules
}

# Without --legacy-peer-deps all of react-native would come too, for one type. pusher-js is copied because its suites are
# built from its sources, which TypeScript's loader refuses to do inside node_modules.
npm_ci() {
  cp "$1/package.json" "$1/package-lock.json" "$NPM/" && cd "$NPM" && npm ci --legacy-peer-deps --ignore-scripts --no-audit --no-fund &&
    rm -rf pusher-js && cp -r node_modules/pusher-js pusher-js
}

install_python() { # sets VENV: a virtual environment with what tests/conformance/python/requirements.txt names
  local requirements=$REPO/tests/conformance/python/requirements.txt
  VENV=$CACHE/venv
  install_once "$VENV" "$(sha256sum <"$requirements") $(python3 --version)" make_venv "$requirements"
}

make_venv() {
  python3 -m venv --clear "$VENV" && "$VENV/bin/pip" install --quiet --require-hashes --requirement "$1"
}

# --- totals ----------------------------------------------------------------------------------------------------------

# The last line of every runner, in one form, so that tests/run can add them up; the exit status says the same.
finish() { # PASSED FAILED [SKIPPED]
  local passed=$1 failed=$2 skipped=${3:-0} line
  line="$passed passed, $failed failed"
  [ "$skipped" -gt 0 ] && line="$line, $skipped skipped"
  echo "$line"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

# Runs test files of our own under Node's test runner, one after another, against HOST and PORT, and finishes.
node_tests() { # FILE...
  temporary_directory
  export HOST PORT TOTALS=$DIRECTORY/totals
  node --test --test-concurrency=1 --test-reporter="$REPO/tests/conformance/totals.js" --test-reporter-destination=stdout "$@"
  local passed=0 failed=1 skipped=0
  [ -s "$TOTALS" ] && read -r passed failed skipped <"$TOTALS"
  finish "$passed" "$failed" "$skipped"
}

# Adds up the `test result:` lines of cargo; sets PASSED, FAILED and SKIPPED. Output without any is one failure.
cargo_totals() { # FILE
  read -r PASSED FAILED SKIPPED < <(awk '
    /^test result:/ { passed += $4; failed += $6; ignored += $8; seen = 1 }
    END { print passed + 0, seen ? failed + 0 : 1, ignored + 0 }' "$1")
}

# Foreign suites have a known number of tests: one that silently ran fewer has not passed.
complete() { # EXPECTED: corrects the variables PASSED and FAILED
  local seen=$((PASSED + FAILED))
  if [ "$seen" -lt "$1" ]; then
    echo "only $seen of the $1 tests of this suite were run; the others count as failed"
    FAILED=$(($1 - PASSED))
  elif [ "$seen" -gt "$1" ]; then
    echo "$seen tests were run where $1 were expected: is this another version of the suite?"
    FAILED=$((FAILED + 1))
  fi
}
