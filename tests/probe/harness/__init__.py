"""A site of ten nodes that is broken in every way while it is used, and must lose nothing.

`python -m probe.harness --seed S --seconds N`. Machines are network namespaces, disks are small tmpfs; faults
come out of the seed; a model remembers what was acknowledged. It goes in rounds: trouble, calm, and rest, in
which the site has to come to what is wanted by itself.
"""
