"""The code blocks of the README and of docs/: which are run, with which small substitutes, and which are not and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL, PYTHON, DATA = ("bash", "sh"), ("python",), ("json", "toml")

# Lines and blocks that are not run, by page and first words, with the reason. A test counts them.
HOURS = "takes hours; tests/cli/test_reproduce.py runs the command with tiny settings"
PLANS = "trains for minutes; tests/cli/test_plan_run.py makes and runs a small plan"
MEASURES = "measures a machine for minutes or hours; tests/benchmarks runs its parts"
OPENI = "needs labels or vectors made from Open-i, which are not part of reportgen"
NIH = "needs images of ChestX-ray14"
IU = "needs IU X-Ray on the disk; tests/datasets reads small copies of it"
NETWORK = "needs the network"
VISION = "needs a vision-language model of some GB, or an endpoint; tests run small ones"
CHECK = "shows a check that fails, and so ends with an error; tests/cli/test_label.py runs one"
RAY = "starts Ray or needs a cluster; tests/cli/engines/test_ray.py runs the commands on two nodes"
SERVES = "serves until it is stopped; the blocks that ask it are run with a server of the test"
ARCHIVE = "needs an archive; tests/cli/test_serve_archive.py has one"
EXPORT = "needs the extra export; tests/cli/test_export.py writes and runs such folders"
MILVUS = "needs Milvus; tests/retrievers/test_milvus.py has a file and a server of it"
NOT_RUN = {
    "README.md": {"make test": "runs all tests"},
    "docs/index.md": {"pip install reportgen": NETWORK},
    "CONTRIBUTING.md": {"make": "runs all tests and the site"},
    "docs/tutorials/reproduce-a-paper.md": {
        "rg reproduce --all": HOURS,
        "rg reproduce jing-coattention --data iu-xray": IU,
    },
    "docs/how-to/reproduce.md": {
        "rg reproduce --all": HOURS,
        "rg reproduce jing-coattention --data iu-xray": IU,
    },
    "docs/how-to/plan.md": {"rg plan make": PLANS, "rg plan run": PLANS},
    "docs/how-to/install.md": {
        "pip install": NETWORK,
        "uv ": NETWORK,
        "docker ": "needs a container engine; a test runs the steps of the Dockerfile that need no network",
    },
    "docs/how-to/export.md": {"pip install": NETWORK, "rg export": EXPORT, "python exported": EXPORT},
    "docs/how-to/retrieval.md": {
        "pip install": NETWORK,
        "rg index build cvse-run --texts sentences.txt --kind hnsw": MILVUS,
        "rg index rebuild cvse-run --store milvus": MILVUS,
    },
    "docs/how-to/reporters.md": {"hf download": VISION, "rg compose --reporter": VISION, "rg reproduce": VISION},
    "docs/how-to/engines.md": {"rg annotate": RAY, "rg data": RAY, "rg report": RAY},
    "docs/how-to/judges.md": {
        "rg eval --predictions reports.jsonl": "needs an endpoint or RadEval; tests/metrics/test_judge.py and test_radeval.py run both",
        "pip install": NETWORK,
    },
    "docs/how-to/study.md": {
        "rg study serve": "serves until it is stopped; tests/cli/test_study_page.py reads its page",
        "rg study score": "needs the answers of readers; tests/cli/test_study_score.py has some",
    },
    "docs/how-to/clinical.md": {
        "rg report dicomweb:": "needs an archive; tests/cli/test_dicomweb.py starts one",
        "apt-get": "needs an archive; tests/cli/test_dicomweb.py starts one",
    },
    "docs/tutorials/serve-it.md": {"pip install": NETWORK, "rg serve": SERVES},
    "docs/how-to/serve.md": {
        "curl -s 'http://127.0.0.1:8000/v1/archive": ARCHIVE,
        "curl -s -F archive": ARCHIVE,
    },
    "docs/how-to/zoo.md": {
        "… hf://": NETWORK,
        "rg zoo convert": "needs a checkpoint of another program; tests/zoo/test_convert.py writes some",
        "rg report chest.png --model r2gen-iu": "needs that checkpoint, too",
        "rg zoo remove": "the model of the example is included and cannot be removed; tests/cli/test_zoo_commands.py has another",
        "from huggingface_hub": NETWORK,
    },
    "docs/explanation/evaluation.md": {"rg eval --model runs/best --data iu-xray": IU},
    "docs/explanation/audit.md": {"python benchmarks": MEASURES},
    "docs/explanation/labeler.md": {"python benchmarks": OPENI, "rg label --check": CHECK},
    "docs/explanation/phantom.md": {"python -m benchmarks": MEASURES},
    "docs/explanation/scale.md": {"python -m benchmarks": MEASURES, "for kind in": MEASURES, "for store in": MEASURES},
    "docs/explanation/results.md": {
        "python -m benchmarks": MEASURES,
        "OMP_NUM_THREADS=1 python -m benchmarks": MEASURES,
        "python -m reportgen_zoo.recipes": NIH,
        "rg data abnormal": OPENI,
        "rg data groups": OPENI,
        "rg annotate": OPENI,
        "rg compose --encoder timm/tf_efficientnet_lite0": NIH,
        "rg data build": HOURS,
        "rg reproduce": HOURS,
        "for name in": HOURS,
    },
}

WHOLE = (
    *(f"docs/explanation/{name}.md" for name in ("results", "scale")),
    "docs/how-to/reporters.md",
    "docs/how-to/clinical.md",
)  # a block is left out by its first line

# What is made smaller or named otherwise before a page's blocks are run.
SMALLER = {
    "README.md": [
        ("make demo", "rg demo --out demo-out"),
        ("n=300", "n=40"),
        ("--epochs 4", "--epochs 1"),
        ("epochs=2", "epochs=1"),
    ],
    "docs/tutorials/your-data.md": [("--epochs 5", "--epochs 1"), ("n=120", "n=60")],
    "docs/tutorials/reproduce-a-paper.md": [("--limit 60", "--limit 24")],
    "docs/tutorials/judge-two-systems.md": [("n=200", "n=60")],
    "docs/plugins.md": [
        (
            "pip install .",
            'pip install -q --no-deps --no-build-isolation --target lib . && export PYTHONPATH="$PWD/lib"',
        ),
        (
            "rg compose --reporter",
            "pip install -q --no-deps --no-build-isolation --target sides-lib ./reportgen-sides && "
            'export PYTHONPATH="$PWD/sides-lib"\nrg compose --reporter',
        ),
    ],
    "docs/explanation/phantom.md": [("n=1000", "n=40"), ("size=256", "size=64")],
    "docs/how-to/abnormal.md": [("--train", "--train --classifier tfidf"), ("k=500", "k=4")],
    "docs/how-to/context.md": [("n=1500", "n=24"), ("--epochs 14", "--epochs 1")],
    "docs/how-to/rewards.md": [("n=300", "n=40"), ("--epochs 4", "--epochs 1")],
    "docs/how-to/annotate.md": [("--data table", "--data table --epochs 1")],
    "docs/how-to/reproduce.md": [
        ("--scale small", "--scale small --limit 24 --epochs 1"),
        ('{"n": 500}, scale="small"', '{"n": 60}, scale="small", epochs=1, limit=24'),
    ],
    "docs/how-to/retrieval.md": [
        ("--encoder densenet121", "--encoder timm/resnet18 --encoder-option size=64"),
        ("grouper=kmeans-exclusive", "grouper=kmeans-exclusive --decoder-option 'grouper_options={\"k\":8}'"),
        ("--data-root phantom", "--data-root phantom --data-option n=60 --data-option size=64"),
        ("--set select", "--epochs 1 --set select"),
    ],
    "docs/how-to/study.md": [("--each 100", "--each 10")],
    "docs/how-to/zoo.md": [
        ("--name NAME", "--name timm-hier-lstm.mine_v1"),
        ("NAME", "resnet10t-soft-att.phantom_v3"),
        ("/media/usb", "usb"),
        ("--encoder resnet50", "--encoder resnet50 --encoder-option size=64"),
    ],
}


@dataclass(frozen=True)
class Block:
    """A code block of a page: the lines that are run, and the lines that are not."""

    page: str
    number: int
    language: str
    body: str
    left_out: tuple[str, ...] = ()


def is_named(line: str, start: str) -> bool:
    """Return whether a line begins with `start`, or has it anywhere if `start` begins with an ellipsis."""
    return start[1:] in line if start.startswith("…") else line.strip().startswith(start)


def split_lines(page: str, body: str) -> tuple[str, list[str]]:
    """Return the lines of a shell block to run, with their continuations, and the lines that `NOT_RUN` names."""
    kept, left = [], []
    for line in re.findall(r"(?:[^\n]*\\\n)*[^\n]*\n", body):
        named = any(is_named(line, start) for start in NOT_RUN.get(page, {}))
        (left if named else kept).append(line)
    return "".join(kept), [line.strip() for line in left if line.strip()]


def read_blocks(path: Path) -> list[Block]:
    """Return the blocks of a page in shell, Python, JSON and TOML."""
    page, blocks = path.relative_to(ROOT).as_posix(), []
    for number, (language, body) in enumerate(BLOCK.findall(path.read_text(encoding="utf-8"))):
        if language not in (*SHELL, *PYTHON, *DATA):
            continue
        left: list[str] = []
        if (language in PYTHON or page in WHOLE) and any(is_named(body, start) for start in NOT_RUN.get(page, {})):
            body, left = "", body.splitlines()[:1]
        elif language in SHELL:
            body, left = split_lines(page, body)
        if language not in DATA:
            for old, new in SMALLER.get(page, []):
                body = body.replace(old, new)
        blocks.append(Block(page, number, language, body, tuple(left)))
    return blocks


BLOCKS = {page: read_blocks(page) for page in PAGES if page.exists()}

# How many lines and blocks of each page are not run.
COUNTED: dict[str, int] = {
    "README.md": 1,
    "docs/index.md": 1,
    "CONTRIBUTING.md": 2,
    "docs/tutorials/reproduce-a-paper.md": 2,
    "docs/how-to/reproduce.md": 2,
    "docs/how-to/plan.md": 2,
    "docs/how-to/install.md": 12,
    "docs/how-to/engines.md": 4,
    "docs/how-to/judges.md": 4,
    "docs/how-to/reporters.md": 3,
    "docs/how-to/retrieval.md": 3,
    "docs/how-to/export.md": 5,
    "docs/how-to/clinical.md": 3,
    "docs/how-to/study.md": 2,
    "docs/tutorials/serve-it.md": 2,
    "docs/how-to/serve.md": 3,
    "docs/how-to/zoo.md": 6,
    "docs/explanation/evaluation.md": 1,
    "docs/explanation/audit.md": 1,
    "docs/explanation/labeler.md": 2,
    "docs/explanation/phantom.md": 1,
    "docs/explanation/scale.md": 3,
    "docs/explanation/results.md": 16,
}
