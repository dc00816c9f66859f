#!/bin/sh
# Installs Tidemap's agent on this host and lets it join a fleet, or takes it away again:
#
#   curl -fsS http://HOST:8080/install.sh | sh -s -- INVITE
#   curl -fsS http://HOST:8080/install.sh | sh -s -- --uninstall
#
# In an unpacked archive it takes the programs from there: `sh install.sh URL INVITE` installs the agent, and
# `sh install.sh` alone the whole of Tidemap; `--uninstall` takes away both. As root it installs for the system,
# otherwise for this user.
set -eu
umask 022

usage='usage: install.sh [--node NAME] [--label KEY=VALUE]... [--rejoin] [--no-start] [URL] INVITE
       install.sh --uninstall
       install.sh               in an unpacked archive: all of Tidemap'

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

# Fetches $1, at the API, into the file $2. $3 is a hint where that fails.
fetch() {
  if has curl; then
    curl -fsS --retry 3 --retry-connrefused -o "$2" "$url$1" || fail "$url$1 cannot be fetched${3:-}"
  elif has wget; then
    wget -q -O "$2" "$url$1" || fail "$url$1 cannot be fetched${3:-}"
  else
    fail 'neither curl nor wget is installed'
  fi
}

sha256() {
  if has sha256sum; then sha256sum "$1"; elif has shasum; then shasum -a 256 "$1"; else openssl dgst -sha256 -r "$1"; fi |
    cut -d ' ' -f 1
}

architecture() {
  case $(uname -m) in
    x86_64 | amd64) echo x86_64 ;;
    aarch64 | arm64) echo aarch64 ;;
    *) fail "there is no agent for $(uname -m): build one with cargo, then run \`tidemap-agent join\`" ;;
  esac
}

# Where things are, for the system or for one user.
places() {
  if [ "$(id -u)" = 0 ]; then
    programs=/usr/local/bin config=/etc/tidemap units=/etc/systemd/system state=/var/lib/tidemap-agent
    systemd=/run/systemd/system
    manage() { systemctl "$@"; }
  else
    [ -n "${HOME:-}" ] || fail 'this user has no home folder; run this as root'
    programs=$HOME/.local/bin config=${XDG_CONFIG_HOME:-$HOME/.config}/tidemap state=''
    units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
    # It is missing where somebody has become this user by su or sudo.
    export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"
    systemd=$XDG_RUNTIME_DIR/systemd
    manage() { systemctl --user "$@"; }
  fi
  unit=$units/tidemap-agent.service prefix=${programs%/bin} list=lib/tidemap/installed
}

# The program of a package, or else one that is brought here. Sets `agent`, where it is to be, and `runs`, where
# it is until the host has joined.
bring_program() {
  if [ "$(id -u)" = 0 ] && [ -x /usr/bin/tidemap-agent ]; then
    agent=/usr/bin/tidemap-agent runs=/usr/bin/tidemap-agent
    return
  fi
  agent=$programs/tidemap-agent
  if [ -n "$archive" ]; then
    cp "$archive/bin/tidemap-agent" "$work/agent"
  else
    name=tidemap-agent-$(architecture)
    fetch "/agents/$name" "$work/agent" ' (the API takes agents from --agents-dir)'
    fetch "/agents/$name.sha256" "$work/sum"
    [ "$(sha256 "$work/agent")" = "$(cut -d ' ' -f 1 "$work/sum")" ] || fail "$name did not arrive whole"
  fi
  # There, because nothing may run in a folder for temporary files.
  mkdir -p "$programs"
  runs=$agent.new
  cp "$work/agent" "$runs"
  chmod 755 "$runs"
  "$runs" --version >/dev/null || fail 'the agent does not run on this host'
}

# In one step: a program that runs cannot be written to.
keep_program() {
  if [ "$runs" != "$agent" ]; then mv -f "$runs" "$agent"; fi
}

# The unit, unless a package has brought one.
bring_unit() {
  for folder in /usr/lib/systemd/system /lib/systemd/system; do
    if [ "$(id -u)" = 0 ] && [ -e "$folder/tidemap-agent.service" ]; then
      # One that this script wrote before the package came would hide the package's.
      if grep -qs "^ExecStart=$programs/tidemap-agent" "$unit"; then rm -f "$unit"; fi
      return
    fi
  done
  mkdir -p "$units"
  if [ "$(id -u)" != 0 ]; then
    user_unit >"$unit"
    return
  elif [ -n "$archive" ]; then
    cp "$archive/lib/systemd/system/tidemap-agent.service" "$work/unit"
  else
    fetch /agents/tidemap-agent.service "$work/unit"
  fi
  sed "s|^ExecStart=[^ ]*/tidemap-agent|ExecStart=$agent|" "$work/unit" >"$unit"
}

