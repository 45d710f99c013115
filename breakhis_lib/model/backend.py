"""Keras, loaded once and quietly, and the device that it computes on.

TensorFlow is the default backend; the environment variable KERAS_BACKEND names jax or torch instead.
"""

import contextlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile

from breakhis_lib.errors import InputError


@contextlib.contextmanager
def _held_standard_error():
    """Hold what C++ code writes to file descriptor 2; it is shown only if the block fails."""
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed: a scheduled job, or a window without a console
        yield
        return
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Python's own may be None or closed
        sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # off by itself on some processors: benchmarks/LOG.md
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # a GPU's memory is taken as needed,
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # also by JAX
try:
    with _held_standard_error():  # TensorFlow's C++ part speaks before any log level reaches it
        import keras

        DEVICE = str(keras.ops.ones(1).device)
except Exception as error:  # whatever a backend that is missing, half installed or unknown, or a keras.json, ends in
    named = os.environ.get("KERAS_BACKEND", "named in keras.json, or tensorflow,")
    raise InputError(
        f"Keras' backend {named} cannot be loaded ({error}); install it, or set KERAS_BACKEND=tensorflow. A file "
        "keras.json in the folder .keras of your home may be at fault, and be deleted."
    ) from None
keras.config.set_image_data_format("channels_last")  # whatever a user's keras.json says: the weights are stored so,
keras.config.set_floatx("float32")  # and records are to be compared
keras.config.set_epsilon(1e-7)
logging.getLogger("tensorflow").setLevel(logging.ERROR)  # several heads in one process are meant, no mistake


def device():
    """Which device computes, as one line, for instance "GPU NVIDIA H100, float32, tensorflow backend"."""
    backend = keras.backend.backend()
    if not has_gpu():
        return f"CPU ({os.cpu_count()} cores), float32, {backend} backend"
    return f"GPU {_gpu_name() or DEVICE}, float32, {backend} backend"


def has_gpu():
    """Whether Keras' backend puts its arrays on a GPU."""
    return "gpu" in DEVICE.lower() or "cuda" in DEVICE.lower()


def _gpu_name():
    """What nvidia-smi calls the first card that this process may use; empty where it says nothing."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return ""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    asked = [command, "--query-gpu=name", "--format=csv,noheader", *([f"--id={first}"] if first else [])]
    answer = subprocess.run(asked, capture_output=True, text=True)
    return answer.stdout.splitlines()[0].strip() if answer.returncode == 0 and answer.stdout.strip() else ""
