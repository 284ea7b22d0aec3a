"""What this machine's kernel can't rehearse, found by asking the kernel."""

import shutil

from meshctl.lab.kernelnet import has_generic_netlink
from meshctl.lab.proc import run


async def kernel_has_ovs() -> bool:
    """Is Open vSwitch's kernel datapath there, loaded now if it is a module?"""
    if shutil.which("modprobe"):
        for module in ("openvswitch", "vport_geneve"):
            await run(["modprobe", "--quiet", module], check=False)
    return has_generic_netlink("ovs_datapath")
