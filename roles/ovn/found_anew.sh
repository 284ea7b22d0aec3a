# The database file $1, a member of a cluster that has no majority any more, becomes the first member, at $2, of a new
# cluster with the same data. Copied into $3 first. Its server must not run. Safe to repeat: the file is replaced by
# one rename, and a new cluster's file can be founded anew as well.
set -eu
file=$1 address=$2 copy=$3/$(date -u +%Y%m%dT%H%M%SZ)-$(basename "$1")
install -d -m 0700 "$3"
cp -p -- "$file" "$copy.draft"
mv -T -- "$copy.draft" "$copy"
rm -f -- "$file.alone" "$file.draft"
ovsdb-tool cluster-to-standalone "$file.alone" "$file"
ovsdb-tool create-cluster "$file.draft" "$file.alone" "$address"
mv -f -- "$file.draft" "$file"
rm -f -- "$file.alone"
