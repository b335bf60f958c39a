"""A machine with a GPU as Ray sees it: NVIDIA's libraries of a driver for CUDA 12.2, without anything behind them."""

import os
import subprocess
from pathlib import Path

#: What Ray asks to find GPUs, and what tells a driver's version.
_LIBRARIES = {
    "libnvidia-ml.so.1": """
        int nvmlInitWithFlags(unsigned flags) { return 0; }
        int nvmlShutdown(void) { return 0; }
        int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return 0; }
        int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)1; return 0; }
        int nvmlDeviceGetName(void *device, char *name, unsigned length) { name[0] = 'X'; name[1] = 0; return 0; }
    """,
    "libcuda.so.1": "int cuDriverGetVersion(int *version) { *version = 12020; return 0; }",
}


def gpu_environment(folder: Path) -> dict[str, str]:
    """Return an environment in which Ray finds a GPU.

    Args:
        folder: Gets the libraries.
    """
    folder.mkdir()
    for name, source in _LIBRARIES.items():
        command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(folder / name)]
        subprocess.run(command, input=source, text=True, check=True)
    paths = [str(folder), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    visible = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    return visible | {"LD_LIBRARY_PATH": ":".join(paths)}
