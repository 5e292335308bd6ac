"""Do one block after another in a worker: work, write, say how it went."""

from __future__ import annotations

import time
import traceback

from reportgen_core import ReportgenError

from .seam import Block, Done, Job, Sink


class Worker:
    """Has a job started, once, and does blocks with it. An exception of one block is that block's failure."""

    def __init__(self, job: Job, sink: Sink) -> None:
        self.sink, self.work = sink, job.start()

    def do(self, block: Block) -> Done:
        """Do one block and return how it went."""
        begun, cpu = time.time(), time.process_time()
        try:
            if why := self.sink.begin(block):
                return Done(block.number, failure=why)
            outcome = self.work(block)
            size = self.sink.write(block, outcome)
        except (ReportgenError, OSError) as e:
            return Done(block.number, begun=begun, ended=time.time(), failure=str(e))
        except Exception as e:  # a bug in one block ends that block, with its traceback
            line = traceback.extract_tb(e.__traceback__)[-1]
            why = f"{type(e).__name__}: {e} ({line.filename}:{line.lineno})"
            return Done(block.number, begun=begun, ended=time.time(), failure=why)
        rows, bad = len(outcome.rows), len(outcome.bad)
        spent = time.process_time() - cpu
        return Done(block.number, rows, bad, size, dict(outcome.counts), begun, time.time(), spent)
