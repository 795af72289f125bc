"""The torture rig: one workload, run without and with a fault, and a comparison of what came of it.

proxy      stands before the real API server, numbers every request and does to some what a plan says
workload   what is done in every run: six phases, each from rest to rest
oracle     what a run left behind, and the first difference between two runs
streams    what is done to watches and lists beyond cutting them
h2door     the same over HTTP/2; h2: the faults that only it has
registry   the faults of a registry, at a door of its own
plans      the faults: a name, and what the proxy does
"""
