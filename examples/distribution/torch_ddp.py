"""PyTorch's DistributedDataParallel: every process takes some examples.

    pip install "keras_convt[torch]"
    python examples/distribution/torch_ddp.py

Two processes on the processor, which gloo joins. With GPUs: "nccl", no
KERAS_TORCH_DEVICE, and `DistributedDataParallel(model, device_ids=[rank])`.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_TORCH_DEVICE", "cpu")

import tempfile
from pathlib import Path

import torch
from decoder import EXAMPLES, batch, build, compare, step
from keras import ops
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

PROCESSES = 2


def train(rank, folder):
    """One process: a step on its part of the batch."""
    distributed.init_process_group(
        "gloo",
        init_method=(folder / "meeting").as_uri(),
        rank=rank,
        world_size=PROCESSES,
    )
    model = build()
    parallel = DistributedDataParallel(model)
    x, y = (torch.from_numpy(a[rank::PROCESSES]) for a in batch())
    loss = ops.mean(ops.square(parallel(x) - y))
    loss.backward()  # Leaves the mean gradient of all processes.
    variables = model.trainable_variables
    with torch.no_grad():
        model.optimizer.apply([v.value.grad for v in variables], variables)
    torch.save([v.value.detach() for v in variables], folder / f"{rank}.pt")
    # Or PyTorch may wait for ever: its last reference to the group ends the
    # group's threads with Python's lock held, which a step not yet tidied up
    # still needs.
    distributed.barrier()
    del parallel, loss
    distributed.destroy_process_group()


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.multiprocessing.spawn(train, (folder,), nprocs=PROCESSES)
        trained = [
            [w.numpy() for w in torch.load(folder / f"{rank}.pt")]
            for rank in range(PROCESSES)
        ]
    alone = step(build())
    for rank, weights in enumerate(trained):
        compare(
            f"DistributedDataParallel: process {rank}, "
            f"{EXAMPLES // PROCESSES} of {EXAMPLES} examples",
            weights,
            alone,
        )


if __name__ == "__main__":
    main()
