#!/bin/sh
# Takes back a change of the network that nobody confirms: after some seconds, or at the next boot.
#
#   arm TOKEN SECONDS PATH... -- NIC...   remember these files and NICs; take back after SECONDS
#   confirm TOKEN                         keep the change; nothing is left behind
#   rollback TOKEN|now|boot               take it back; prints what was done, also when it has been done before
#
# MESHCTL_ROOT is the root of another system (for tests).
set -u
umask 077
R=${MESHCTL_ROOT-}
D=$R/var/lib/meshctl/rollback # what a power loss must not take: files, the token
K=$R/run/meshctl-rollback     # what ends with the boot: addresses, routes, MTU
U=$R/etc/systemd/system
UNIT=meshctl-rollback.service
BOOT_ID=$R/proc/sys/kernel/random/boot_id

arm() {
	set -e
	token=$1 seconds=$2
	shift 2
	if [ -e "$D/pending" ]; then
		echo "an earlier change of the network is neither confirmed nor taken back" >&2
		exit 4
	fi
	rm -rf "$D/before" "$K"
	mkdir -p "$D/before/files" "$K/nics" "$U/sysinit.target.wants"
	remember_files "$@"
	while [ "$1" != -- ]; do shift; done
	shift
	remember_kernel "$@"
	install_unit
	read -r boot <"$BOOT_ID"
	echo "$token $boot" >"$D/pending.new"
	find "$D" ! -type l -exec sync -- "$U/$UNIT" "$U" "$U/sysinit.target.wants" {} +
	mv "$D/pending.new" "$D/pending"
	sync -- "$D"
	systemd-run -q --collect --unit="meshctl-rollback-$token" --on-active="$seconds" \
		--timer-property=AccuracySec=100ms /bin/sh "$D/deadman" rollback "$token" || {
		forget
		exit 5
	}
}

remember_files() {
	: >"$D/before/paths"
	left=$#
	while [ "$1" != -- ]; do # each path leaves the front, and what is there joins the end
		echo "$1" >>"$D/before/paths"
		if there "$R$1"; then set -- "$@" ".$1"; fi
		shift
		left=$((left - 1))
	done
	shift "$left"
	[ $# = 0 ] || (cd "$R/" && cp -a --parents -- "$@" "$D/before/files")
	systemctl show -p ActiveState,UnitFileState systemd-networkd.service >"$D/before/networkd"
}

remember_kernel() {
	: >"$K/names"
	: >"$K/sysctls"
	ip -o link show >"$K/links"
	ip -o addr show >"$K/addresses"
	ip -4 route show >"$K/routes-4"
	ip -6 route show >"$K/routes-6" || : # no IPv6
	for nic; do
		echo "$nic" >>"$K/names"
		ip addr save dev "$nic" >"$K/nics/$nic" 2>/dev/null || rm -f "$K/nics/$nic" # no such NIC
		for key in ipv4/conf/"$nic"/forwarding ipv4/conf/"$nic"/rp_filter \
			ipv6/conf/"$nic"/forwarding ipv6/conf/"$nic"/accept_ra; do
			if read -r value 2>/dev/null <"$R/proc/sys/net/$key"; then echo "$key $value" >>"$K/sysctls"; fi
		done
	done
}

# Linked by hand and not by systemctl: it matters at the next boot only, and a daemon-reload costs time.
install_unit() {
	cat >"$U/$UNIT" <<-END
		[Unit]
		Description=Take back a change of the network that was not confirmed before the host went down
		ConditionPathExists=/var/lib/meshctl/rollback/pending
		DefaultDependencies=no
		RequiresMountsFor=/var/lib/meshctl/rollback
		After=systemd-remount-fs.service
		Before=systemd-networkd.service network-pre.target sysinit.target shutdown.target
		Conflicts=shutdown.target

		[Service]
		Type=oneshot
		ExecStart=/bin/sh /var/lib/meshctl/rollback/deadman rollback boot
		TimeoutStartSec=30
	END
	chmod 644 "$U/$UNIT"
	ln -sf "../$UNIT" "$U/sysinit.target.wants/$UNIT"
}

confirm() {
	is_pending "$1" || exit 3
	forget "$D"
	rmdir "$R/var/lib/meshctl" 2>/dev/null || :
}

is_pending() {
	[ -e "$D/pending" ] && read -r token boot <"$D/pending" || return 1
	case $1 in
	now) return 0 ;;
	# systemd starts wanted units again whenever it likes; only another boot is a boot.
	boot) [ "$boot" != "$(cat "$BOOT_ID")" ] ;;
	*) [ "$1" = "$token" ] ;;
	esac
}

# From the removal of `pending` on, the change is nobody's business any more.
forget() {
	rm -f "$D/pending" && sync -- "$D"
	rm -rf "$U/${UNIT:?}" "$U/sysinit.target.wants/$UNIT" "$K" "${1:-$D/before}"
	systemctl stop --no-block 'meshctl-rollback-*.timer' 2>/dev/null
}

rollback() {
	if is_pending "$1"; then
		: >"$D/report.new"
		restore_files
		if [ "$1" = boot ]; then
			networkd_was_active || systemctl stop --no-block systemd-networkd.socket systemd-networkd.service
		else
			restore_kernel
		fi
		networkd_was_enabled || systemctl disable systemd-networkd.service
		sort -u "$D/report.new" >"$D/report" && rm -f "$D/report.new"
		sync -- "$D/report"
		forget
	fi
	[ "$1" = boot ] || cat "$D/report"
}