# A path as a unit has it.
in_unit() { printf '%s' "$1" | sed 's/%/%%/g'; }

# A path as a shell has it.
in_shell() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# For one user there are neither root's credentials nor a user that is made for the agent.
user_unit() {
  cat <<UNIT
[Unit]
Description=Tidemap agent: publishes this host's throughput, and can do nothing else

[Service]
Type=notify
WatchdogSec=60
EnvironmentFile=$(in_unit "$config/agent.env")
ExecStart="$(in_unit "$agent")" --creds "$(in_unit "$config/agent.nk")"
Restart=always
RestartSec=2
NoNewPrivileges=yes

[Install]
WantedBy=default.target
UNIT
}

join() {
  if [ "$#" = 2 ]; then
    url=${1%/}
    shift
  fi
  [ "$#" = 1 ] || fail "$usage"
  [ -n "$url" ] || fail "name the address of the API, too: install.sh URL INVITE"
  bring_program
  # In its environment: every user of this host can read the words of a command.
  TIDEMAP_INVITE=$1 "$runs" join --config-dir "$config" ${node:+"--node=$node"} ${labels:+"--label=$labels"} $rejoin "$url"
  keep_program
  if [ ! -d "$systemd" ] || ! has systemctl; then
    say "Here is no systemd that would start it. Start the agent with"
    say "  set -a && . $(in_shell "$config/agent.env") && exec $(in_shell "$agent") --creds $(in_shell "$config/agent.nk")"
    return
  fi
  bring_unit
  by_hand="systemctl $([ "$(id -u)" = 0 ] || echo '--user ')enable --now tidemap-agent"
  manage daemon-reload || fail "this host has joined, but systemd does not answer; start the agent with: $by_hand"
  manage enable --quiet tidemap-agent.service
  if [ -n "$no_start" ]; then
    say 'The agent starts when this host does.'
    return
  fi
  # Ends when it samples, or says why it does not.
  manage restart tidemap-agent.service || fail "the agent does not start: journalctl -u tidemap-agent"
  manage is-active --quiet tidemap-agent.service || fail "the agent has ended: journalctl -u tidemap-agent"
  if [ "$(id -u)" != 0 ] && [ ! -e "/var/lib/systemd/linger/$(id -un)" ] && has loginctl; then
    # Otherwise it would end with the session.
    loginctl enable-linger 2>/dev/null || say 'it ends with this session: loginctl enable-linger needs an admin'
  fi
  say "The agent runs. The fleet is at $url/"
}

# Removes what `join` has made.
uninstall() {
  if [ -d "$systemd" ] && has systemctl; then
    manage disable --quiet --now tidemap-agent.service 2>/dev/null || true
  fi
  rm -f "$unit" "$programs/tidemap-agent"
  rm -f "$config/agent.nk" "$config/agent.nk.joining" "$config/broker-ca.pem"
  # A package has brought settings of its own.
  if [ -f "$config/agent.env" ] && { [ "$(id -u)" != 0 ] || [ ! -x /usr/bin/tidemap-agent ]; }; then
    # What was there before the host joined stays.
    sed -i -E '/^(TIDEMAP_NATS_URL|TIDEMAP_NATS_CA|NODE_NAME|TIDEMAP_LABELS)=/d' "$config/agent.env"
    [ -s "$config/agent.env" ] || rm -f "$config/agent.env"
  fi
  rmdir "$config" 2>/dev/null || true
  if [ -n "$state" ]; then rm -rf "$state" "/var/lib/private/${state##*/}"; fi
  if [ -d "$systemd" ] && has systemctl; then manage daemon-reload || true; fi
  say "The agent is removed. \`tidemap revoke NODE\` on the broker's host ends its key and takes it off the list."
}

# Files and folders of an archive for this user: units and users of the system are root's. `$@` is for find.
parts() {
  if [ "$(id -u)" = 0 ]; then others='^$'; else others='^lib/sys'; fi
  (cd "$archive" && find bin lib share "$@") | grep -v "$others"
}

