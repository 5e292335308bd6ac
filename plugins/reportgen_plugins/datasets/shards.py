"""Read the shards that `rg data build --shards` writes: the same studies in the same order, with images in tar files.

Images stay in the shards and are read by their offset. The texts and labels of all studies are in memory, as those of
every dataset are.
"""

from __future__ import annotations

from pathlib import Path

from reportgen_core import Collection, DataError, Dataset
from reportgen_core.files.shards.manifest import Shard
from reportgen_core.files.shards.reader import iter_studies

from .audit_log import AuditLog


class Shards(Dataset):
    """Studies of a folder of shards.

    Args:
        verify: Read each shard whole first and compare its digest. Texts are compared in any case, and an image is
            compared when it is read.
        skip_damaged: Leave out the studies of a shard that is missing or damaged. By default it is an error.
    """

    def __init__(self, root: Path, *, verify: bool = False, skip_damaged: bool = False) -> None:
        super().__init__(root)
        self.verify, self.skip_damaged = verify, skip_damaged

    def read(self) -> Collection:
        root = Path(self.root).absolute()
        audit = AuditLog(f"shards: {root}")

        def drop(shard: Shard, error: DataError) -> None:
            audit.drop(shard.name, "the shard is missing or damaged")
            audit.notes.append(f"{shard.studies} studies of {shard.name} are left out")

        studies = iter_studies(root, verify=self.verify, on_damaged=drop if self.skip_damaged else None)
        return audit.collect(one.study for one in sorted(studies, key=lambda one: one.number))
