# What a host is, in sections; $1 is "leader" on the one host that is asked for what all share.
section() { printf '\n### %s\n' "$1"; }
ask() { section "$1"; shift; timeout 20 "$@" 2>&1 || echo "exit status $?"; }
rows() { ask "$1" $2 --no-headings -f csv --columns="$4" list "$3"; }
api() { section "$1"; timeout 20 incus query "$2" 2>&1; }

ask units systemctl list-units --all --plain --no-legend --full --type=service,timer,socket,mount,path,target
ask unit-files systemctl list-unit-files --no-legend --state=enabled,enabled-runtime,masked,masked-runtime,linked
ask addresses ip -o -4 addr show
ask links ip -o link show
ask routes ip -o -4 route show
ask forwarding sysctl net.ipv4.ip_forward net.ipv4.conf.all.rp_filter
ask processes ps --no-headers -eo comm
rows bridges ovs-vsctl Bridge name,datapath_type,fail_mode
rows interfaces ovs-vsctl Interface name,type,options
rows switch ovs-vsctl Open_vSwitch external_ids,other_config
ask switch-tls ovs-vsctl get-ssl
ask northbound-cluster ovn-appctl -t /run/ovn/ovnnb_db.ctl cluster/status OVN_Northbound
ask southbound-cluster ovn-appctl -t /run/ovn/ovnsb_db.ctl cluster/status OVN_Southbound
ask incus-config incus config show
for kind in networks storage-pools; do
    for path in $(incus query /1.0/$kind | grep -o '/1[^"]*' | grep -E '/(UPLINK|local|remote|.*-.*|default)$'); do
        api "incus-here$path" "$path?target=$(hostname)"; done
done
ask run ls -A /run /run/lock /run/meshctl /run/ovn /run/openvswitch /run/ceph /run/systemd/transient
ask temporary ls -A /tmp /var/tmp
[ "$1" = leader ] || exit 0

ask northbound ovsdb-client --no-headings -f csv dump unix:/run/ovn/ovnnb_db.sock OVN_Northbound
rows southbound-chassis "ovn-sbctl --no-leader-only" Chassis name,hostname
rows southbound-encaps "ovn-sbctl --no-leader-only" Encap chassis_name,ip,type,options
rows southbound-ports "ovn-sbctl --no-leader-only" Port_Binding logical_port,type,options
rows southbound-connections "ovn-sbctl --no-leader-only" Connection target,inactivity_probe,read_only,role
section ceph
set --
for what in "mon dump" "osd tree" "osd crush rule dump" "auth ls" "config dump" "config-key ls" "mgr dump"; do
    set -- "$@" "{\"prefix\": \"$what\", \"format\": \"json\"}"; done
timeout 60 /usr/local/lib/meshctl/ceph-ask 20 "$@" '{"prefix": "health", "detail": "detail", "format": "json"}' \
    '{"prefix": "osd pool ls", "detail": "detail", "format": "json"}' \
    '{"prefix": "crash ls", "format": "json", "to": "mgr"}' 2>/dev/null  # librados makes standard error non-blocking
for path in cluster cluster/members projects profiles networks storage-pools images certificates network-acls \
    network-forwards cluster/groups network-zones; do api "incus-$path" "/1.0/$path?recursion=1"; done
api incus-instances '/1.0/instances?recursion=1&all-projects=true'
api incus-operations '/1.0/operations?all-projects=true'
