# What an Incus that does not answer has on disk: its cluster's certificate, and whatever a user could miss.
cd /var/lib/incus || exit 0
[ -e cluster.crt ] && { set -- $(sha256sum cluster.crt); echo "sum:$1"; }
for path in containers/* virtual-machines/* storage-pools/*/containers/* storage-pools/*/virtual-machines/* \
    storage-pools/*/custom/* storage-pools/*/buckets/* backups/instances/* backups/custom/*; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    echo "$path"
done
exit 0
