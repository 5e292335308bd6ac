"""List the models on offer, and bring one to this machine whole or not at all. A pull resumes where it broke off,
checks every byte against its hash, and asks for the terms of use once. The room also verifies and removes models in the
cache.
"""
