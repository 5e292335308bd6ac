"""The Slurm script of the page on engines: it starts the head, the other nodes and the command, with programs in place of Slurm."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "engines.md"
SRUN = """#!/bin/bash
echo "srun $*" >> calls
case "$*" in *"hostname --ip-address") echo "10.0.0.1 fe80::1";; esac
"""


def test_the_script_starts_a_head_and_the_others_and_runs_the_command_on_them(tmp_path: Path) -> None:
    (script,) = re.findall(
        r"^```text\n(#!/bin/bash\n.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert all(line.startswith("#SBATCH --") for line in script.splitlines()[1:7])
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "activate").touch()
    programs = {
        "srun": SRUN, "sleep": "#!/bin/bash\n", "rg": '#!/bin/bash\nwait\necho "rg $*" >> calls\n',
        "scontrol": "#!/bin/bash\nprintf 'n1\\nn2\\nn3\\n'\n",
    }  # fmt: skip
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "n[1-3]", "SLURM_JOB_NUM_NODES": "3", "SLURM_CPUS_PER_TASK": "32"}
    environment = {**os.environ, **slurm, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", script + "\nwait"], cwd=tmp_path, env=environment, check=True)
    calls = (tmp_path / "calls").read_text().splitlines()
    head = (
        "srun --nodes=1 --ntasks=1 --nodelist=n1 ray start --head --port=6379 --num-cpus=32 --include-dashboard=false"
    )
    assert any(call.startswith(head) for call in calls)
    assert "srun --nodes=2 --ntasks=2 --exclude=n1 ray start --address=10.0.0.1:6379 --num-cpus=32 --block" in calls
    assert any("--engine ray --address 10.0.0.1:6379 --out findings --resume" in call for call in calls)
