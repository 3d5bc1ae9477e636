"""What stands on the local Kaggle after a push."""

from local_kaggle.server import Server
from local_kaggle.state import Version

KERNEL = "little-kernel-tiny"


def versions(kaggle: Server) -> list[Version]:
    return [version for kernel in kaggle.state.kernels for version in kernel.versions]
