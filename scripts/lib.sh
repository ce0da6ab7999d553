# What scripts that start servers have in common. It is sourced by a script that has set `name`, which its
# messages begin with, and `folder`, where the server keeps its data and its process id.
# shellcheck shell=bash disable=SC2154

# Ends the script with an error.
fail() {
    echo "$name: $*" >&2
    exit 1
}

# Ends the script with 3: the machine lacks what the server needs.
missing() {
    echo "$name: $*" >&2
    exit 3
}

# Makes the folder HOME once: `fetch_once HOME WHAT COMMAND…` calls COMMAND with a new folder to fill, then moves
# that into place whole, so that two scripts that fetch at the same time do each other no harm.
fetch_once() {
    local home=$1 what=$2 part
    shift 2
    [ ! -f "$home/complete" ] || return 0
    command -v mvn >/dev/null || missing "there is no Maven (mvn), which fetches $what"
    mkdir -p "$(dirname "$home")"
    part=$(mktemp -d "$home.XXXXXX")
    echo "$name: fetching $what with Maven, once" >&2
    if ! "$@" "$part" >"$part/maven.log" 2>&1; then
        tail -5 "$part/maven.log" >&2
        rm -rf "$part"
        fail "Maven could not fetch $what"
    fi
    touch "$part/complete"
    mv -T "$part" "$home" 2>/dev/null || rm -rf "$part"
    [ -f "$home/complete" ] || fail "$what did not arrive in $home"
}

# Prints ports of this machine that nobody listens on now, as many as are asked for.
free_ports() {
    python3 - "$1" <<'PY' 2>/dev/null || fail "there is no python3, which finds free ports"
import socket, sys
taken = [socket.socket() for _ in range(int(sys.argv[1]))]
for each in taken:
    each.bind(("127.0.0.1", 0))
print(*(each.getsockname()[1] for each in taken))
PY
}

# Whether the server of the folder runs.
is_running() {
    [ -f "$folder/pid" ] && kill -0 "$(cat "$folder/pid")" 2>/dev/null
}

# Starts the server, `launch LOG COMMAND…`, in a session of its own, so that an interrupted test run does not
# reach it before it is stopped.
launch() {
    local log=$1
    shift
    setsid "$@" >>"$log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
}

# Stops the server when the process PID ends, then calls what else is given. Tests that are killed cannot clean up.
ends_with() {
    local pid=$1
    shift
    (
        while kill -0 "$pid" 2>/dev/null; do
            is_running || exit 0
            sleep 1
        done
        stop
        "$@"
    ) >/dev/null 2>&1 </dev/null &
}

# Waits until a command succeeds: `await LOG COMMAND…`, a minute at most.
await() {
    local log=$1
    shift
    local end=$((SECONDS + 60))
    while [ "$SECONDS" -lt "$end" ]; do
        ! "$@" 2>/dev/null || return 0
        is_running || break
        sleep 0.1
    done
    tail -5 "$log" >&2
    fail "the server did not start; see $log"
}

# Stops the server of the folder, by force after half a minute.
stop() {
    is_running || return 0
    local pid
    pid=$(cat "$folder/pid")
    kill "$pid"
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$folder/pid"
}
