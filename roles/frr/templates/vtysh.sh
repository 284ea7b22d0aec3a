#!/bin/sh
# Written by meshctl. Stands for vtysh where FRR's own scripts load frr.conf at a start (VTYSH in /etc/frr/daemons): zebra gets what gives
# routes their source first. FRR 10's mgmtd may hand it over when ospfd has brought the first routes already; these never get one then.
set -u
vtysh=/usr/bin/vtysh conf=/etc/frr/frr.conf
case " $* " in *" -b "*) ;; *) exec "$vtysh" "$@" ;; esac

lines() { sed -n '/^route-map meshctl-source/,/^exit/p; /^ip protocol /p; /^ipv6 protocol /p' "$conf"; }
asked() { "$vtysh" -d zebra -c 'show route-map' -c 'show ip protocol' -c 'show ipv6 protocol' 2>/dev/null; }
wanted=$(lines | grep -cE '^ set src |protocol ')
arrived() { [ "$(asked | grep -cE '^ +src |: meshctl-source')" -ge "$wanted" ]; }

source=$(mktemp) || exec "$vtysh" "$@"
trap 'rm -f "$source"' EXIT
lines >"$source"
tries=0
while [ "$wanted" -gt 0 ] && [ "$tries" -lt 100 ] && ! arrived; do
    # mgmtd drops lines that reach it while zebra connects to it, so they are told again twice a second.
    [ $((tries % 5)) -ne 0 ] || "$vtysh" -f "$source" >/dev/null 2>&1
    tries=$((tries + 1))
    sleep 0.1
done
"$vtysh" "$@"
