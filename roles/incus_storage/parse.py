"""What is in the OSD pool that Incus is about to take. Pure."""

from meshctl.roles.parsing import parser


def placeholder(pool: str) -> str:
    """The image by which Incus marks an OSD pool as its own (`getPlaceholderVolume` in its driver_ceph.go)."""
    return f"incus_{pool}"


@parser
def images(output: str) -> frozenset[str]:
    """`rbd ls`."""
    return frozenset(line.strip() for line in output.splitlines() if line.strip())
