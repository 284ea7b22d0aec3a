# Makes Incus standalone again after an interrupted join. Nothing with content is deleted: the database is moved
# aside, and only empty folders go. A daemon that waits for its database can't be stopped, only killed (its unit
# allows 330 s). server.crt stays, so that the cluster's trust in it stays valid.
systemctl kill -s KILL incus.service 2>/dev/null
systemctl stop incus.socket incus.service || exit 1
cd /var/lib/incus || exit 1
rm -rf meshctl-before-join && mkdir -m 0700 meshctl-before-join || exit 1
for path in database cluster.crt cluster.key cluster.ca; do
    [ ! -e "$path" ] || mv "$path" meshctl-before-join/ || exit 1
done
find storage-pools -mindepth 1 -depth -type d -empty -delete
systemctl reset-failed incus.service 2>/dev/null
systemctl start incus.socket
