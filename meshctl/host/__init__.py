"""Hosts: the contract, and the ways to reach one."""

from meshctl.host.base import File, Files, Host, Result, text

__all__ = ["File", "Files", "Host", "Result", "text"]
