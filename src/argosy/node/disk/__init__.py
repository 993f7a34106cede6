"""What lies on the node's disks: the roots, what is known of them, and what changes there.

From below: `roots` (files), `journal` (what is known of them), `extension` and `placing` (how they change),
`volume` (both together), `scan` and `rounds` (what others changed), `station` (a volume at work).
"""
