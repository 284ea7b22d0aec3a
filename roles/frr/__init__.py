"""The layer of OSPF and BFD: every loopback reaches every other over whatever cables are alive."""
