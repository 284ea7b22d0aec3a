"""Where a host's certificate lies. Role pki writes it; OVN, Open vSwitch and Incus use it."""

FOLDER = "/etc/ovn/pki"
CA = f"{FOLDER}/ca.pem"
CERTIFICATE = f"{FOLDER}/cert.pem"
KEY = f"{FOLDER}/key.pem"
