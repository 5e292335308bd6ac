"""Run the rows of a command over many processes and machines.
A command gives a job, which is a picklable factory of a function over a block of rows. An engine calls the function in
its workers, and a sink writes what it returns as a part of the output folder. `seam.py` has the three, `tables.py` cuts
a table into blocks, `folder.py` keeps the output, `run.py` joins them, and `ray_engine.py` is Ray Data.
"""
