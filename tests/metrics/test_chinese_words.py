"""Chinese words come from jieba's own dictionary, never from the shared temporary folder."""

import marshal
import subprocess
import sys
from pathlib import Path


def test_a_dictionary_planted_in_the_temporary_folder_is_neither_read_nor_replaced(tmp_path: Path) -> None:
    planted = tmp_path / "jieba.cache"
    planted.write_bytes(marshal.dumps(({"双": 10**6, "肺": 10**6, "纹": 10**6, "理": 10**6}, 10**7)))
    content = planted.read_bytes()
    code = (
        "from reportgen_core.registries import protocols\n"
        "from reportgen_core.text.recipes import RECIPES\n"
        "words = protocols.create('chinese-words').reports(['双肺纹理增多。'])\n"
        "assert words == ['双肺 纹理 增多'], words\n"
        "assert RECIPES['chinese'].split('双肺纹理增多。') == [['双肺', '纹理', '增多']]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"TMPDIR": str(tmp_path), "PATH": ""}, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert [p.name for p in tmp_path.iterdir()] == ["jieba.cache"]
    assert planted.read_bytes() == content
