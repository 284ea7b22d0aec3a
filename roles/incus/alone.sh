# Incus' database on this host, whose member is at $1, goes on with this voter alone. Copied into $2 first. Safe to
# repeat: a membership that is this host alone is not recovered again.
set -eu
own=$1 copy=$2/$(date -u +%Y%m%dT%H%M%SZ)-incus-database home=/var/lib/incus
# Hard, because without a leader it waits for one for ten minutes; and nothing but the daemon: the unit's other
# processes are virtual machines and proxies of instances.
systemctl kill --kill-whom=main -s KILL incus.service 2>/dev/null || :
systemctl stop incus.socket incus.service
install -d -m 0700 "$2"
cp -a --reflink=auto -- "$home/database" "$copy.draft"
mv -T -- "$copy.draft" "$copy"
others=$(python3 - "$home/database/local.db" "$own" <<'PYTHON'
import sqlite3, sys
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
print(sum(1 for row in db.execute("SELECT address FROM raft_nodes") if row[0] not in ("", "0", "1", sys.argv[2])))
PYTHON
)
if [ "$others" != 0 ]; then
    echo yes | incus admin cluster recover-from-quorum-loss >/dev/null
fi
systemctl reset-failed incus.service 2>/dev/null || :
# incus-startup, too: it is what stops instances in an orderly way when the host goes down.
systemctl start incus.socket incus-startup.service
