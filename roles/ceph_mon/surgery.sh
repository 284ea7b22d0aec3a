# The monitor $1 becomes the only one of its map. Its store is copied into $2 first. Safe to repeat after being killed
# anywhere: the map is replaced by one command, and what is no longer in it need not be removed again.
set -eu
name=$1 store=/var/lib/ceph/mon/ceph-$1 copy=$2/$(date -u +%Y%m%dT%H%M%SZ)-ceph-mon
unit=ceph-mon@$name.service
systemctl stop "$unit"
install -d -m 0700 "$2"
cp -a --reflink=auto -- "$store" "$copy.draft"
mv -T -- "$copy.draft" "$copy"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chown ceph:ceph "$work"
runuser -u ceph -- ceph-mon -i "$name" --extract-monmap "$work/map" >/dev/null
monmaptool --print "$work/map" | sed -n 's/^[0-9]*: .* mon\.//p' | grep -vxF "$name" >"$work/dead" || :
while read -r dead; do
    monmaptool "$work/map" --rm "$dead" >/dev/null
done <"$work/dead"
runuser -u ceph -- ceph-mon -i "$name" --inject-monmap "$work/map" >/dev/null
systemctl reset-failed "$unit" 2>/dev/null || :
systemctl start "$unit"
