# Installs packages, repairing what an interrupted run left. Arguments: KEY-URL KEYRING FINGERPRINT for each foreign
# repository, then "--", then the packages. Debian's packages start half-configured daemons (a standalone OVN database, a
# FRR without configuration): while policy-rc.d says 101 they don't. It goes away however this script ends; one that
# the operator made stays.
# MESHCTL_ROOT is the root of another system (for tests).

root=${MESHCTL_ROOT-}
policy=$root/usr/sbin/policy-rc.d
mark='# meshctl: nothing starts while packages are being installed'
log=$root/var/log/meshctl-packages.log
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

# A second installation waits for the first one, which goes on even when its controller is gone.
exec 9>"$root/run/meshctl-packages.lock"
flock 9
trap '' HUP PIPE
exec 3>&2 >>"$log" 2>&1 </dev/null
began=$(wc -c <"$log")
date

allow_starts() { ! grep -qsxF "$mark" "$policy" || rm -f "$policy"; }
forbid_starts() {
    [ -e "$policy" ] || { printf '%s\n' '#!/bin/sh' "$mark" 'exit 101' >"$policy.new"
        chmod 755 "$policy.new" && mv "$policy.new" "$policy"; }
}
trap allow_starts EXIT
trap 'exit 143' INT TERM

apt() {
    apt-get -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}

# dpkg itself doesn't wait for its lock as apt does. Somebody else may be installing: unattended-upgrades does at boot.
repair() {
    for _ in $(seq 120); do
        said=$(dpkg --configure -a 2>&1) && return
        echo "$said"
        case $said in *'lock was locked by '*) sleep 1 ;; *) return 1 ;; esac
    done
    echo "E: another process holds dpkg's lock for two minutes: $said"
    return 1
}

update() { apt-get -q -o DPkg::Lock::Timeout=120 update; }

# The fingerprints of all keys in a file; those of subkeys come with their key.
fingerprints() {
    gpg --batch --show-keys --with-colons "$1" | awk -F: '$1 == "pub" { own = 1 } $1 == "fpr" && own { print $10; own = 0 }'
}

fetch_key() {
    [ -s "$2" ] && return
    command -v gpg || update # a fresh host has no lists; what it says about the repository without a key doesn't matter
    apt install ca-certificates gpg || return
    "$root/usr/lib/apt/apt-helper" download-file "$1" "$2.new" || return
    found=$(fingerprints "$2.new")
    [ "$found" = "$3" ] || { echo "E: $1 has the key $found, expected is $3 alone"; return 1; }
    mv "$2.new" "$2"
}

install_all() {
    forbid_starts || return
    repair || return
    apt -f install || return
    while [ "$1" != -- ]; do
        mkdir -p "$root/etc/apt/keyrings" && fetch_key "$1" "$root$2" "$3" || return
        shift 3
    done
    shift
    update || return
    apt install "$@"
}

install_all "$@" 3>&- 9>&-
status=$?
[ $status = 0 ] || {
    tail -c "+$((began + 1))" "$log" | grep -E '^(E|dpkg|W): |error' | tail -n 3
    echo "all of it: $log"
} >&3
exit $status
