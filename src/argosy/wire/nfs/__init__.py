"""NFS version 3, MOUNT, RPC and XDR: bytes to messages and back."""
