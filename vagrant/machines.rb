# frozen_string_literal: true

# From a topology and the settings to machines: plain hashes, without Vagrant. `ruby machines.rb` prints them as JSON,
# with which a test compares what meshctl reads from the same topology.

require "ipaddr"
require "json"
require "yaml"

module Machines
  class Error < StandardError; end

  MAC = "52:54:00:6d"
  SETTINGS = %w[
    topology box driver cpus memory disks management_vlan management_network first_port storage_pool storage_path
  ].freeze

  module_function

  # settings.yaml, over it the variant, over that a file of the user's own.
  def settings(folder, variant: nil, own: nil)
    files = ["settings.yaml"]
    files << "variants/#{variant}.yaml" if variant.to_s != ""
    paths = files.map { |name| File.join(folder, name) }
    paths << own if own.to_s != ""
    merged = paths.map { |path| read(path) }.reduce(:merge)
    unknown = merged.keys - SETTINGS
    raise Error, "#{paths.join(", ")}: unknown settings #{unknown.join(", ")}; known: #{SETTINGS.join(", ")}" if unknown.any?

    drivers = %w[auto kvm qemu]
    raise Error, "driver is #{merged["driver"]}, not one of #{drivers.join(", ")}" unless drivers.include?(merged["driver"])

    merged.merge("topology" => File.expand_path(merged["topology"], folder))
  end

  def read(path)
    YAML.safe_load(File.read(path)) || {}
  rescue Errno::ENOENT
    variants = Dir[File.join(__dir__, "variants/*.yaml")].map { |file| File.basename(file, ".yaml") }.sort
    raise Error, "#{path} is not there; variants: #{variants.join(", ")}"
  rescue Psych::Exception => e
    raise Error, "#{path}: #{e.message}"
  end

  # One hash for each node of the topology, in its order.
  def from(settings)
    topology = read(settings["topology"])
    wires = wires(topology, settings)
    topology.fetch("nodes").each_with_index.map do |(name, node), index|
      machine(settings, topology, name, node, index + 1, wires)
    end
  rescue KeyError => e
    raise Error, "#{settings["topology"]}: #{e.message}; `meshctl validate` says more"
  end

  # Every wire as two ends, [node, NIC, UDP port here, UDP port there].
  def wires(topology, settings)
    topology.fetch("cables").flat_map { |cable| strands(cable) }.each_with_index.map do |(a, b), i|
      port = settings["first_port"] + 2 * i
      [[*a, port, port + 1], [*b, port + 1, port]]
    end
  end

  # A cable is one wire, or, bonded, several; meshctl makes the bonds.
  def strands(cable)
    cable = { "cable" => cable } unless cable.is_a?(Hash)
    ends = cable.fetch("cable").split("<->").map { |plug| plug.strip.split(":") }
    return [ends] unless cable["bond"]

    cable["bond"].fetch("strands").map { |strand| ends.map(&:first).zip(strand.split("<->").map(&:strip)) }
  end

  def machine(settings, topology, name, node, number, wires)
    management = node.fetch("management_nic", "eth0")
    nics = [*access(settings, management), *plugs(name, wires), *uplink(topology, node)]
    {
      "name" => name,
      "address" => node.fetch("address"),
      "management" => management,
      "vlan" => settings["management_vlan"],
      "nics" => nics.each_with_index.map { |nic, i| nic.merge("mac" => format("#{MAC}:%02x:%02x", number, i)) },
      "disks" => disks(settings, name, node),
    }
  end

  # The NIC that Vagrant comes by, and the trunk that carries the management VLAN.
  def access(settings, management)
    return [{ "name" => management, "to" => "vagrant" }] unless settings["management_vlan"]

    [{ "name" => "vagrant0", "to" => "vagrant" }, { "name" => "trunk0", "to" => "trunk" }]
  end

  # In the order of their names, so that a kernel which counts them (net.ifnames=0) calls them the same.
  def plugs(name, wires)
    mine = wires.flatten(1).select { |node, *| node == name }
    mine.sort_by { |_, nic, *| [nic.length, nic] }.map do |_, nic, here, there|
      { "name" => nic, "to" => "cable", "port" => here, "peer_port" => there }
    end
  end

  def uplink(topology, node)
    return [] unless topology["uplink"]

    network = topology["uplink"].fetch("gateway")
    [{ "name" => node["uplink_nic"] || topology["uplink"].fetch("nic"), "to" => "uplink", "gateway" => network }]
  end

  # Named as the kernel names them. The system's disk is sda, unit 0 of the same controller; QEMU 7.2 reports the units
  # behind it in reverse, so that the last is sdb. `unit` is the name by which libvirt counts units.
  def disks(settings, name, node)
    letters = ("b".."z").first(settings["disks"].length)
    made = settings["disks"].zip(letters, letters.reverse).each_with_index.map do |(disk, letter, unit), i|
      rotational = disk["rotational"] ? true : false
      { "device" => "sd#{letter}", "unit" => "sd#{unit}", "size" => disk.fetch("size").to_s, "rotational" => rotational,
        "serial" => "#{rotational ? "hdd" : "ssd"}-#{name}-#{i}" }
    end
    there = made.map { |disk| "/dev/#{disk["device"]}" }
    missing = (node["disks"] || []).map { |disk| disk.is_a?(Hash) ? disk["path"] : disk } - there
    return made if missing.empty?

    raise Error, "#{settings["topology"]}: #{name} wants #{missing.join(", ")}, but the settings give it #{there.join(", ")}; " \
                 "add to `disks`, or name these in the topology"
  end
end

if $PROGRAM_NAME == __FILE__
  begin
    chosen = Machines.settings(__dir__, variant: ENV["MESH_VARIANT"], own: ENV["MESH_SETTINGS"])
    puts JSON.pretty_generate(Machines.from(chosen))
  rescue Machines::Error => e
    abort e.message
  end
end
