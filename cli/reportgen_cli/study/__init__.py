"""Run a blind reading study: people score reports next to their radiographs and do not know who wrote them. The room
draws the cases, serves the page of the readers, keeps their answers, and scores them.
"""