restore_files() {
	while read -r path; do
		old=$D/before/files$path
		had=$(sed -n 's/^Address=/, which had /p' "$R$path" 2>/dev/null | tr -d '\n') # says most about the cause
		if ! there "$old"; then
			! there "$R$path" || { rm -f -- "$R$path" && tell "removed $path$had"; }
		elif ! same "$old" "$R$path"; then
			mkdir -p "$(dirname "$R$path")"
			cp -a -- "$old" "$R$path.meshctl-old" &&
				{ [ -L "$old" ] || sync -- "$R$path.meshctl-old"; } &&
				mv -f -- "$R$path.meshctl-old" "$R$path" && tell "restored $path$had"
		fi
		sync -- "$(dirname "$R$path")"
	done <"$D/before/paths"
	# networkd reads what netplan makes of its files, at boot before anybody could put them back.
	! grep -q '^/etc/netplan/' "$D/before/paths" || netplan generate
}

there() {
	[ -e "$1" ] || [ -L "$1" ]
}

same() {
	cmp -s "$1" "$2" && [ "$(stat -c '%f %u %g' "$1")" = "$(stat -c '%f %u %g' "$2")" ]
}

tell() {
	echo "$*" >>"$D/report.new"
}

networkd_was_active() { grep -qx ActiveState=active "$D/before/networkd"; }
networkd_was_enabled() { ! grep -qx UnitFileState=disabled "$D/before/networkd"; }

# Twice, because networkd goes on for a moment after it has answered.
restore_kernel() {
	if ! networkd_was_active; then
		systemctl stop systemd-networkd.socket systemd-networkd.service
	elif [ -s "$D/report.new" ]; then
		timeout 10 networkctl reload || timeout 30 systemctl restart systemd-networkd.service
		while read -r nic; do timeout 5 networkctl reconfigure "$nic" 2>/dev/null; done <"$K/names"
	fi
	remove_made
	for pass in 1 2; do
		[ "$pass" = 1 ] || sleep 1
		while read -r nic; do
			[ ! -e "$K/nics/$nic" ] || restore_nic "$nic"
		done <"$K/names"
		while read -r key value; do
			echo "$value" >"$R/proc/sys/net/$key"
		done <"$K/sysctls"
	done 2>/dev/null
}

# Bonds, bridges and VLANs that did not exist; a NIC's new name is not one of them.
remove_made() {
	while read -r nic; do
		[ ! -e "$K/nics/$nic" ] && grep -qxE 'DEVTYPE=(bond|bridge|vlan)' "$R/sys/class/net/$nic/uevent" &&
			ip link del dev "$nic" && tell "removed the device $nic"
	done <"$K/names" 2>/dev/null
}

restore_nic() {
	link=$(awk -v nic="$1" '{ name = $2; sub(/[@:].*/, "", name) } name == nic' "$K/links")
	ip -o addr show dev "$1" | while read -r _ _ family address _; do
		awk -v nic="$1" -v family="$family" -v address="$address" \
			'$2 == nic && $3 == family && $4 == address { found = 1 } END { exit !found }' "$K/addresses" ||
			{ ip addr del "$address" dev "$1" && tell "took $address from $1"; }
	done
	now=$(ip -o link show dev "$1")
	[ "$(master_of "$link")" = "$(master_of "$now")" ] || enslave "$1" "$(master_of "$link")"
	mtu=${link##* mtu }
	ip link set dev "$1" mtu "${mtu%% *}"
	ip addr restore <"$K/nics/$1"
	case $link in
	*[\<,]UP[,\>]*)
		ip link set dev "$1" up
		restore_routes "$1" 4
		restore_routes "$1" 6
		;;
	*) ip link set dev "$1" down ;;
	esac
}

master_of() {
	echo "$1" | sed -n 's/.* master \([^ ]*\).*/\1/p'
}

# A bond takes only what is down.
enslave() {
	ip link set dev "$1" nomaster
	[ -z "$2" ] || { ip link set dev "$1" down && ip link set dev "$1" master "$2"; }
}

# Those that a person or a network program has set; the kernel's come with the addresses, a routing daemon's are its own.
restore_routes() {
	awk -v nic="$1" '{ dev = proto = ""; for (i = 1; i < NF; i++) { if ($i == "dev") dev = $(i + 1)
		if ($i == "proto") proto = $(i + 1) } gsub(/ (linkdown|dead)/, "") }
		dev == nic && (proto == "" || proto == "boot" || proto == "static" || proto == "dhcp")' "$K/routes-$2" |
		while read -r route; do
			# shellcheck disable=SC2086  # it is words again, as `ip` printed them
			ip "-$2" route add $route
		done
}

# One at a time: the lock is the folder itself, and is not handed down to what runs below.
exec 9<"$D"
flock -w 60 9 || exit 6
command=$1
shift
case $command in
arm) arm "$@" 9<&- ;;
confirm) confirm "$@" 9<&- ;;
rollback) rollback "$@" 9<&- ;;
esac
exit $?