# All of an archive, below /usr/local or the user's ~/.local.
install_all() {
  [ -n "$archive" ] || fail "$usage"
  mkdir -p "$prefix"
  parts ! -type d >"$work/files"
  # What is new here: folders with a slash at their end, before what is in them.
  [ ! -e "$prefix/$list" ] || cat "$prefix/$list" >"$work/list"
  parts -type d | while read -r folder; do
    [ -d "$prefix/$folder" ] || echo "$folder/" >>"$work/list"
  done
  cat "$work/files" >>"$work/list"
  tar -cf - -C "$archive" -T "$work/files" | tar -xf - -C "$prefix" --no-same-owner
  "$prefix/bin/tidemap" --version >/dev/null || fail 'tidemap does not run on this host'
  mkdir -p "$prefix/${list%/*}"
  sort -u "$work/list" >"$prefix/$list"
  say "Tidemap is installed below $prefix. \`$prefix/bin/tidemap up\` starts everything on this host."
  [ "$(id -u)" = 0 ] || return 0
  # The units are for programs here; the broker is none that people call, so it is elsewhere.
  sed -i "s|/usr/local/bin/nats-server|$prefix/lib/tidemap/nats-server|" \
    "$prefix/lib/systemd/system/tidemap-nats.service"
  if has systemd-sysusers; then systemd-sysusers "$prefix/lib/sysusers.d/tidemap.conf"; fi
  if [ -d "$systemd" ] && has systemctl; then
    manage daemon-reload
    say 'As a service: systemctl enable --now tidemap'
  fi
}

# Removes what `install_all` has brought. Data stays: it is the history of a fleet.
uninstall_all() {
  if [ "$(id -u)" = 0 ] && [ -d "$systemd" ] && has systemctl; then
    # Those of a template by a pattern, which only `stop` takes.
    sed -n 's|^lib/systemd/system/\(.*@\)|\1*|p; s|^lib/systemd/system/||p' "$prefix/$list" | while read -r name; do
      manage stop "$name" 2>/dev/null || true
    done
    find /etc/systemd/system -type l -lname "$prefix/lib/systemd/system/tidemap*" -delete
  fi
  sort -r "$prefix/$list" >"$work/list"
  rm -f "$prefix/$list"
  while read -r file; do
    case $file in
      */) rmdir "$prefix/$file" 2>/dev/null || true ;;
      *) rm -f "$prefix/$file" ;;
    esac
  done <"$work/list"
  if [ "$(id -u)" = 0 ]; then
    [ ! -d /var/lib/tidemap ] || say 'Tidemap is removed. Its keys and its history stay in /var/lib/tidemap.'
  fi
}

main() {
  # The API fills in how it was asked for this script.
  url='@URL@'
  case $url in @*) url='' ;; esac
  agent='' runs=''
  archive='' node='' labels='' rejoin='' no_start='' action=join
  case $0 in
    */install.sh | install.sh)
      folder=$(cd "$(dirname "$0")" && pwd)
      if [ -x "$folder/bin/tidemap-agent" ]; then archive=$folder; fi
      ;;
  esac
  while [ "$#" -gt 0 ]; do
    case $1 in
      --node) node=${2:?$usage}; shift ;;
      --node=*) node=${1#*=} ;;
      --label) labels=${labels:+$labels,}${2:?$usage}; shift ;;
      --label=*) labels=${labels:+$labels,}${1#*=} ;;
      --rejoin) rejoin=--rejoin ;;
      --no-start) no_start=yes ;;
      --uninstall) action=uninstall ;;
      -h | --help) say "$usage"; return ;;
      --) shift; break ;;
      -*) fail "$usage" ;;
      *) break ;;
    esac
    shift
  done
  places
  work=$(mktemp -d)
  trap 'rm -rf "$work"; [ -z "$runs" ] || [ "$runs" = "$agent" ] || rm -f "$runs"' EXIT
  trap 'exit 1' HUP INT TERM
  if [ "$action" = uninstall ]; then
    [ ! -e "$prefix/$list" ] || uninstall_all
    uninstall
  elif [ "$#" = 0 ]; then
    install_all
  else
    join "$@"
  fi
}

# The last line: a script that arrives in part does nothing.
main "$@"
