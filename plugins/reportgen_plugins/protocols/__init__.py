"""Turn reports and references into words before metrics compare them. Each scoring protocol follows one published
evaluation; a score is printed with the name of its protocol.
"""
