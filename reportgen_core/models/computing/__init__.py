"""How a model computes: each part in the number format in which it is faster, or shapes alone, without values.

`gain.py` measures a part in both formats, `memory.py` keeps the choice, `parts.py` chooses for the parts of a model;
`shapes.py` builds a model without memory for its weights; `heap.py` keeps the memory of freed tensors.
"""
