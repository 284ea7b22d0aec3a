"""Three things asked from the kernel directly, where starting a program would be slow or isn't possible."""

import array
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_ETHTOOL_SET_TX_CHECKSUM = 0x17

_RTMGRP_LINK = 0x1
_RTMGRP_IPV4_IFADDR = 0x10

_NETLINK_GENERIC = 16
_GENL_ID_CTRL = 0x10
_CTRL_CMD_GETFAMILY = 3
_CTRL_ATTR_FAMILY_NAME = 2
_NLM_F_REQUEST = 1
_NLMSG_ERROR = 2


def stop_tx_offload(nic: str) -> None:
    """`ethtool -K NIC tx off`, for a NIC in the calling thread's namespace.

    Userspace OVS takes packets as they are: a checksum left for hardware that doesn't exist stays wrong.
    """
    value = array.array("B", struct.pack("II", _ETHTOOL_SET_TX_CHECKSUM, 0))
    request = struct.pack("16sP16x", nic.encode(), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCETHTOOL, request)


def change_socket() -> socket.socket:
    """Becomes readable when a link or an IPv4 address changes in the calling thread's namespace."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    sock.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR))
    return sock


def has_generic_netlink(family: str) -> bool:
    """Tell whether the kernel knows a generic netlink family; `ovs_datapath` is Open vSwitch."""
    name = family.encode() + b"\0"
    attribute = struct.pack("HH", 4 + len(name), _CTRL_ATTR_FAMILY_NAME) + name
    attribute += b"\0" * (-len(attribute) % 4)
    body = struct.pack("BBH", _CTRL_CMD_GETFAMILY, 1, 0) + attribute
    header = struct.pack("IHHII", 16 + len(body), _GENL_ID_CTRL, _NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC) as sock:
        sock.bind((0, 0))
        sock.send(header + body)
        answer = sock.recv(65536)
    kind: int = struct.unpack_from("IHHII", answer)[1]
    return kind != _NLMSG_ERROR
