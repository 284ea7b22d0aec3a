# Inside an instance: prints "mtu N", then "ok ADDRESS" or "no ADDRESS" for each. $1: bytes of payload, $2: tries.
# All at once; the first packet to an address may be lost while OVN learns who has it.
size=$1 tries=$2
shift 2
# Echo requests are told apart by their id, which is busybox ping's process number. Fresh containers count alike: behind
# one router, whose NAT remembers ids for a while, they may collide with each other and with the last test (inferred).
read -r random </proc/sys/kernel/random/uuid
skip=$((0x${random%%-*} % 300))
while [ $skip -gt 0 ]; do
    (:)
    skip=$((skip - 1))
done
echo "mtu $(cat /sys/class/net/eth0/mtu)"
for to; do
    (
        try=0
        while [ $try -lt "$tries" ]; do
            ping -q -c 1 -W 1 -s "$size" "$to" >/dev/null 2>&1 && { echo "ok $to"; exit; }
            try=$((try + 1))
        done
        echo "no $to"
    ) &
done
wait
