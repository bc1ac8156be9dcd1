#!/usr/bin/env bash
# Everything a contributor does with this repository, as one command with verbs. It only prepares the machine and calls dotnet.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  cat <<'HELP'
Usage: ./build.sh VERB [ARGUMENTS]

  demo     train on Fashion-MNIST with and without flooding, save, load and predict (--help: its options)
  test     run the tests (arguments go to dotnet test)
  bench    run the benchmarks (arguments go to them)
  pack     write the NuGet packages to packages/
  format   bring the source into the house style (--verify-no-changes: only check it)
HELP
}

fail() {
  printf '%s\n' "$@" >&2
  exit 1
}

require_sdk() {
  local version
  version=$(sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' global.json)
  command -v dotnet > /dev/null ||
    fail "The .NET SDK is not installed, or dotnet is not on the PATH. This repository needs SDK $version or a later one of .NET ${version%%.*}:" \
      "https://dotnet.microsoft.com/download"
  # Run here, dotnet obeys global.json and lists the SDKs it found when none will do.
  dotnet --version > /dev/null || fail "This repository needs .NET SDK $version or a later one of .NET ${version%%.*}."
}

# libtorch's Linux binary is built with GCC 13. Where the system's C++ runtime is older, nothing that uses TorchSharp can load it.
readonly cxx_version=GLIBCXX_3.4.32

has_cxx_runtime() {
  local library
  library=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p | awk '/libstdc\+\+\.so\.6 .*x86-64/ { print $NF; exit }')
  [ -n "$library" ] && grep -aq "$cxx_version" "$library"
}

require_cxx_runtime() {
  [ "$(uname -sm)" = "Linux x86_64" ] || return 0
  has_cxx_runtime && return 0
  local ID='' ID_LIKE='' VERSION_CODENAME='' PRETTY_NAME='this distribution'
  [ -r /etc/os-release ] && . /etc/os-release
  case $ID in
    debian) install_cxx_runtime_from trixie ;;
    ubuntu) install_cxx_runtime_from noble ;;
    *) fail "libtorch needs a libstdc++.so.6 with $cxx_version (GCC 13.2 or newer), which $PRETTY_NAME lacks." \
         "Install a newer libstdc++, or use a distribution that has one: Debian 13, Ubuntu 24.04, Fedora 39 or later." ;;
  esac
  has_cxx_runtime || fail "libstdc++6 was installed, but $cxx_version is still missing."
}

# The newer release is known to this one call of apt alone: its sources and package lists live in a folder that is deleted afterwards,
# so that no later upgrade draws on it.
install_cxx_runtime_from() {
  local release=$1 folder sudo=()
  printf '%s\n' "libtorch needs a libstdc++.so.6 with $cxx_version (GCC 13.2), which $PRETTY_NAME lacks." \
    "Installing libstdc++6 of release '$release' and what it depends on (libc6 above all) from this machine's own apt mirror." \
    "The machine's apt sources stay as they are."
  if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null || fail "This needs root: run ./build.sh as root once, or install sudo."
    sudo=(sudo)
  fi
  folder=$(mktemp -d)
  trap "${sudo[*]} rm -rf '$folder'" EXIT
  # apt drops to a user of its own to download.
  chmod 755 "$folder"
  mkdir -p "$folder/sources" "$folder/lists/partial"
  newer_sources "$VERSION_CODENAME" "$release" "$folder/sources"
  local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
    -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$folder/sources" -o "Dir::State::Lists=$folder/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
  "${apt[@]}" update < /dev/null
  "${apt[@]}" install --no-install-recommends libstdc++6 < /dev/null
}

# Writes the machine's sources for suite $1, renamed to suite $2, to folder $3. Only entries of exactly that suite and of component main
# are taken: other vendors' archives need not know the newer release.
newer_sources() {
  local from=$1 to=$2 folder=$3 files
  shopt -s nullglob
  files=(/etc/apt/sources.list.d/*.sources)
  [ ${#files[@]} = 0 ] || awk -v from="$from" -v to="$to" '
    FNR == 1 || /^[ \t]*$/ { flush() }
    /^#/ || /^[ \t]*$/ { next }
    /^Enabled:[ \t]*(no|false)/ { skip = 1 }
    /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == from) suite = 1; $0 = "Suites: " to }
    /^Components:/ { if (!/[ \t]main([ \t]|$)/) skip = 1; $0 = "Components: main" }
    { stanza = stanza $0 "\n" }
    END { flush() }
    function flush() { if (suite && !skip) print stanza; stanza = ""; suite = skip = 0 }
  ' "${files[@]}" > "$folder/newer.sources"
  [ ! -s "$folder/newer.sources" ] || return 0
  files=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list)
  cat "${files[@]}" 2> /dev/null | sed -En "s/^(deb +(\[[^]]*\] +)?[^ ]+ +)$from +(.* )?main( .*)?$/\1$to main/p" > "$folder/newer.list"
  [ -s "$folder/newer.list" ] ||
    fail "No apt source of '$from' with component main was found, so there is none to take '$to' from. Install libstdc++6 of '$to' by hand."
}

verb=${1:-help}
[ $# = 0 ] || shift
case $verb in
  demo | test | bench)
    require_sdk
    require_cxx_runtime
    # Waiting threads that spin take the cores from those that work.
    export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
    ;;
  pack | format) require_sdk ;;
esac
case $verb in
  demo) exec dotnet run -c Release --project docs/samples/FashionMnist -- "$@" ;;
  test) exec dotnet test -c Release --solution Microsoft.ML.Flooding.sln "$@" ;;
  bench) exec dotnet run -c Release --project test/Microsoft.ML.Flooding.Benchmarks -- "$@" ;;
  pack) exec dotnet pack -c Release "$@" ;;
  format) exec dotnet format "$@" ;;
  help | -h | --help) usage ;;
  *)
    usage >&2
    fail "" "There is no verb '$verb'."
    ;;
esac
