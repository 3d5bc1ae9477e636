"""A Kaggle on this machine: its API over loopback, a sandbox for pushed scripts, one competition.

Start it with `python -m local_kaggle`, or in-process with `local_kaggle.server.start`. It knows nothing of
the kit that talks to it, opens no port outside 127.0.0.1, and never calls Kaggle. docs/fidelity.md lists
where it differs from the real one.
"""
