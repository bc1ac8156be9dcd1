#!/usr/bin/env bash
# The commands for work on this repository. The script only prepares the machine and calls dotnet.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  cat <<'HELP'
Usage: ./build.sh VERB [ARGUMENTS]

  photos   train on a folder of photos, test, save and predict (ARGUMENTS: FOLDER [PHOTO])
  demo     train on Fashion-MNIST in four ways, find wrong labels, save, load and predict (--help: options)
  test     run the tests (ARGUMENTS are passed to dotnet test)
  bench    run the benchmarks (ARGUMENTS: rows to run, or photos and folders of photos; --help: list them)
  pack     write the NuGet packages to packages/
  docs     write the documentation site to artifacts/site (--serve: also serve it on this machine)
  format   format the source code (--verify-no-changes: only check it)
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
    fail "The .NET SDK is not installed, or dotnet is not on the PATH. Install SDK $version or a later SDK of .NET ${version%%.*}:" \
      "https://dotnet.microsoft.com/download"
  # In this folder, dotnet applies global.json and lists the installed SDKs if none is suitable.
  dotnet --version > /dev/null || fail "No suitable .NET SDK is installed. Install SDK $version or a later SDK of .NET ${version%%.*}."
}

# The Linux build of libtorch uses GCC 13. Programs that use TorchSharp cannot load it with an older C++ runtime.
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
    *) fail "libtorch needs a libstdc++.so.6 with $cxx_version (GCC 13.2 or later), which $PRETTY_NAME lacks." \
         "Install a newer libstdc++, or use Debian 13, Ubuntu 24.04, Fedora 39 or later." ;;
  esac
  has_cxx_runtime || fail "libstdc++6 is installed, but $cxx_version is still missing. Install a libstdc++6 that has it."
}

# Only this call of apt uses the newer release: its sources and package lists are in a folder that is deleted afterwards, so later
# upgrades do not use the release.
install_cxx_runtime_from() {
  local release=$1 folder sudo=()
  printf '%s\n' "libtorch needs a libstdc++.so.6 with $cxx_version (GCC 13.2), which $PRETTY_NAME lacks." \
    "Installing libstdc++6 of release '$release' and its dependencies, such as libc6, from the apt mirror of this machine." \
    "The apt sources of this machine do not change."
  if [ "$(id -u)" != 0 ]; then
    command -v sudo > /dev/null || fail "The installation needs root. Run ./build.sh as root once, or install sudo."
    sudo=(sudo)
  fi
  folder=$(mktemp -d)
  trap "${sudo[*]} rm -rf '$folder'" EXIT
  # apt downloads as a user of its own, which must be able to read the folder.
  chmod 755 "$folder"
  mkdir -p "$folder/sources" "$folder/lists/partial"
  newer_sources "$VERSION_CODENAME" "$release" "$folder/sources"
  local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
    -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$folder/sources" -o "Dir::State::Lists=$folder/lists"
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=)
  "${apt[@]}" update < /dev/null
  "${apt[@]}" install --no-install-recommends libstdc++6 < /dev/null
}

# Writes the machine's apt sources for suite $1 to folder $3, with the suite renamed to $2. Entries of other suites, or without the
# component main, are left out: archives of other vendors may not have the newer release.
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
    fail "There is no apt source of '$from' with the component main from which to install '$to'. Install libstdc++6 of '$to' manually."
}

# The API reference is made from the built library, its XML documentation and the assemblies that it references. A broken link is an error.
docs() {
  rm -rf artifacts/library artifacts/api artifacts/site
  dotnet tool restore
  dotnet publish -c Release -o artifacts/library src/Microsoft.ML.Flooding.Magick
  dotnet publish -c Release -o artifacts/library src/Microsoft.ML.Flooding.Orleans
  dotnet docfx docfx.json --warningsAsErrors "$@"
}

verb=${1:-help}
[ $# = 0 ] || shift
case $verb in
  photos | demo | test | bench)
    require_sdk
    require_cxx_runtime
    # Threads that spin while they wait take CPU time from threads that work.
    export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"
    ;;
  pack | docs | format) require_sdk ;;
esac
case $verb in
  photos) exec dotnet run -c Release --project docs/samples/Photos -- "$@" ;;
  # Its small network trains twice as fast with one thread.
  demo) OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" exec dotnet run -c Release --project docs/samples/FashionMnist -- "$@" ;;
  test) exec dotnet test -c Release --solution Microsoft.ML.Flooding.sln "$@" ;;
  bench) exec dotnet run -c Release --project test/Microsoft.ML.Flooding.Benchmarks -- "$@" ;;
  pack) exec dotnet pack -c Release "$@" ;;
  docs) docs "$@" ;;
  format) exec dotnet format "$@" ;;
  help | -h | --help) usage ;;
  *)
    usage >&2
    fail "" "There is no verb '$verb'. Use one of the verbs above."
    ;;
esac
