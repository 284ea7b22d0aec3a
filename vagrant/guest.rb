# frozen_string_literal: true

# What a machine must be told about itself: the files, and the script that puts them there. Nothing of this is about the
# cluster; it makes of a virtual machine the bare host that meshctl finds in a rack.

module Guest
  NETWORK = "/etc/systemd/network"

  module_function

  # path => content
  def files(machine)
    {
      "/etc/hostname" => "#{machine["name"]}\n",
      "/etc/udev/rules.d/65-mesh-disks.rules" => DISKS,
      **names(machine), **management(machine), **vlan(machine),
    }
  end

  # Disks of QEMU are rotational as far as Linux knows; those whose serial number says otherwise are not.
  DISKS = <<~RULES
    ACTION=="add|change", SUBSYSTEM=="block", ENV{DEVTYPE}=="disk", ENV{ID_SCSI_SERIAL}=="ssd-*", ATTR{queue/rotational}="0"
    ACTION=="add|change", SUBSYSTEM=="block", ENV{DEVTYPE}=="disk", ENV{ID_SERIAL_SHORT}=="ssd-*", ATTR{queue/rotational}="0"
  RULES

  def names(machine)
    machine["nics"].to_h do |nic|
      ["#{NETWORK}/60-mesh-#{nic["name"]}.link", "[Match]\nMACAddress=#{nic["mac"]}\nDriver=virtio_net\n\n[Link]\nName=#{nic["name"]}\n"]
    end
  end

  # Vagrant's NIC has the address that Vagrant knows; without a VLAN also the one of the topology.
  def management(machine)
    nic = machine["nics"].first
    address = machine["vlan"] ? "" : "Address=#{machine["address"]}/24\n"
    { "#{NETWORK}/60-mesh-#{nic["name"]}.network" => "[Match]\nName=#{nic["name"]}\n\n[Network]\nDHCP=ipv4\n#{address}" }
  end

  def vlan(machine)
    return {} unless machine["vlan"]

    name = machine["management"]
    {
      "#{NETWORK}/60-mesh-trunk0.network" => "[Match]\nName=trunk0\n\n[Network]\nVLAN=#{name}\nLinkLocalAddressing=no\n",
      "#{NETWORK}/60-mesh-#{name}.netdev" => "[NetDev]\nName=#{name}\nKind=vlan\n\n[VLAN]\nId=#{machine["vlan"]}\n",
      "#{NETWORK}/60-mesh-#{name}.network" => "[Match]\nName=#{name}\nKind=vlan\n\n[Network]\nAddress=#{machine["address"]}/24\n",
    }
  end

  # Safe to run again. NICs get their names at once, but for the one that Vagrant comes by, which needs a reboot.
  def script(machine)
    writes = files(machine).map { |path, content| "put #{path} <<'MESH'\n#{content}MESH\n" }
    pairs = machine["nics"].drop(1).map { |nic| "#{nic["mac"]}=#{nic["name"]}" }
    SCRIPT.sub("@WRITES@") { writes.join }.sub("@PAIRS@") { pairs.join(" ") }.gsub("@NAME@", machine["name"])
  end

  SCRIPT = <<~'SH'
    set -eu
    put() { mkdir -p "${1%/*}"; cat >"$1.new"; chmod 644 "$1.new"; mv "$1.new" "$1"; }
    @WRITES@
    hostname @NAME@
    grep -q '^127\.0\.1\.1 @NAME@$' /etc/hosts || printf '127.0.1.1 @NAME@\n' >>/etc/hosts
    # A member of a bond shows the bond's address.
    called() { for nic in /sys/class/net/*; do
        own=$(cat "$nic/bonding_slave/perm_hwaddr" 2>/dev/null || cat "$nic/address" 2>/dev/null) || continue
        [ -e "$nic/device" ] && [ "$own" = "$1" ] && echo "${nic##*/}"; done; :; }
    moves=
    for pair in @PAIRS@; do
        now=$(called "${pair%%=*}")
        if [ -n "$now" ] && [ "$now" != "${pair#*=}" ]; then
            ip link set "$now" down; ip link set "$now" name "mv${#moves}"; moves="$moves mv${#moves}=${pair#*=}"
        fi
    done
    for move in $moves; do ip link set "${move%%=*}" name "${move#*=}"; done
    udevadm control --reload
    udevadm trigger --settle --action=change --subsystem-match=block
    systemctl is-active -q systemd-networkd && networkctl reload || :
  SH
end
