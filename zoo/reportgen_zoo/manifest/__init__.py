"""Describe trained models: records with hashes, licence, terms and scores, and the signatures that vouch for them. The
room reads manifests and the user's settings, and writes model cards. It opens no network connection.
"""
