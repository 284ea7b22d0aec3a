"""meshctl: three directly wired Linux hosts become one hyperconverged cluster, and stay one."""

__version__ = "0.1.0"
