#!/bin/sh
# Pings from one address to several others at once, until somebody makes the file `stop`; then prints what each said.
#
#   probes.sh FOLDER FROM INTERVAL SECONDS TO...
#
# SECONDS bounds it when nobody stops it. By `timeout`, because ping -w also ends at the first ICMP error, and a dead
# neighbour's "host unreachable" comes after three seconds.
folder=$1 from=$2 interval=$3 seconds=$4
shift 4
umask 077
mkdir -- "$folder" || exit 1
pings=
trap 'kill $pings 2>/dev/null; rm -rf -- "$folder"' EXIT
trap 'exit 1' HUP INT TERM
for to; do
	timeout "$seconds" ping -n -D -i "$interval" -I "$from" "$to" >"$folder/$to" 2>&1 &
	pings="$pings $!"
done
while [ ! -e "$folder/stop" ] && kill -0 $pings 2>/dev/null; do sleep 0.1; done
kill $pings 2>/dev/null
wait
for to; do
	echo "@@ $to"
	cat -- "$folder/$to"
done
